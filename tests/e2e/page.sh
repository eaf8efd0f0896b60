#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The page in headless Chromium: against a scripted server, then, where `serve` is there, against
# ours with the miniature.  Screenshots stay beside the build: build/<preset>/page/*.png.
set -eu
cd "$(dirname "$0")/../.."
shots=$(dirname "${AUKLET:?}")/page
python3 tests/e2e/page.py --shots "$shots"
"$AUKLET" help --list | grep -qx serve || exit 0
log=$(mktemp)
"$AUKLET" serve data/miniature --port 0 2>"$log" &
server=$!
trap 'kill $server; rm -f "$log"' EXIT
for _ in $(seq 200); do
    port=$(sed -n 's/.*listening on http:\/\/127.0.0.1:\([0-9]*\).*/\1/p' "$log")
    [ -z "$port" ] || break
    sleep 0.1
done
python3 tests/e2e/page.py --url "http://127.0.0.1:${port:?}/" --shots "$shots"
