#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The quantize-evaluate-compare part of the paper's procedure, on any model folder: three ways to
# 4 bits, HumanEval and MBPP for each, paired statistics, and a table of theirs and ours.
#     scripts/reproduce.sh MODEL OUT [options of 'auklet eval' for every run]
#
#     scripts/reproduce.sh North-Mini-Code-1.0 out
#     scripts/reproduce.sh data/miniature out --limit 3 --max-tokens 32
#
# MODEL is a bf16 checkpoint.  OUT takes the folders, the result lines and the records
# (OUT/ledger.db); what is there already is not done again, so the same command goes on after an
# interruption.  AUKLET is the command (default: build/release/auklet); SETS the data sets
# (default: "humaneval mbpp"); WAYS which of rtn4, mixed_4_8 and gptq4 are made; DATA a folder that
# has the sets' files (default: they are fetched).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
auklet=${AUKLET:-$root/build/release/auklet}
sets=${SETS:-humaneval mbpp}
[ $# -ge 2 ] || { sed -n '3,16s/^# \{0,1\}//p' "$0" >&2; exit 2; }
model=$1 out=$2
shift 2
mkdir -p "$out"
export AUK_LEDGER=${AUK_LEDGER:-$out/ledger.db}

say() {
    printf '\n== %s\n' "$*"
}

# quantize NAME OPTIONS...: false, with the reason in NAME.why, when this build cannot.
quantize() {
    name=$1
    shift
    [ ! -e "$out/$name.json" ] || return 0
    say "auklet quantize $model $name $*"
    if "$auklet" quantize "$model" "$out/$name" --json "$@" >"$out/$name.json.part" 2>"$out/$name.why"; then
        mv "$out/$name.json.part" "$out/$name.json"
        rm -f "$out/$name.why"
    else
        rm -f "$out/$name.json.part"
        [ $? -ne 130 ] || exit 130
        cat "$out/$name.why" >&2
        return 1
    fi
}

evaluate() { # NAME SET OPTIONS...
    name=$1 set=$2
    shift 2
    case $set in
    humaneval) data=HumanEval.jsonl.gz ;;
    mbpp) data=sanitized-mbpp.json ;;
    *) data= ;;
    esac
    [ ! -e "$out/$name.$(basename "$set").json" ] || return 0
    say "auklet eval $set --model $name --max-tokens 4096 $*"
    if [ -n "${DATA:-}" ] && [ -n "$data" ]; then
        set -- --data "$DATA/$data" "$@"
    fi
    # greedy, as theirs; later options win
    "$auklet" eval "$set" --model "$out/$name" --max-tokens 4096 -o "$out/$name.$(basename "$set").jsonl" \
        --resume --json "$@" >"$out/$name.$(basename "$set").json.part"
    mv "$out/$name.$(basename "$set").json.part" "$out/$name.$(basename "$set").json"
}

names=
for way in "rtn4 --bits 4 --group-size 64" "mixed_4_8 --recipe mixed_4_8 --group-size 64" \
    "gptq4 --bits 4 --group-size 64 --method gptq"; do
    name=${way%% *}
    case " ${WAYS:-rtn4 mixed_4_8 gptq4} " in *" $name "*) ;; *) continue ;; esac
    # shellcheck disable=SC2086
    if quantize $name ${way#* }; then
        names="$names $name"
        for set in $sets; do
            evaluate $name "$set" "$@"
        done
    fi
done
for set in $sets; do
    for name in $names; do
        [ $name != rtn4 ] || continue
        base=$(basename "$set")
        "$auklet" stats mcnemar --json --a "$out/$name.$base.jsonl" --b "$out/rtn4.$base.jsonl" \
            >"$out/$name.$base.mcnemar.json"
        "$auklet" stats tost --margin 0.015 --json --a "$out/$name.$base.jsonl" \
            --b "$out/rtn4.$base.jsonl" >"$out/$name.$base.tost.json"
    done
done
say "theirs and ours"
python3 "$root/scripts/reproduce_table.py" "$out" $sets
say "the records"
"$auklet" ledger list
"$auklet" ledger verify
