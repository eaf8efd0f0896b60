#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ledger_kill.sh - kill -9 at any moment, with others writing, leaves a ledger of whole records.
#
# usage: AUKLET=build/release/auklet tests/e2e/ledger_kill.sh [ROUNDS [WRITERS]]
#
# Every round starts WRITERS processes that each import records of their own one after the other,
# and kills them all at a random moment.  Then verify finds nothing, and every record that a writer
# had been told was added is there.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
auklet=${AUKLET:-$root/build/release/auklet}
rounds=${1:-10}
writers=${2:-3}
work=$(mktemp -d "${TMPDIR:-/tmp}/auk-ledger-XXXXXX")
trap 'rm -rf "$work"' EXIT
export AUK_LEDGER=$work/ledger.db

sha256() { # macOS has shasum
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

# An exported record with 200 items, unlike any other.
make_record() { # NAME FILE
    {
        printf '{"schema": "auklet.record/1", "kind": "other", "command": "%s", ' "$1"
        printf '"headline": {"rule": "items/1", "items": 200}, "items": 200}\n'
        for ((i = 0; i < 200; i++)); do
            printf '{"i": %d, "name": "%s", "text": "%0500d"}\n' "$i" "$1" "$i"
        done
    } >"$2.body"
    {
        printf '{"schema": "auklet.ledger/1", "id": "%s", "lines": 201}\n' "$(sha256 <"$2.body")"
        cat "$2.body"
    } >"$2"
    rm "$2.body"
}

write_on() { # WRITER: imports its records over and over, noting what was added
    local n=0
    while :; do
        make_record "$1-$n" "$work/$1.jsonl"
        "$auklet" ledger import "$work/$1.jsonl" >/dev/null
        sed -n '1s/.*"id": "\([0-9a-f]*\)".*/\1/p' "$work/$1.jsonl" >>"$work/added"
        n=$((n + 1))
    done
}

: >"$work/added"
for ((round = 0; round < rounds; round++)); do
    pids=
    set -m # each writer its own process group
    for ((w = 0; w < writers; w++)); do
        write_on "$round-$w" 2>/dev/null &
        pids="$pids $!"
    done
    set +m
    sleep "$(awk -v r=$RANDOM 'BEGIN { printf "%.3f", 0.2 + r / 32768 * 0.8 }')"
    for pid in $pids; do
        kill -9 -- "-$pid"
    done
    for pid in $pids; do
        wait "$pid" 2>/dev/null || true
    done
    if [ -e "$AUK_LEDGER" ]; then
        "$auklet" ledger verify || { echo "FAILED: round $round" >&2; exit 1; }
    fi
done
"$auklet" ledger export | sed -n 's/^{"schema": "auklet.ledger\/1", "id": "\([0-9a-f]*\)".*/\1/p' |
    sort >"$work/kept"
lost=$(sort "$work/added" | comm -23 - "$work/kept" | wc -l)
[ "$lost" -eq 0 ] || { echo "FAILED: $lost records that were said to be added are gone" >&2; exit 1; }
echo "ok: $rounds rounds of $writers killed writers, $(wc -l <"$work/added") records said, $(wc -l <"$work/kept") kept, none lost"
