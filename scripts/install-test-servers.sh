#!/bin/sh
# Install the real servers that the tests use: Dovecot and PostgreSQL, from Debian or Ubuntu.
# Quiet where they are there already. Never fails: the tests skip what is missing, and say so.
set -u
PATH="$PATH:/usr/sbin:/usr/local/sbin"

missing=""
command -v dovecot >/dev/null 2>&1 || missing="$missing dovecot-imapd"
if ! command -v postgres >/dev/null 2>&1; then
    found=""
    for program in /usr/lib/postgresql/*/bin/postgres; do
        [ -x "$program" ] && found=yes
    done
    [ -n "$found" ] || missing="$missing postgresql"
fi
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of package names
    if { apt-get update && apt-get install -y --no-install-recommends $missing; } >/dev/null 2>&1
    then
        echo "installed:$missing"
        exit 0
    fi
    echo "could not be installed:$missing"
fi
echo "Some tests will be skipped; they need:$missing"
echo "Install them with: sudo apt-get install$missing"
exit 0
