#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All 500 gold patches, to SEARCH/REPLACE and back.
set -u
cd "$(dirname "$0")/../.." || exit 1
data=${AUK_SHARED:-../shared}/data/swebench_verified.jsonl
if [ ! -e "$data" ]; then
    echo "SKIPPED: the data file '$data' is missing" >&2
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 tests/cli/gold_patches.py "$AUKLET" "$data" "$work"
