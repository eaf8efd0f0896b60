#!/usr/bin/env bash
# stats_scipy.sh - 'auklet stats' against scipy, statsmodels and 40-digit arithmetic.
#
# usage: AUKLET=build/release/auklet tests/e2e/stats_scipy.sh [TABLES]
#
# TABLES: random tables per method (default 10000; five minutes on two cores).  The packages come
# from PyPI into a folder that is thrown away, or from the python3 that $STATS_PYTHON names; exit
# 77 where they cannot be had.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
export AUKLET=${AUKLET:-$root/build/release/auklet}
work=$(mktemp -d "${TMPDIR:-/tmp}/auk-scipy-XXXXXX")
trap 'rm -rf "$work"' EXIT

python=${STATS_PYTHON:-}
if [ -z "$python" ]; then
    python=$work/venv/bin/python3
    if ! python3 -m venv "$work/venv" >"$work/log" 2>&1 ||
        ! "$python" -m pip install -q 'scipy>=1.10' 'statsmodels>=0.14' mpmath >>"$work/log" 2>&1; then
        echo "SKIPPED: scipy, statsmodels and mpmath cannot be installed" >&2
        exit 77
    fi
fi
"$python" "$root/tests/e2e/stats_scipy.py" "${1:-10000}"
