#!/bin/sh
# Install the real servers that some tests need: Dovecot and PostgreSQL, from Debian's packages.
# Where that is not possible (no root, no apt-get) it says what is missing and those tests are
# skipped; nothing is started here, the tests start their own on loopback in temporary folders.
set -eu

missing=""
[ -x /usr/sbin/dovecot ] || command -v dovecot >/dev/null 2>&1 || missing="$missing dovecot-imapd"
ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 || command -v pg_ctl >/dev/null 2>&1 ||
    missing="$missing postgresql"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing for the tests:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # A policy of 101 keeps the packages from starting their services.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Tests that need these are skipped, since they are not installed:$missing"
    echo "(as root on Debian or Ubuntu: apt-get install$missing)"
fi
