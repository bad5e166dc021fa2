#!/usr/bin/env bash
# Install the built wheel where the checkout is out of sight, and use it: rules, templates and the
# model must have travelled in it.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$top/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$place/site" "$top"/dist/mailflow-*.whl
cp "$top/mailflow/demo/mails/01-everyone-blocked.eml" "$place/mail.eml"
cd "$place"
libraries=$("$top/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
# -S leaves the editable install of the checkout out; the wheel's folder comes first.
run() { PYTHONPATH="$place/site:$libraries" "$top/.venv/bin/python" -S -m mailflow "$@"; }
run --version
run triage --json mail.eml | grep -q '"value": 1' || { echo "triage of the wheel is wrong"; exit 1; }
echo '{"id": 1, "priority": "P1", "registered_at": "2026-03-02T09:00:00+01:00", "pauses": []}' |
    run sla --json | grep -q '2026-03-02T12:00:00+00:00' || { echo "sla of the wheel is wrong"; exit 1; }
echo "the wheel works"
