#!/usr/bin/env bash
# bench_quantize.sh - speed and memory of `auklet quantize` from the page cache, and of mlx-vlm's
# converter on the same folder.
#
# usage: bench/bench_quantize.sh [LAYERS [RUNS]]      (default 7 layers = 8.6 GB, 3 runs)
#
#   AUKLET       the command (default build/release/auklet)
#   PYTHON       python3 with numpy, to make the checkpoint
#   PEER         python3 with mlx and mlx-vlm: measured too, one run, on a folder of 2 layers
#   TMPDIR       where the folders go: LAYERS * 1.25 GB + 1.1 GB, and the results
#
# Rows go to standard output as CSV.  gb_s is bytes of bf16 read per second, gb_s_cpu per second of
# processor time (user and system, all threads): what a core does when others use the machine too.
# The median run counts; load is the machine's load average when the row was measured.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
auklet=${AUKLET:-$root/build/release/auklet}
python=${PYTHON:-python3}
layers=${1:-7}
runs=${2:-3}
work=$(mktemp -d "${TMPDIR:-/tmp}/auk-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -1)
cpu="${cpu:-unknown} x$(getconf _NPROCESSORS_ONLN)"

number() { # KEY FILE: a number of a one-line JSON document
    sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" "$2"
}

load() {
    cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo
}

# THREADS MODE OPTIONS...: one row of the median of the runs
measure() {
    local threads=$1 mode=$2
    shift 2
    for ((i = 0; i < runs; i++)); do
        local TIMEFORMAT='%U %S'
        { time "$auklet" quantize "$work/source" "$work/out" --force --json --progress never \
            --threads "$threads" "$@" >"$work/json" 2>"$work/errors"; } 2>"$work/times"
        read -r user system <"$work/times"
        echo "$(number seconds "$work/json") $(number source_bytes "$work/json")" \
            "$(number peak_rss_bytes "$work/json") $user $system"
    done | sort -n | sed -n "$(((runs + 1) / 2))p" |
        awk -v cpu="$cpu" -v t="$threads" -v m="$mode" -v l="$(load)" '{
            printf "\"%s\",auklet,%s,%s,%.2f,%.2f,%.2f,%.2f,%.1f,%s\n", cpu, m, t, $2 / 1e9, $1,
                   $2 / 1e9 / $1, $2 / 1e9 / ($4 + $5), $3 / 1e6, l }'
}

# MODE ARGUMENTS OF convert()...
measure_peer() {
    local mode=$1
    shift
    "$PEER" - "$work/small" "$work/out-peer" "$@" >"$work/peer" 2>"$work/errors" <<'EOF'
import os, resource, sys, time
import mlx.core as mx
mx.set_default_device(mx.cpu)
import mlx_vlm.utils as U
from transformers import PreTrainedTokenizerFast
U.load_processor = lambda path, *a, **k: PreTrainedTokenizerFast.from_pretrained(path)
from mlx_vlm.convert import convert
options = dict(q_group_size=None, q_bits=None, q_mode="affine")
options.update(a.split("=") for a in sys.argv[3:])
began = time.monotonic()
convert(sys.argv[1], sys.argv[2], quantize=True, **options)
seconds, use = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
size = sum(os.path.getsize(os.path.join(sys.argv[1], f)) for f in os.listdir(sys.argv[1]) if f.endswith(".safetensors"))
print("ROW", seconds, size, use.ru_maxrss * 1024, use.ru_utime + use.ru_stime)
EOF
    rm -rf "$work/out-peer"
    awk -v cpu="$cpu" -v m="$mode" -v l="$(load)" '$1 == "ROW" {
        printf "\"%s\",mlx-vlm (CPU),%s,all,%.2f,%.2f,%.3f,%.3f,%.1f,%s\n", cpu, m, $3 / 1e9, $2,
               $3 / 1e9 / $2, $3 / 1e9 / $5, $4 / 1e6, l }' "$work/peer"
}

echo "cpu,tool,mode,threads,gb_read,seconds,gb_s,gb_s_cpu,peak_rss_mb,load"
if [ -n "${PEER:-}" ]; then # first: it needs the memory
    "$python" "$root/tools/make_checkpoint.py" "$work/small" --layers 2 --vocab 32768 \
        --files "${FILES:-$root/data/miniature}" >&2
    cat "$work"/small/*.safetensors >/dev/null
    measure_peer affine-4-g64
    measure_peer mixed_4_8 quant_predicate=mixed_4_8
    measure_peer mxfp8 q_mode=mxfp8 # mxfp4 and nvfp4 need more than 20 GB there
    mv "$work/small" "$work/source"
    measure 1 affine-4-g64-small --rounding cpu
    rm -rf "$work/source"
fi
"$python" "$root/tools/make_checkpoint.py" "$work/source" --layers "$layers" >&2
cat "$work"/source/*.safetensors >/dev/null
for threads in 1 2; do
    measure $threads affine-4-g64
    measure $threads affine-8-g64 --bits 8
    measure $threads mixed_4_8 --recipe mixed_4_8
    measure $threads mxfp4 --mode mxfp4
    measure $threads mxfp8 --mode mxfp8
    measure $threads nvfp4 --mode nvfp4
done
measure 1 affine-4-g64-cpu --rounding cpu
measure 1 mxfp8-cpu --mode mxfp8 --rounding cpu
