#!/usr/bin/env bash
# quantize_kill.sh - kill -9 at any moment and the same command again give the same bytes.
#
# usage: AUKLET=build/release/auklet tests/e2e/quantize_kill.sh [SOURCE [KILLS]]
#
# SOURCE: a checkpoint of some gigabytes; without it one is made with tools/make_checkpoint.py (which
# needs python3 with numpy; exit 77 without).  Every round kills the run after a random part of the
# time an undisturbed one takes; after KILLS rounds (default 12) it may finish.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
auklet=${AUKLET:-$root/build/release/auklet}
kills=${2:-12}
export AUK_LEDGER= # no record of what is killed
work=$(mktemp -d "${TMPDIR:-/tmp}/auk-kill-XXXXXX")
trap 'rm -rf "$work"' EXIT

source=${1:-}
if [ -z "$source" ]; then
    if ! python3 -c 'import numpy' 2>/dev/null; then
        echo "SKIPPED: python3 with numpy is needed to make a checkpoint" >&2
        exit 77
    fi
    source=$work/source
    python3 "$root/tools/make_checkpoint.py" "$source" --layers 3 --vocab 65536
fi

digest() {
    (cd "$1" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1)
}

check() { # options: undisturbed, then killed again and again
    local want resumed=0 done_in_time=0 began took
    began=$(date +%s%N)
    "$auklet" quantize "$source" "$work/whole" --progress never "$@" >/dev/null
    took=$((($(date +%s%N) - began) / 1000000))
    want=$(digest "$work/whole")
    rm -rf "$work/whole"
    for ((i = 0; i < kills; i++)); do
        "$auklet" quantize "$source" "$work/killed" --progress never "$@" >/dev/null 2>&1 &
        local pid=$!
        sleep "$(awk -v r=$RANDOM -v ms=$took 'BEGIN { printf "%.3f", 0.01 + r / 32768e3 * ms }')"
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        if [ -d "$work/killed" ]; then # it was faster: look at the bytes, and once more
            done_in_time=$((done_in_time + 1))
            [ "$(digest "$work/killed")" = "$want" ] || { echo "FAILED: $* (finished)" >&2; exit 1; }
            rm -rf "$work/killed"
        elif [ "$(sed -n 2p "$work/killed.partial/.auklet-state" 2>/dev/null || echo 0)" != 0 ]; then
            resumed=$((resumed + 1))
        fi
    done
    "$auklet" quantize "$source" "$work/killed" --progress never "$@" >/dev/null
    [ "$(digest "$work/killed")" = "$want" ] || { echo "FAILED: $*" >&2; exit 1; }
    [ ! -e "$work/killed.partial" ] || { echo "FAILED: killed.partial is left" >&2; exit 1; }
    rm -rf "$work/killed"
    echo "ok: ${*:-4-bit}: $kills kills, $resumed found finished work, $done_in_time came too late"
}

check
check --recipe mixed_4_8
check --mode mxfp8 --threads 1
check --mode nvfp4 --shard-size 300MB
check --bits 16 # writes most, so that killed runs leave finished work
