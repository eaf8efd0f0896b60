#!/usr/bin/env bash
# quantize_calib_kill.sh - gptq killed at any moment and taken up again gives the bytes of an undisturbed run.
#
# usage: AUKLET=build/release/auklet tests/e2e/quantize_calib_kill.sh [KILLS]
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
auklet=${AUKLET:-$root/build/release/auklet}
kills=${1:-10}
export AUK_LEDGER=
work=$(mktemp -d "${TMPDIR:-/tmp}/auk-kill-XXXXXX")
trap 'rm -rf "$work"' EXIT

quantize() {
    "$auklet" quantize "$root/data/miniature" "$1" --method gptq --calib-length 256 --calib-tokens 4096 --progress never \
        --json >"$1.json" 2>/dev/null
}

digest() {
    (cd "$1" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1)
}

began=$(date +%s%N)
quantize "$work/whole"
took=$((($(date +%s%N) - began) / 1000000))
for ((i = 0; i < kills; i++)); do
    quantize "$work/killed" &
    pid=$!
    sleep "$(awk -v r=$RANDOM -v ms=$took 'BEGIN { printf "%.3f", 0.01 + r / 32768e3 * ms }')"
    kill -9 "$(pgrep -P $pid || echo $pid)" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    [ -d "$work/killed" ] && break
done
if [ ! -d "$work/killed" ]; then quantize "$work/killed"; fi
[ "$(digest "$work/whole")" = "$(digest "$work/killed")" ] || { echo "FAILED: other bytes" >&2; exit 1; }
# the log of layers done before a kill is kept, too
[ "$(jq -c .experts "$work/whole.json")" = "$(jq -c .experts "$work/killed.json")" ] || { echo "FAILED: other log" >&2; exit 1; }
echo "ok: $i kills"
