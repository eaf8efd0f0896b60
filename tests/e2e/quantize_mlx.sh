#!/usr/bin/env bash
# quantize_mlx.sh - folders of gptq, wrtn and a budget load in mlx-vlm itself, with the logits of our engine.
#
# usage: AUKLET=build/release/auklet [AUK_MLX_PYTHON=python3] tests/e2e/quantize_mlx.sh
#
# AUK_MLX_PYTHON: a Python with mlx and mlx-vlm; exit 77 without, or without the recorded references' own checker.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
auklet=${AUKLET:-$root/build/release/auklet}
python=${AUK_MLX_PYTHON:-python3}
check=${AUK_SHARED:-$root/../shared}/golden/mlx/generate/check_loads.py
if ! "$python" -c 'import mlx.core, mlx_vlm' 2>/dev/null || [ ! -e "$check" ]; then
    echo "SKIPPED: a Python with mlx-vlm (AUK_MLX_PYTHON) and the recorded references are needed" >&2
    exit 77
fi
export AUK_LEDGER=
work=$(mktemp -d "${TMPDIR:-/tmp}/auk-mlx-XXXXXX")
trap 'rm -rf "$work"' EXIT
model=$root/data/miniature
"$python" -c "import json; print(json.load(open('$model/heldout_ids.json'))[:100])" >"$work/ids.json"
i=0
for options in "--method wrtn" "--method gptq" "--method gptq --bits 2" "--method gptq --recipe mixed_3_6" \
    "--method wrtn --mode mxfp8" "--method gptq --max-size 4MB" "--method gptq --include experts,attention,router"; do
    out=$work/$((i += 1))
    # shellcheck disable=SC2086
    "$auklet" quantize "$model" "$out" $options --calib-length 256 --calib-tokens 2048 -q >/dev/null
    "$auklet" logits "$out" --ids "$work/ids.json" -o "$work/ours.npy" --precision f32 >/dev/null
    "$python" "$check" "$out" --ids "$work/ids.json" --reference "$work/ours.npy" --tolerance 1e-4 >"$work/said" ||
        { cat "$work/said"; echo "FAILED: $options" >&2; exit 1; }
    echo "ok: $options"
done
