#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# logits and generate.

load helpers

setup() {
    M=$BATS_TEST_TMPDIR/model
    OUT=$BATS_TEST_TMPDIR/out.npy
    IDS=$BATS_TEST_TMPDIR/ids.json
    python3 -B "$ROOT/tests/cli/model.py" "$M"
    echo '[2, 5, 7, 1000, 3]' >"$IDS"
}

# npy FILE: dtype, shape and bytes of data of a .npy, checked to be well formed.
npy() {
    python3 - "$1" <<'PY'
import ast, struct, sys
data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x93NUMPY\x01\x00"
n = struct.unpack("<H", data[8:10])[0]
assert (10 + n) % 64 == 0 and data[9 + n:10 + n] == b"\n"
head = ast.literal_eval(data[10:10 + n].decode())
assert head["fortran_order"] is False
count = 1
for d in head["shape"]:
    count *= d
assert len(data) == 10 + n + 4 * count
print(head["descr"], head["shape"])
PY
}

@test "logits are float32 [tokens, vocab], and nothing is on stdout" {
    run --separate-stderr "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT"
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
    [ "$(npy "$OUT")" = "<f4 (5, 1536)" ]
    [ ! -e "$OUT.tmp" ]
}

@test "--last is the last row" {
    "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT"
    "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT.last" --last
    [ "$(npy "$OUT.last")" = "<f4 (1, 1536)" ]
    tail -c $((4 * 1536)) "$OUT" | cmp - <(tail -c $((4 * 1536)) "$OUT.last")
}

@test "--json says what was written" {
    run --separate-stderr "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT" --json
    jq -e '.schema == "auklet.logits/1" and .tokens == 5 and .vocab == 1536' <<<"$output"
}

@test "--hidden and --router write one file per layer" {
    "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT" --hidden "$BATS_TEST_TMPDIR/h" --router "$BATS_TEST_TMPDIR/r"
    [ "$(ls "$BATS_TEST_TMPDIR/h" | sort | tr '\n' ' ')" = "hidden.0.npy hidden.1.npy hidden.2.npy " ]
    [ "$(npy "$BATS_TEST_TMPDIR/h/hidden.2.npy")" = "<f4 (5, 64)" ]
    [ "$(ls "$BATS_TEST_TMPDIR/r" | sort | tr '\n' ' ')" = "router.1.experts.npy router.1.logits.npy router.1.weights.npy " ]
    [ "$(npy "$BATS_TEST_TMPDIR/r/router.1.logits.npy")" = "<f4 (5, 4)" ]
    [ "$(npy "$BATS_TEST_TMPDIR/r/router.1.experts.npy")" = "<i4 (5, 2)" ]
    [ "$(npy "$BATS_TEST_TMPDIR/r/router.1.weights.npy")" = "<f4 (5, 2)" ]
}

@test "f32 and bf16 differ, and each is the same again for any threads and level" {
    "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT"
    "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT.bf16" --precision bf16
    run cmp -s "$OUT" "$OUT.bf16"
    [ "$status" -eq 1 ]
    for words in "--threads 1" "--threads 7" "--cpu scalar"; do
        # shellcheck disable=SC2086
        "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT.again" $words
        cmp "$OUT" "$OUT.again"
        # shellcheck disable=SC2086
        "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT.again" --precision bf16 $words
        cmp "$OUT.bf16" "$OUT.again"
    done
}

@test "ids are read from standard input as well" {
    "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT"
    "$AUKLET" logits "$M" --ids - -o "$OUT.again" <"$IDS"
    cmp "$OUT" "$OUT.again"
}

@test "the recorded logits of transformers, through the command" {
    need_shared golden/models/tiny-b
    dir=$SHARED/golden/models/tiny-b
    python3 - "$dir/len29.ids.npy" >"$IDS" <<'PY'
import struct, sys
d = open(sys.argv[1], "rb").read()
d = d[10 + struct.unpack("<H", d[8:10])[0]:]
print(list(struct.unpack("<%di" % (len(d) // 4), d)))
PY
    "$AUKLET" logits "$dir/checkpoint" --ids "$IDS" -o "$OUT"
    python3 - "$OUT" "$dir/len29.logits.f32.npy" <<'PY'
import array, struct, sys
def read(p):
    d = open(p, "rb").read()
    return array.array("f", d[10 + struct.unpack("<H", d[8:10])[0]:])
a, b = map(read, sys.argv[1:])
assert len(a) == len(b)
for r in range(29):
    x, y = a[1024 * r:1024 * (r + 1)], b[1024 * r:1024 * (r + 1)]
    d = sum((p - q) ** 2 for p, q in zip(x, y)) ** .5 / sum(q * q for q in y) ** .5
    assert d <= 1e-4, (r, d)
PY
}

@test "where nothing can be written: one line, and nothing left" {
    for out in "$BATS_TEST_TMPDIR/absent/out.npy" "$BATS_TEST_TMPDIR"; do
        run --separate-stderr "$AUKLET" logits "$M" --ids "$IDS" -o "$out"
        [ "$status" -eq 1 ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        has "$stderr" "$out"
        [ ! -e "$out.tmp" ]
    done
    run --separate-stderr "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT" --hidden "$IDS"
    [ "$status" -eq 1 ]
    has "$stderr" "$IDS"
    [ ! -e "$OUT" ]
}

@test "required options are named" {
    run --separate-stderr "$AUKLET" logits "$M" --ids "$IDS"
    usage_error
    has "$stderr" "--output"
    run --separate-stderr "$AUKLET" generate "$M"
    usage_error
    has "$stderr" "--ids"
}

@test "generate gives ids and margins, the same again" {
    run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS" --max-tokens 12 --greedy
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    jq -e '.schema == "auklet.generate/1" and (.ids | length == 12) and (.margins | length == 12)
        and (.margins | map(. >= 0) | all) and (.ids | map(. >= 0 and . < 1536) | all)' <<<"$output"
    [ "$("$AUKLET" generate "$M" --ids "$IDS" --max-tokens 12)" = "$output" ]
    # what it continued with, given as ids, continues as before
    jq -c ".ids[:5]" <<<"$output" | jq -c --slurpfile a "$IDS" '$a[0] + .' >"$IDS.more"
    [ "$("$AUKLET" generate "$M" --ids "$IDS.more" --max-tokens 7 | jq -c .ids)" = "$(jq -c '.ids[5:]' <<<"$output")" ]
}

@test "generate's first id is the largest logit" {
    "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT" --last
    best=$(python3 - "$OUT" <<'PY'
import array, struct, sys
d = open(sys.argv[1], "rb").read()
x = array.array("f", d[10 + struct.unpack("<H", d[8:10])[0]:])
print(x.index(max(x)))
PY
    )
    [ "$("$AUKLET" generate "$M" --ids "$IDS" --max-tokens 1 | jq '.ids[0]')" = "$best" ]
}

@test "generate refuses settings that make no sense" {
    for words in "--max-tokens 0" "--max-tokens -3" "--no-greedy" "--precision f64"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS" $words
        usage_error
    done
}
