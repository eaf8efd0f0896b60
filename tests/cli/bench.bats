#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# bench: the keys scripts read, the levels it says, what it refuses.

load helpers

@test "bench gives the rates, the bytes and the share of each depth" {
    run --separate-stderr "$AUKLET" bench "$ROOT/data/miniature" --no-ledger --json --depth 0,100 \
        --prompt-tokens 8 --gen-tokens 2 --repeat 1
    [ "$status" -eq 0 ]
    [ "$(jq -r '.rows | map(.depth) | join(",")' <<<"$output")" = "0,100" ]
    jq -e '.schema == "auklet.bench/1"' <<<"$output"
    jq -e '.rows[] | .prefill_tok_s > 0 and .decode_tok_s > 0 and .bandwidth_bytes_s > 0
           and .decode_share_of_bandwidth > 0' <<<"$output"
    # a token reads every part once, and the keys of 100 positions
    jq -e '.rows[0].bytes_per_token == ([.bytes_per_token_parts[]] | add)' <<<"$output"
    jq -e '.rows[1].bytes_per_token > .rows[0].bytes_per_token' <<<"$output"
}

@test "bench says which level each slot has, and a level can be forced" {
    run --separate-stderr "$AUKLET" bench "$ROOT/data/miniature" --no-ledger --json --cpu scalar \
        --prompt-tokens 0 --gen-tokens 1 --repeat 1
    [ "$status" -eq 0 ]
    [ "$(jq -r '[.kernels[]] | unique | join(",")' <<<"$output")" = "scalar" ]
    jq -e '.rows[0].prefill_tok_s == null' <<<"$output"
}

@test "bench refuses what it cannot do" {
    run --separate-stderr "$AUKLET" bench
    [ "$status" -eq 2 ]
    run --separate-stderr "$AUKLET" bench "$ROOT/data/miniature" --layers 3
    [ "$status" -eq 2 ]
    run --separate-stderr "$AUKLET" bench --synthetic 9bit --no-ledger
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"9bit"*"want 4bit"* ]]
    run --separate-stderr "$AUKLET" bench "$ROOT/data/miniature" --no-ledger --depth 1,x
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"--depth"* ]]
    run --separate-stderr "$AUKLET" bench --synthetic bf16 --layers 1000 --no-ledger
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"available"* ]]
}
