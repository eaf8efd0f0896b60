#!/bin/sh
# Prints the table of data/miniature/README.md: what fewer bits do to the bundled model.
#     scripts/miniature-damage.sh [AUKLET]
# Needs jq, and python3 for the tasks, which run in the sandbox.
set -eu
cd "$(dirname "$0")/.."
auklet=${1:-build/release/auklet}
model=data/miniature
dir=$(mktemp -d "${TMPDIR:-/tmp}/auklet-damage.XXXXXX")
trap 'rm -rf "$dir"' EXIT INT TERM
export AUK_LEDGER=

row() { # row NAME QUANTIZE-OPTIONS...
    name=$1
    shift
    "$auklet" quantize $model "$dir/$name" "$@" -q >/dev/null
    kl=$("$auklet" compare $model "$dir/$name" --json -q | jq -r \
        '[.bytes_b, .kl_mean, .kl_se, 100 * .top1_agreement, .ppl_b, .ln_ppl_ratio] | @tsv')
    passed=$("$auklet" eval data/tasks/code.jsonl --model "$dir/$name" --limit 200 --max-tokens 300 --json -q |
        jq -r '"\(.passed) of \(.n)"')
    echo "$kl" | LC_ALL=C awk -v name="$name" -v passed="$passed" '{
        printf "| %s | %.2f MB | %.5f +- %.5f | %.2f %% | %.3f | %+.4f | %s |\n", name, $1 / 1e6, $2, $3, $4, $5, $6, passed }'
}

echo '| format | size | KL to bf16, nats | top-1 agreement | perplexity | ln ratio | tasks 0 to 199 passed |'
echo '|---|---|---|---|---|---|---|'
row bf16 --bits 16
row 8-bit --bits 8
row mxfp8 --mode mxfp8
row 6-bit --bits 6
row 5-bit --bits 5
row mixed_4_8 --recipe mixed_4_8
row 4-bit --bits 4
row 3-bit --bits 3
row 2-bit --bits 2
