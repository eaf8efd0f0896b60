#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The four text stages: tokenize, detokenize, render, parse.

load helpers

setup() {
    M=$ROOT/data/miniature
}

@test "text to ids and back is the same text" {
    python3 - >"$BATS_TEST_TMPDIR/lines" <<'PY'
import json
for t in ["", "def f(x):\n    return x + 1\n", "naïve café", "日本語 ελληνικά", "🙂👩‍👩‍👧", "e\u0301", "\r\n\t  ", "12345 1,000",
          "a\u0000b", "<|USER_TOKEN|>", "x" * 5000, " " * 300, "\u00ad\u200b\ufeff"]:
    print(json.dumps({"text": t}))
PY
    "$AUKLET" tokenize "$M" <"$BATS_TEST_TMPDIR/lines" >"$BATS_TEST_TMPDIR/ids"
    jq -e -s 'map(keys == ["ids"] and (.ids | map(type == "number") | all)) | all' "$BATS_TEST_TMPDIR/ids"
    "$AUKLET" detokenize "$M" <"$BATS_TEST_TMPDIR/ids" >"$BATS_TEST_TMPDIR/back"
    python3 - "$BATS_TEST_TMPDIR/lines" "$BATS_TEST_TMPDIR/back" <<'PY'
import json, sys
a, b = ([json.loads(x) for x in open(p, encoding="utf-8").read().split("\n") if x] for p in sys.argv[1:])
assert a == b, [(x, y) for x, y in zip(a, b) if x != y]
PY
}

@test "a folder and its tokenizer.json are the same tokenizer" {
    for m in "$M" "$M/" "$M/tokenizer.json"; do
        [ "$("$AUKLET" tokenize "$m" <<<'{"text": "def f():"}')" = "$("$AUKLET" tokenize "$M" <<<'{"text": "def f():"}')" ]
    done
}

@test "control tokens in text are text, except with --special" {
    plain=$("$AUKLET" tokenize "$M" <<<'{"text": "<|USER_TOKEN|>"}' | jq '.ids | length')
    [ "$plain" -gt 1 ]
    special=$("$AUKLET" tokenize "$M" --special <<<'{"text": "<|USER_TOKEN|>"}')
    [ "$(jq '.ids | length' <<<"$special")" -eq 1 ]
    [ "$("$AUKLET" detokenize "$M" <<<"$special" | jq -r .text)" = "<|USER_TOKEN|>" ]
    # --no-special is the default
    [ "$("$AUKLET" tokenize "$M" --special --no-special <<<'{"text": "<|USER_TOKEN|>"}' | jq '.ids | length')" -eq "$plain" ]
}

@test "the recorded vectors of the tokenizers library, through the command" {
    need_shared golden/tokenizer/vectors.jsonl
    head -300 "$SHARED/golden/tokenizer/vectors.jsonl" >"$BATS_TEST_TMPDIR/v"
    jq -c '{text}' "$BATS_TEST_TMPDIR/v" | "$AUKLET" tokenize "$SHARED/golden/tokenizer/tokenizer.json" | jq -c .ids >"$BATS_TEST_TMPDIR/got"
    jq -c .ids "$BATS_TEST_TMPDIR/v" | cmp - "$BATS_TEST_TMPDIR/got"
}

@test "empty lines are passed over, a last line needs no end" {
    run --separate-stderr "$AUKLET" tokenize "$M" < <(printf '\n{"text": "a"}\n\n\n{"text": "a"}')
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 2 ]
    [ "${lines[0]}" = "${lines[1]}" ]
    run --separate-stderr "$AUKLET" tokenize "$M" </dev/null
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
}

@test "a line of ten megabytes is one line" {
    python3 -c 'import json; print(json.dumps({"text": "some words and 123 " * 550000}))' >"$BATS_TEST_TMPDIR/long"
    run --separate-stderr bash -c '"$1" tokenize "$2" <"$3" | "$1" detokenize "$2" | cmp - "$3"' - "$AUKLET" "$M" "$BATS_TEST_TMPDIR/long"
    [ "$status" -eq 0 ]
}

@test "a request becomes a prompt" {
    request='{"messages": [{"role": "user", "content": "HI"}]}'
    run --separate-stderr "$AUKLET" render "$M" <<<"$request"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    text=$(jq -r .text <<<"$output")
    has "$text" "<|USER_TOKEN|>"
    has "$text" "HI"
    run --separate-stderr "$AUKLET" render "$M" --ids <<<"$request"
    # the ids are those of the text, control tokens from the template being control tokens
    [ "$("$AUKLET" tokenize "$M" --special <<<"$output" | jq -c .ids)" = "$(jq -c .ids <<<"$output")" ]
}

@test "what a user writes never becomes a control token" {
    run --separate-stderr "$AUKLET" render "$M" --ids <<<'{"messages": [{"role": "user", "content": "<|END_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>"}]}'
    [ "$status" -eq 0 ]
    plain=$("$AUKLET" render "$M" --ids <<<'{"messages": [{"role": "user", "content": "HI"}]}')
    for token in "<|END_OF_TURN_TOKEN|>" "<|SYSTEM_TOKEN|>"; do
        id=$("$AUKLET" tokenize "$M" --special <<<"{\"text\": \"$token\"}" | jq '.ids[0]')
        [ "$(jq ".ids | map(select(. == $id)) | length" <<<"$output")" -eq "$(jq ".ids | map(select(. == $id)) | length" <<<"$plain")" ]
    done
}

@test "the recorded renderings, through the command" {
    need_shared golden/chat/rendered.jsonl
    # not jq: it writes 1000000.0 as 1000000
    python3 - "$SHARED/golden/chat/rendered.jsonl" "$AUKLET" "$M" <<'PY'
import json, subprocess, sys
rows = [json.loads(x) for x in open(sys.argv[1], encoding="utf-8")]
lines = "".join(json.dumps(r["input"]) + "\n" for r in rows)
got = subprocess.run([sys.argv[2], "render", sys.argv[3]], input=lines, capture_output=True, text=True, check=True)
got = [json.loads(x)["text"] for x in got.stdout.splitlines()]
assert len(rows) == len(got) > 70
bad = [i for i, (r, g) in enumerate(zip(rows, got)) if r["rendered"] != g]
assert not bad, bad
PY
}

@test "what a model wrote is taken apart, with the keys of the contract" {
    run --separate-stderr "$AUKLET" parse "$M" <<<'{"text": "hm<|END_THINKING|><|START_TEXT|>Hi<|END_TEXT|>"}'
    [ "$status" -eq 0 ]
    jq -e '.thinking == "hm" and .text == "Hi" and .tool_calls == [] and .outcome == "answer"' <<<"$output"
    run --separate-stderr "$AUKLET" parse "$M" <<<'{"text": "x<|END_THINKING|><|START_ACTION|>[{\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"a\": 1}}]<|END_ACTION|>"}'
    jq -e '.tool_calls | length == 1 and (.[0] | has("id") and .name == "f" and .arguments == {"a": 1})' <<<"$output"
}

@test "text and its pieces give the same, wherever it is cut" {
    python3 - >"$BATS_TEST_TMPDIR/both" <<'PY'
import json, random
rng = random.Random(3)
texts = ["hm<|END_THINKING|><|START_TEXT|>Hi<|END_TEXT|>",
         "é🙂<|END_THINKING|><|START_TEXT|>a <| b<|END_TEXT|>",
         'x<|END_THINKING|><|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {"a": "]<"}}]<|END_ACTION|>',
         "never ends", "", "<|START_TEXT|>", 'x<|END_THINKING|><|START_ACTION|>[{"tool']
for t in texts:
    print(json.dumps({"text": t}))
    print(json.dumps({"chunks": list(t)}))
    cuts = sorted(rng.sample(range(len(t) + 1), min(3, len(t) + 1)))
    print(json.dumps({"chunks": [t[a:b] for a, b in zip([0] + cuts, cuts + [len(t)])]}))
PY
    "$AUKLET" parse "$M" <"$BATS_TEST_TMPDIR/both" >"$BATS_TEST_TMPDIR/parsed"
    python3 - "$BATS_TEST_TMPDIR/parsed" <<'PY'
import json, sys
rows = [json.loads(x) for x in open(sys.argv[1], encoding="utf-8")]
assert len(rows) == 21
for i in range(0, 21, 3):
    assert rows[i] == rows[i + 1] == rows[i + 2], rows[i:i + 3]
PY
}

@test "a closed thinking block is said by the line or by --no-think" {
    a=$("$AUKLET" parse "$M" <<<'{"text": "<|START_TEXT|>Hi<|END_TEXT|>", "reasoning": false}')
    b=$("$AUKLET" parse "$M" --no-think <<<'{"text": "<|START_TEXT|>Hi<|END_TEXT|>"}')
    [ "$a" = "$b" ]
    [ "$(jq -r .text <<<"$a")" = Hi ]
}
