#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helpers

setup_file() {
    load helpers
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_FILE_TMPDIR/a"
    "$AUKLET" quantize "$BATS_FILE_TMPDIR/a" "$BATS_FILE_TMPDIR/q4" -q
    "$AUKLET" quantize "$BATS_FILE_TMPDIR/a" "$BATS_FILE_TMPDIR/q2" --bits 2 -q
    python3 -c 'print([2] + [(i * 37 + 5) % 1536 for i in range(299)])' >"$BATS_FILE_TMPDIR/ids.json"
}

setup() {
    A=$BATS_FILE_TMPDIR/a
    Q4=$BATS_FILE_TMPDIR/q4
    Q2=$BATS_FILE_TMPDIR/q2
    IDS=$BATS_FILE_TMPDIR/ids.json
    REF=$BATS_TEST_TMPDIR/a.ref
}

@test "a model is equal to itself" {
    run --separate-stderr "$AUKLET" compare "$A" "$A" --ids "$IDS" --tensors --json
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    jq -e '.schema == "auklet.compare/1" and .tokens == 299 and .kl_mean == 0 and .kl_max == 0
        and .kl_p99 == 0 and .top1_agreement == 1 and .ln_ppl_ratio == 0 and .ppl_a == .ppl_b
        and (.tensors | length > 0) and (.tensors | map(.rel_err == 0) | all)' <<<"$output"
}

@test "the document has every key of the contract" {
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$IDS" --tensors --json
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    for key in tokens kl_mean kl_se kl_p99 top1_agreement ppl_a ppl_b ln_ppl_ratio ln_ppl_ratio_se tensors; do
        jq -e "has(\"$key\")" <<<"$output"
    done
    jq -e '.kl_mean > 0 and .kl_se > 0 and .kl_p99 >= .kl_mean and .top1_agreement < 1
        and (.tensors | map(has("name") and .rel_err >= 0 and .rel_err < 1) | all)' <<<"$output"
}

@test "fewer bits hurt more" {
    four=$("$AUKLET" compare "$A" "$Q4" --ids "$IDS" --tensors --json)
    two=$("$AUKLET" compare "$A" "$Q2" --ids "$IDS" --tensors --json)
    jq -e --argjson four "$four" '.kl_mean > 2 * $four.kl_mean and
        .top1_agreement < $four.top1_agreement' <<<"$two"
    jq -e --argjson four "$four" '[.tensors[].rel_err] as $t |
        [$four.tensors[].rel_err] as $f | [range($t | length)] | map($t[.] >= $f[.]) | all' <<<"$two"
}

@test "KL and perplexity are those of the logits" {
    "$AUKLET" logits "$A" --ids "$IDS" -o "$BATS_TEST_TMPDIR/a.npy"
    "$AUKLET" logits "$Q4" --ids "$IDS" -o "$BATS_TEST_TMPDIR/b.npy"
    "$AUKLET" compare "$A" "$Q4" --ids "$IDS" --json >"$BATS_TEST_TMPDIR/got"
    python3 - "$BATS_TEST_TMPDIR" "$IDS" <<'PY'
import array, json, math, struct, sys
folder, ids = sys.argv[1], json.load(open(sys.argv[2]))
def rows(name):
    d = open(folder + name, "rb").read()
    x = array.array("f", d[10 + struct.unpack("<H", d[8:10])[0]:])
    for t in range(299):
        r = x[1536 * t:1536 * (t + 1)]
        m = max(r)
        s = m + math.log(sum(math.exp(v - m) for v in r))
        yield [v - s for v in r]
kl = nll_a = nll_b = top = 0
for t, (p, q) in enumerate(zip(rows("/a.npy"), rows("/b.npy"))):
    kl += sum(math.exp(a) * (a - b) for a, b in zip(p, q))
    nll_a -= p[ids[t + 1]]
    nll_b -= q[ids[t + 1]]
    top += p.index(max(p)) == q.index(max(q))
got = json.load(open(folder + "/got"))
for key, want in (("kl_mean", kl / 299), ("ppl_a", math.exp(nll_a / 299)), ("ppl_b", math.exp(nll_b / 299)),
                  ("top1_agreement", top / 299), ("ln_ppl_ratio", (nll_b - nll_a) / 299)):
    assert abs(got[key] - want) <= 1e-6 * abs(want), (key, got[key], want)
PY
}

@test "a reference file is written, then read, and bounds KL from below" {
    exact=$("$AUKLET" compare "$A" "$Q4" --ids "$IDS" --json | jq .kl_mean)
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$IDS" --reference "$REF" --json
    [ "$status" -eq 0 ]
    [ -s "$REF" ]
    [ ! -e "$REF.tmp" ]
    before=$(sha256sum <"$REF")
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$IDS" --reference "$REF" --json
    [ "$status" -eq 0 ]
    jq -e --argjson exact "$exact" '.kl_is_lower_bound and .kl_mean > 0 and
        .kl_mean <= $exact * 1.0001' <<<"$output"
    [ "$(sha256sum <"$REF")" = "$before" ]
}

@test "with a reference A is not run again" {
    cp -r "$A" "$BATS_TEST_TMPDIR/own"
    "$AUKLET" compare "$BATS_TEST_TMPDIR/own" "$Q4" --ids "$IDS" --reference "$REF" --json >"$BATS_TEST_TMPDIR/first"
    # other weights under the same name change nothing of what is read
    python3 - "$BATS_TEST_TMPDIR/own/model.safetensors" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(-300000, 2)
    f.write(bytes(1000))
PY
    "$AUKLET" compare "$BATS_TEST_TMPDIR/own" "$Q4" --ids "$IDS" --reference "$REF" --json >"$BATS_TEST_TMPDIR/second"
    [ "$(jq .ppl_a "$BATS_TEST_TMPDIR/first" | cut -c1-8)" = "$(jq .ppl_a "$BATS_TEST_TMPDIR/second" | cut -c1-8)" ]
}

@test "a reference of other tokens is refused with its name and left alone" {
    "$AUKLET" compare "$A" "$A" --ids "$IDS" --reference "$REF" -q >/dev/null
    before=$(sha256sum <"$REF")
    echo '[2, 3, 4]' >"$BATS_TEST_TMPDIR/other"
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$BATS_TEST_TMPDIR/other" --reference "$REF"
    [ "$status" -eq 1 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    has "$stderr" "'$REF'"
    [ "$(sha256sum <"$REF")" = "$before" ]
    echo hello >"$REF"
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$IDS" --reference "$REF"
    [ "$status" -eq 1 ]
    has "$stderr" "'$REF'"
    [ "$(cat "$REF")" = hello ]
    truncate -s -1 "$REF"
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$IDS" --reference "$BATS_TEST_TMPDIR/absent/x.ref"
    [ "$status" -eq 1 ]
    has "$stderr" "absent/x.ref"
}

@test "--max-kl: exit 3 when the verdict is no, and the result is printed all the same" {
    run --separate-stderr "$AUKLET" compare "$A" "$Q2" --ids "$IDS" --max-kl 0.000001 --json
    [ "$status" -eq 3 ]
    jq -e '.kl_mean > 0.000001' <<<"$output"
    run --separate-stderr "$AUKLET" compare "$A" "$Q2" --ids "$IDS" --max-kl 1000 --json
    [ "$status" -eq 0 ]
    run --separate-stderr "$AUKLET" compare "$A" "$A" --ids "$IDS" --max-kl 0
    [ "$status" -eq 0 ]
}

@test "text is scored in windows, the folder's own when it has one" {
    printf 'def f(x):\n    return x\n' >"$BATS_TEST_TMPDIR/text"
    n=$("$AUKLET" tokenize "$A" < <(jq -Rs '{text: .}' -c "$BATS_TEST_TMPDIR/text") | jq '.ids | length')
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --text "$BATS_TEST_TMPDIR/text" --json
    [ "$status" -eq 0 ]
    tokens=$(jq .tokens <<<"$output") # a BOS comes first
    [ "$tokens" -eq "$n" ] || [ "$tokens" -eq $((n - 1)) ]
    cp -r "$A" "$BATS_TEST_TMPDIR/own"
    cp "$BATS_TEST_TMPDIR/text" "$BATS_TEST_TMPDIR/own/heldout.txt"
    [ "$("$AUKLET" compare "$BATS_TEST_TMPDIR/own" "$Q4" --json | jq -c .)" = "$(jq -c . <<<"$output")" ]
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$IDS" --window 100 --json
    [ "$(jq .tokens <<<"$output")" -eq 297 ]
}

@test "the same numbers for any number of threads and any level" {
    want=$("$AUKLET" compare "$A" "$Q4" --ids "$IDS" --tensors --json)
    for words in "--threads 1" "--threads 3" "--threads 7" "--cpu scalar"; do
        # shellcheck disable=SC2086
        [ "$("$AUKLET" compare "$A" "$Q4" --ids "$IDS" --tensors --json $words)" = "$want" ]
    done
}

@test "what cannot be compared is refused" {
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_TEST_TMPDIR/other" "tensor model.embed_tokens.weight=shape [1024, 96]" "config vocab_size=1024"
    run --separate-stderr "$AUKLET" compare "$A" "$BATS_TEST_TMPDIR/other" --ids "$IDS"
    [ "$status" -eq 1 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    for text in '[2]' '[]' '[2, 1536]'; do
        echo "$text" >"$BATS_TEST_TMPDIR/ids"
        run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$BATS_TEST_TMPDIR/ids"
        [ "$status" -eq 1 ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [ -z "$output" ]
    done
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --text /dev/null
    [ "$status" -eq 1 ]
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$IDS" --text "$IDS"
    usage_error
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --window 1
    usage_error
}

@test "progress is on stderr when asked for, and stdout is the same" {
    want=$("$AUKLET" compare "$A" "$Q4" --ids "$IDS" --json)
    run --separate-stderr "$AUKLET" compare "$A" "$Q4" --ids "$IDS" --json --progress=always
    [ "$output" = "$want" ]
    has "$stderr" "%"
}
