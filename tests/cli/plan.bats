#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helpers

# The probe of memory bandwidth takes most of the time: one plan for all.
setup_file() {
    load helpers
    "$AUKLET" plan --json --memory 24GB >"$BATS_FILE_TMPDIR/plan.json"
}

setup() {
    PLAN=$BATS_FILE_TMPDIR/plan.json
}

@test "one document with every key of the contract" {
    [ "$(wc -l <"$PLAN")" -eq 1 ]
    jq -e '.schema == "auklet.plan/1" and (.machine | type == "object") and (.variants | length > 10)
        and has("recommended")' "$PLAN"
    jq -e '.variants | map(has("name") and (.weights_bytes > 0) and (.kv_bytes > 0) and
        (.peak_bytes > .weights_bytes + .kv_bytes) and (.fits | type == "boolean") and
        (.tok_s_estimate > 0)) | all' "$PLAN"
    [ "$(jq '.variants | map(.name) | unique | length' "$PLAN")" -eq "$(jq '.variants | length' "$PLAN")" ]
}

@test "weights are exact to the byte for every published variant" {
    while read -r name bytes; do
        got=$(jq --arg n "$name" '.variants[] | select(.name == $n) | .weights_bytes' "$PLAN")
        if [ "$got" != "$bytes" ]; then
            echo "$name: $got, want $bytes"
            return 1
        fi
    done <<'TABLE'
bf16 60968607744
8bit 33268506624
mxfp8 32345169920
6bit 25881812992
5bit 22188466176
4bit 18495119360
nvfp4 18495119360
mxfp4 17571782656
3bit 14801772544
2bit 11108425728
mixed_4_8 19848175616
mixed_4_6 18497871872
mixed_3_8 16712802304
mixed_3_6 15362498560
mixed_3_5 14687346688
mixed_3_4 14012194816
mixed_2_6 12227125248
TABLE
}

@test "bits per weight are those that are printed when converting" {
    while read -r name bits; do
        got=$(jq --arg n "$name" '.variants[] | select(.name == $n) | .bits_per_weight' "$PLAN")
        [ "$(LC_ALL=C printf %.3f "$got")" = "$bits" ]
    done <<'TABLE'
bf16 16.000
8bit 8.731
4bit 4.854
mxfp4 4.611
mxfp8 8.488
mixed_4_8 5.209
mixed_2_6 3.209
2bit 2.915
TABLE
}

# kv_bytes(ctx) = 26624 ctx + 73728 min(ctx, 4096) per session
@test "the KV cache is exact to the byte" {
    for ctx in 1 4095 4096 4097 131072 500000; do
        small=$((ctx < 4096 ? ctx : 4096))
        got=$("$AUKLET" plan --json --ctx $ctx --threads 1 | jq '[.variants[].kv_bytes] | unique[]')
        [ "$got" = $((26624 * ctx + 73728 * small)) ]
    done
    [ "$(jq '[.variants[].kv_bytes] | unique[]' "$PLAN")" = $((26624 * 32768 + 301989888)) ]
    got=$("$AUKLET" plan --json --ctx 4096 --parallel 3 --threads 1 | jq '[.variants[].kv_bytes] | unique[]')
    [ "$got" = $((3 * 411041792)) ]
}

@test "what is recommended is the first that fits, and it fits" {
    name=$(jq -r .recommended "$PLAN")
    [ "$name" = "$(jq -r '[.variants[] | select(.fits)][0].name' "$PLAN")" ]
    jq -e '.variants | map(.fits == (.peak_bytes <= 24000000000)) | all' "$PLAN"
}

@test "where nothing fits, that is said, and exit is 0" {
    run --separate-stderr "$AUKLET" plan --memory 1GB --threads 1
    [ "$status" -eq 0 ]
    has "$output" "nothing fits"
    [ "$("$AUKLET" plan --memory 1GB --threads 1 --json | jq .recommended)" = null ]
}

@test "a folder's own shape is planned, from config.json alone" {
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_TEST_TMPDIR/model" "bytes model.safetensors=gone"
    run --separate-stderr "$AUKLET" plan "$BATS_TEST_TMPDIR/model" --ctx 100 --json --threads 1
    [ "$status" -eq 0 ]
    # 184,768 weights; layer 0 full, layer 1 with a window of 16; one kv head of 32
    [ "$(jq '.variants[] | select(.name == "bf16").weights_bytes' <<<"$output")" = 369536 ]
    [ "$(jq '.variants[0].kv_bytes' <<<"$output")" = $((2 * 32 * 2 * (100 + 16))) ]
}

@test "what is planned for a folder is what quantize writes" {
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_TEST_TMPDIR/model"
    "$AUKLET" plan "$BATS_TEST_TMPDIR/model" --ctx 100 --json --threads 1 >"$BATS_TEST_TMPDIR/plan"
    for pair in 4bit=--bits=4 8bit=--bits=8 mxfp8=--mode=mxfp8 mixed_4_8=--recipe=mixed_4_8 bf16=--bits=16; do
        got=$("$AUKLET" quantize "$BATS_TEST_TMPDIR/model" "$BATS_TEST_TMPDIR/q" "${pair#*=}" --force --json | jq .bytes)
        [ "$got" = "$(jq --arg n "${pair%%=*}" '.variants[] | select(.name == $n).weights_bytes' "$BATS_TEST_TMPDIR/plan")" ]
    done
}

@test "settings that make no sense are usage errors" {
    for words in "--ctx 0" "--ctx -1" "--parallel 0" "--parallel -2" "one two"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" plan $words
        usage_error
    done
}

@test "the table for people has a line per variant" {
    run --separate-stderr "$AUKLET" plan --memory 24GB
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    for name in bf16 4bit mixed_4_8 mxfp8 nvfp4; do
        has "$output" "$name"
    done
    has "$output" "recommended: $(jq -r .recommended "$PLAN")"
}
