#!/bin/bash
# The vendors' SDKs from PyPI, each in a real exchange with the miniature.  AUK_VENV: a virtual
# environment that has them.
set -eu
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
venv=${AUK_VENV:-$work/venv}
if [ ! -x "$venv/bin/python3" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q openai anthropic ollama jsonschema >"$work/pip" 2>&1 || {
        echo "SKIPPED: the SDKs cannot be installed" >&2
        exit 77
    }
fi
"$venv/bin/pip" list 2>/dev/null | grep -iE '^(openai|anthropic|ollama|jsonschema) '
"$AUKLET" serve data/miniature --port 0 2>"$work/log" &
server=$!
for _ in $(seq 200); do
    port=$(sed -n 's,^listening on http://127.0.0.1:,,p' "$work/log")
    [ -n "$port" ] && break
    sleep 0.05
done
no_proxy=127.0.0.1 "$venv/bin/python3" tests/e2e/serve_clients.py "$port" miniature "${AUK_SCHEMAS:-200}" 5
kill -TERM "$server"
wait "$server"
