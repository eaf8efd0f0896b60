#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Memory that cannot be had: each allocation whose size comes from input fails once.  Under
# AddressSanitizer this also shows what is not released on the way out.

load helpers

setup_file() {
    load helpers
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_FILE_TMPDIR/model"
    "$AUKLET" quantize "$BATS_FILE_TMPDIR/model" "$BATS_FILE_TMPDIR/q4" -q
    echo '[2, 5, 7]' >"$BATS_FILE_TMPDIR/ids"
    echo '{"text": "def f(x):"}' >"$BATS_FILE_TMPDIR/line"
}

# every_allocation MIN COMMAND...: fails the first, the second ... allocation until the command gets
# through; there are at least MIN.  Standard input is $IN.
every_allocation() {
    local min=$1 n err
    shift
    for ((n = 0; n < 1000; n++)); do
        err=$(AUK_FAIL_ALLOC=$n "$AUKLET" "$@" 2>&1 >/dev/null <"${IN:-/dev/null}") && break
        if [ $? -ne 1 ] || [ "$(wc -l <<<"$err")" -ne 1 ] || [[ $err != *"cannot allocate"* ]]; then
            printf 'allocation %s: %s\n' "$n" "$err"
            return 1
        fi
        [ -z "${RESULT:-}" ] || [ ! -e "$RESULT" ]
    done
    echo "$n allocations"
    [ "$n" -ge "$min" ]
}

@test "generate" {
    every_allocation 20 generate "$BATS_FILE_TMPDIR/model" --ids "$BATS_FILE_TMPDIR/ids" --max-tokens 2
}

@test "generate, quantized" {
    every_allocation 20 generate "$BATS_FILE_TMPDIR/q4" --ids "$BATS_FILE_TMPDIR/ids" --max-tokens 1
}

@test "logits leave no file" {
    RESULT=$BATS_TEST_TMPDIR/out.npy every_allocation 20 logits "$BATS_FILE_TMPDIR/model" \
        --ids "$BATS_FILE_TMPDIR/ids" -o "$BATS_TEST_TMPDIR/out.npy"
    [ ! -e "$BATS_TEST_TMPDIR/out.npy.tmp" ]
}

@test "run" {
    every_allocation 20 run "$BATS_FILE_TMPDIR/model" hello --max-tokens 2 -q
}

@test "quantize leaves no folder" {
    RESULT=$BATS_TEST_TMPDIR/out every_allocation 10 quantize "$BATS_FILE_TMPDIR/model" "$BATS_TEST_TMPDIR/out" -q
}

@test "compare" {
    every_allocation 40 compare "$BATS_FILE_TMPDIR/model" "$BATS_FILE_TMPDIR/q4" \
        --ids "$BATS_FILE_TMPDIR/ids" --tensors
}

@test "compare leaves no reference" {
    RESULT=$BATS_TEST_TMPDIR/a.ref every_allocation 40 compare "$BATS_FILE_TMPDIR/model" \
        "$BATS_FILE_TMPDIR/q4" --ids "$BATS_FILE_TMPDIR/ids" --reference "$BATS_TEST_TMPDIR/a.ref"
}

@test "tensors" {
    every_allocation 2 tensors "$BATS_FILE_TMPDIR/model"
}

@test "tokenize" {
    IN=$BATS_FILE_TMPDIR/line every_allocation 4 tokenize "$BATS_FILE_TMPDIR/model"
}
