#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The report on diagnoses is looked at in a real browser: light and dark, on a phone's width and a
# desk's.  axe-core comes from the npm registry where that can be reached.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
AUKLET=${AUKLET:-$ROOT/build/release/auklet}
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null &&
    ! command -v google-chrome >/dev/null; then
    echo "SKIPPED: the page is not looked at: there is no chromium" >&2
    exit 77
fi
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
export AUK_LEDGER=$work/l.db no_proxy=localhost,127.0.0.1 PYTHONDONTWRITEBYTECODE=1

mkfifo "$work/in"
python3 "$ROOT/tests/http/scripted.py" --log "$work/log" --policy by_name --fault max_ctx=16384 \
    --fault rate=1000 <"$work/in" >"$work/port" &
server=$!
exec 7>"$work/in"
for _ in $(seq 100); do [ -s "$work/port" ] && break || sleep 0.1; done
url=openai:http://127.0.0.1:$(cat "$work/port")/v1
"$AUKLET" inspect "$url/words@60" --repeat 5 -q >/dev/null
"$AUKLET" inspect "$url/thinker" --repeat 5 -q >/dev/null
"$AUKLET" inspect "$ROOT/data/miniature" --repeat 5 -q >/dev/null
"$AUKLET" audit "$url/cliff@3000" --samples 30 --max-depth 8000 -q >/dev/null
"$AUKLET" audit "$url/perfect" --samples 30 --max-depth 8000 -q >/dev/null
"$AUKLET" agent "$url/prose" --tier easy --k 2 --profile coding-agent -q >/dev/null || [ $? -eq 3 ]
# answers that want to be markup
"$AUKLET" inspect "$url/garbage" --repeat 1 -q >/dev/null
"$AUKLET" audit "$url/garbage" --samples 2 --max-depth 1200 -q >/dev/null || true
mapfile -t ids < <("$AUKLET" ledger list | cut -d' ' -f1)
"$AUKLET" report "${ids[@]}" -o "$work/report.html"
"$AUKLET" report "${ids[@]}" -o "$work/report.md"

# what a reader must find
for text in 'In short' 'NOT READY' 'Blocks: ' 'How runs failed' 'Where the context breaks' 'What changed between audits' 'hardly chance' \
    'can be chance' 'How it feels' 'What changed' 'Memory' 'one answer from its beginning' 'gaps between' \
    'Asked from' 'cause'; do
    grep -q "$text" "$work/report.html" || { echo "no '$text' in the page"; exit 1; }
    grep -q "$text" "$work/report.md" || { echo "no '$text' in the Markdown"; exit 1; }
done
if grep -qE '<script|javascript:|https?://[^ <"]*\.(js|css)' "$work/report.html"; then
    echo "the page has something active"
    exit 1
fi

axe=()
if (cd "$work" && npm pack --silent axe-core >/dev/null 2>&1 && tar xf axe-core-*.tgz); then
    axe=("$work/package/axe.min.js")
else
    echo "SKIPPED: axe-core is not to be had from npm; the page is looked at without it" >&2
fi
python3 "$ROOT/tests/e2e/report_page.py" "$work/report.html" "${axe[@]}"
echo "the page is clean${axe[0]:+, for axe too}"
