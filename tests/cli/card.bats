#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helpers

setup() {
    export AUK_LEDGER=$BATS_TEST_TMPDIR/ledger.db
    Q=$BATS_TEST_TMPDIR/small-4bit
}

@test "a card says how a folder was made, and what was measured" {
    cp -r "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/North-Mini-Code-1.0-mini"
    "$AUKLET" quantize "$BATS_TEST_TMPDIR/North-Mini-Code-1.0-mini" "$Q" -q >/dev/null
    echo '[2, 5, 7, 9, 11, 13]' >"$BATS_TEST_TMPDIR/ids"
    "$AUKLET" compare "$ROOT/data/miniature" "$Q" --ids "$BATS_TEST_TMPDIR/ids" -q >/dev/null
    run --separate-stderr "$AUKLET" card "$Q/"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = --- ]
    has "$output" 'license: "apache-2.0"'
    has "$output" 'base_model: "CohereLabs/North-Mini-Code-1.0"'
    has "$output" 'library_name: mlx'
    has "$output" '# small-4bit'
    has "$output" 'method rtn: 6.509 bits per weight'
    has "$output" 'over 5 tokens: mean KL'
    has "$output" 'auklet quantize North-Mini-Code-1.0-mini small-4bit'
    case $output in *"$BATS_TEST_TMPDIR"*) false ;; esac
    "$AUKLET" card "$Q" -o "$Q/README.md" --force
    "$AUKLET" card "$Q" | cmp - "$Q/README.md" # the card is no part of what it describes
    "$AUKLET" card "$Q" --json | python3 -c '
import json, sys
v = json.load(sys.stdin)
assert v["schema"] == "auklet.card/1" and v["records"] == 2 and v["card"].startswith("---")
'
}

@test "the front matter is YAML whatever the name" {
    python3 -c 'import yaml' 2>/dev/null || skip "no python3 with yaml"
    "$AUKLET" quantize "$ROOT/data/miniature" "$Q" -q >/dev/null
    "$AUKLET" card "$Q" --name 'a: "b" # c' --base-model 'x/y: z' --license 'other"' | python3 -c '
import sys, yaml
front = yaml.safe_load(sys.stdin.read().split("---\n")[1])
assert front["base_model"] == "x/y: z" and front["license"] == "other\"", front
'
}

@test "a changed byte is another model, of which nothing is known" {
    "$AUKLET" quantize "$ROOT/data/miniature" "$Q" -q >/dev/null
    printf ' ' >>"$Q/config.json"
    run --separate-stderr "$AUKLET" card "$Q"
    [ "$status" -eq 1 ] && [ -z "$output" ]
    has "$stderr" "no record of the model 'small-4bit'"
    run --separate-stderr "$AUKLET" card "$BATS_TEST_TMPDIR/none"
    [ "$status" -eq 1 ]
    run --separate-stderr "$AUKLET" card
    usage_error
}
