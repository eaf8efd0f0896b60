#!/usr/bin/env bash
# pull_hub_client.sh - a folder that `auklet pull` fetched is the one the hub's own client fetches.
#
# usage: AUKLET=build/release/auklet tests/e2e/pull_hub_client.sh
#
# huggingface_hub comes from PyPI into a folder that is thrown away, or from the virtual
# environment that $AUK_VENV names; exit 77 where it cannot be had.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
export AUKLET=${AUKLET:-$root/build/release/auklet}
work=$(mktemp -d "${TMPDIR:-/tmp}/auk-hub-XXXXXX")
trap 'rm -rf "$work"' EXIT

venv=${AUK_VENV:-$work/venv}
if [ ! -x "$venv/bin/python3" ]; then
    if ! python3 -m venv "$venv" >"$work/log" 2>&1 ||
        ! "$venv/bin/python3" -m pip install -q huggingface_hub >>"$work/log" 2>&1; then
        echo "SKIPPED: huggingface_hub cannot be installed" >&2
        exit 77
    fi
fi
"$venv/bin/python3" "$root/tests/e2e/pull_hub_client.py" "$root" "$work"
