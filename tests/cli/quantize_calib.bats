#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# quantize --method wrtn and gptq: calibration data in, the same bytes out, and what is refused.

load helpers

setup_file() {
    load helpers
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_FILE_TMPDIR/model"
    head -c 20000 "$ROOT/data/miniature/heldout.txt" >"$BATS_FILE_TMPDIR/text.txt"
}

setup() {
    M=$BATS_FILE_TMPDIR/model
    T=$BATS_FILE_TMPDIR/text.txt
    D=$BATS_TEST_TMPDIR/out
}

weights() {
    sha256sum <"$1/model.safetensors"
}

gptq() {
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --method gptq --calib-length 128 --calib-tokens 1024 "$@"
}

refused() {
    if [ "$status" -ne 1 ] || [ -n "$output" ] || [ "${#stderr_lines[@]}" -ne 1 ]; then
        printf 'status %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "$stderr"
        return 1
    fi
    for word in "$@"; do
        has "$stderr" "$word"
    done
}

@test "gptq says what it takes, and logs every matrix" {
    gptq --calib "$T" --json
    [ "$status" -eq 0 ]
    has "$stderr" "1024 tokens in 8 sequences"
    has "$stderr" "of memory"
    jq -e '.method == "gptq" and .matrices == 15 and (.experts | length) == 15
        and (.experts | map(has("layer") and has("expert") and has("proj") and has("tokens") and has("n_eff")
            and has("err_rtn") and has("err_wrtn") and has("err_gptq") and has("chosen")) | all)
        and ([.experts[] | select(.chosen == "wrtn")] | length) == .fallbacks
        and ([.experts[] | select(.chosen == "wrtn") | .reason | length > 0] | all)
        and ([.experts[] | select(.expert >= 0 and .proj == "up_proj") | .tokens] | add) == 2048' <<<"$output"
    run --separate-stderr "$AUKLET" run "$D" hi --greedy --max-tokens 3 --json -q
    [ "$status" -eq 0 ]
    [ -z "$(ls -A "$D" | grep auklet)" ]
}

@test "the same bytes for 1, 2, 3 and 7 threads and every processor level" {
    for method in wrtn gptq; do
        want=
        for how in --threads=1 --threads=2 --threads=3 --threads=7 --cpu=scalar --cpu=avx2; do
            case $how in --cpu=avx2) grep -qw avx2 /proc/cpuinfo 2>/dev/null || continue ;; esac
            "$AUKLET" quantize "$M" "$D" --method $method --calib "$T" --calib-length 64 --calib-tokens 256 \
                "$how" -q --force >/dev/null
            got=$(weights "$D")
            [ -z "$want" ] || [ "$got" = "$want" ]
            want=$got
        done
    done
}

@test "less error than round to nearest, and the same files" {
    gptq --calib "$T" --json
    jq -e '([.experts[] | .err_rtn] | add) > ([.experts[] | if .chosen == "gptq" then .err_gptq else .err_wrtn end] | add)' <<<"$output"
    "$AUKLET" quantize "$M" "$D-rtn" -q >/dev/null
    diff "$D/config.json" "$D-rtn/config.json"
    [ "$("$AUKLET" tensors "$D" | jq -c '[.name, .dtype, .shape]')" = "$("$AUKLET" tensors "$D-rtn" | jq -c '[.name, .dtype, .shape]')" ]
}

@test "every bit width, group size, recipe and class" {
    for options in "--bits 2" "--bits 3 --group-size 32" "--bits 5" "--bits 6" "--bits 8" "--recipe mixed_3_6" \
        "--include experts,attention,router" "--include attention" "--weight-power 0"; do
        # shellcheck disable=SC2086
        gptq --calib "$T" --json --force $options
        [ "$status" -eq 0 ]
        jq -e '.matrices > 0' <<<"$output"
    done
    run "$AUKLET" tensors "$D"
    [ "$status" -eq 0 ]
}

@test "wrtn needs no data, and has searched scales for the floating-point modes" {
    echo "one line to score" >"$BATS_TEST_TMPDIR/line.txt" # the weights are what is compared
    for mode in affine mxfp4 mxfp8 nvfp4; do
        "$AUKLET" quantize "$M" "$D" --method wrtn --mode $mode -q --force >/dev/null
        "$AUKLET" quantize "$M" "$D-rtn" --mode $mode -q --force >/dev/null
        a=$("$AUKLET" compare "$M" "$D" --tensors --text "$BATS_TEST_TMPDIR/line.txt" --json -q | jq '[.tensors[].rel_err] | add')
        b=$("$AUKLET" compare "$M" "$D-rtn" --tensors --text "$BATS_TEST_TMPDIR/line.txt" --json -q | jq '[.tensors[].rel_err] | add')
        jq -e -n "$a <= $b"
    done
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --method gptq --mode mxfp4 --force
    [ "$status" -ne 0 ]
    has "$stderr" "wrtn"
}

@test "chats, ids and MBPP as calibration data" {
    cat >"$BATS_TEST_TMPDIR/chat.jsonl" <<'END'
{"messages": [{"role": "user", "content": "Add 2 and 3."}, {"role": "assistant", "thinking": "Five.", "content": "5"}]}
{"tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}], "messages": [{"role": "user", "content": "Add."}, {"role": "assistant", "tool_plan": "Use add.", "tool_calls": [{"id": "0", "type": "function", "function": {"name": "add", "arguments": {"a": 2}}}]}, {"role": "tool", "tool_call_id": "0", "content": "5"}, {"role": "assistant", "content": "5"}]}
END
    gptq --calib "$BATS_TEST_TMPDIR/chat.jsonl" --calib-tokens 4096 --json
    [ "$status" -eq 0 ]
    # what was calibrated with is what render and tokenize give
    want=$(jq -c '. + {"add_generation_prompt": false}' "$BATS_TEST_TMPDIR/chat.jsonl" | "$AUKLET" render "$M" |
        "$AUKLET" tokenize "$M" --special | jq '.ids | length' | jq -s add)
    jq -e ".calibration.tokens == $want" <<<"$output"
    echo '[[1, 2, 3, 4], [5, 6, 7]]' >"$BATS_TEST_TMPDIR/ids.json"
    gptq --calib "$BATS_TEST_TMPDIR/ids.json" --json --force
    jq -e '.calibration.tokens == 7 and .calibration.sequences == 2' <<<"$output"
    for i in $(seq 1 974); do
        echo "{\"task_id\": $i, \"text\": \"Write function number $i of the list.\", \"code\": \"def f$i(x):\\n    value_$i = x + $i\\n    return value_$i * $i + len(str(x))\", \"test_list\": []}"
    done >"$BATS_TEST_TMPDIR/mbpp.jsonl"
    gptq --calib "mbpp:$BATS_TEST_TMPDIR/mbpp.jsonl" --calib-tokens 20000 --json --force
    [ "$status" -eq 0 ]
    jq -e '.calibration.tokens == 16384 and .calibration.sequences == 64' <<<"$output"
    # a change in a problem that evaluations use changes nothing
    sha=$(jq .calibration.sha256 <<<"$output")
    sed -i 's/number 100 of/number 100 or more of/; s/number 510 of/number 511 of/' "$BATS_TEST_TMPDIR/mbpp.jsonl"
    gptq --calib "mbpp:$BATS_TEST_TMPDIR/mbpp.jsonl" --calib-tokens 20000 --json --force
    [ "$sha" = "$(jq .calibration.sha256 <<<"$output")" ]
    head -100 "$BATS_TEST_TMPDIR/mbpp.jsonl" >"$BATS_TEST_TMPDIR/few.jsonl"
    gptq --calib "mbpp:$BATS_TEST_TMPDIR/few.jsonl" --force
    refused "problems outside 11..510"
}

@test "without data gptq takes the built-in mix" {
    gptq --json
    [ "$status" -eq 0 ]
    jq -e '.calibration.tokens > 800' <<<"$output"
}

@test "an expert without a token is counted and named" {
    echo '[7, 8]' >"$BATS_TEST_TMPDIR/ids.json"
    gptq --calib "$BATS_TEST_TMPDIR/ids.json" --json
    [ "$status" -eq 0 ]
    jq -e '([.experts[] | select(.expert >= 0 and .tokens == 0 and .proj == "down_proj")
        | .chosen == "wrtn" and .reason == "no tokens"] | all)
        and ([.experts[] | select(.tokens == 0)] | length) > 0' <<<"$output"
    gptq --calib "$BATS_TEST_TMPDIR/ids.json" --force
    has "$output" "none"
}

@test "calibration text that is no use is refused" {
    : >"$BATS_TEST_TMPDIR/empty.txt"
    gptq --calib "$BATS_TEST_TMPDIR/empty.txt"
    refused "empty.txt' is empty"
    printf ' \n\t\n' >"$BATS_TEST_TMPDIR/blank.txt"
    gptq --calib "$BATS_TEST_TMPDIR/blank.txt"
    refused "no text"
    echo "def f(x): return x" >"$BATS_TEST_TMPDIR/short.txt"
    gptq --calib "$BATS_TEST_TMPDIR/short.txt"
    refused "less than one sequence of 128"
    for i in $(seq 400); do echo "съешь же ещё этих мягких булок $i"; done >"$BATS_TEST_TMPDIR/foreign.txt"
    gptq --calib "$BATS_TEST_TMPDIR/foreign.txt"
    refused "hardly in Latin script" "--calib-any"
    for i in $(seq 400); do echo "the same line again and again"; done >"$BATS_TEST_TMPDIR/same.txt"
    gptq --calib "$BATS_TEST_TMPDIR/same.txt"
    refused "repeats itself" "--calib-any"
    gptq --calib "$BATS_TEST_TMPDIR/same.txt" --calib-any --json
    [ "$status" -eq 0 ]
    jq -e '[.experts[] | .damp > 0 or .reason != ""] | all' <<<"$output"
    gptq --calib "$BATS_TEST_TMPDIR/nothing.txt" --force
    refused "nothing.txt"
    echo '{"messages": 3}' >"$BATS_TEST_TMPDIR/bad.jsonl"
    gptq --calib "$BATS_TEST_TMPDIR/bad.jsonl" --force
    refused "messages"
    echo '{"text": "x"}' >"$BATS_TEST_TMPDIR/bad.jsonl"
    gptq --calib "$BATS_TEST_TMPDIR/bad.jsonl" --force
    refused "line 1" "neither"
    echo '[1, 999999]' >"$BATS_TEST_TMPDIR/ids.json"
    gptq --calib "$BATS_TEST_TMPDIR/ids.json" --force
    has "$stderr" "ids end at 1535"
}

@test "weights and activations that are not finite are refused by name" {
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_TEST_TMPDIR/m" "tensor model.layers.1.mlp.experts.2.up_proj.weight=inf"
    run --separate-stderr "$AUKLET" quantize "$BATS_TEST_TMPDIR/m" "$D" --method gptq --calib "$T" --calib-length 128 --calib-tokens 1024 -q
    refused "model.layers.1.mlp.experts.2.up_proj.weight" "not a finite number"
    [ ! -e "$D" ]
    # finite weights, but too large to compute with
    cp -r "$M" "$BATS_TEST_TMPDIR/large"
    python3 - "$BATS_TEST_TMPDIR/large/model.safetensors" <<'END'
import json, struct, sys
f = open(sys.argv[1], "r+b")
n = struct.unpack("<Q", f.read(8))[0]
at = json.loads(f.read(n))["model.layers.0.input_layernorm.weight"]["data_offsets"][0]
f.seek(8 + n + at)
f.write(b"\x7f\x7f" * 64)
f.close()
END
    ! cmp -s "$M/model.safetensors" "$BATS_TEST_TMPDIR/large/model.safetensors"
    run --separate-stderr "$AUKLET" quantize "$BATS_TEST_TMPDIR/large" "$D" --method gptq --calib "$T" --calib-length 128 --calib-tokens 1024 -q --force
    refused "activations of layer" "not finite"
}

@test "an unfinished run of other options is said with --resume, and begun anew without" {
    (
        "$AUKLET" quantize "$M" "$D" --method gptq --calib "$T" --calib-length 128 --calib-tokens 8192 -q --threads 1 &
        pid=$!
        for _ in $(seq 400); do
            [ -e "$D.partial/.auklet-calibration-1" ] && break
            sleep 0.01
        done
        kill -9 $pid
        wait $pid
    ) >/dev/null 2>&1 || true
    if [ ! -e "$D.partial" ]; then skip "the run was faster than the kill"; fi
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --method gptq --calib "$T" --calib-length 64 --calib-tokens 8192 -q --resume
    refused "other options" "--resume"
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --method gptq --calib "$T" --calib-length 128 --calib-tokens 8192 -q --resume
    [ "$status" -eq 0 ]
    "$AUKLET" quantize "$M" "$D-whole" --method gptq --calib "$T" --calib-length 128 --calib-tokens 8192 -q >/dev/null
    [ "$(weights "$D")" = "$(weights "$D-whole")" ]
}

@test "a budget is kept to the byte, and said" {
    plain=$("$AUKLET" quantize "$M" "$D-plain" -q --json | jq .bytes)
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --max-size "$plain" --calib-tokens 2048 --json -q --method wrtn
    [ "$status" -eq 0 ]
    jq -e ".bytes <= $plain and .bytes == .budget.bytes and .budget.predicted_kl > 0
        and ([.budget.items[].kl] | add) <= .budget.predicted_kl * 1.000001
        and (.modules | length) == 7" <<<"$output"
    jq -e '[.quantization | to_entries[] | select(.key | startswith("language_model"))] | length == 7' "$D/config.json"
    files=$("$AUKLET" tensors "$D" | jq -s 'map(.bytes) | add')
    [ "$files" = "$(jq .bytes <<<"$output")" ]
    run --separate-stderr "$AUKLET" run "$D" hi --greedy --max-tokens 3 --json -q
    [ "$status" -eq 0 ]
    run --separate-stderr "$AUKLET" quantize "$M" "$D-small" --max-size 50KB --calib-tokens 2048 -q
    refused "smallest layout takes"
    least=$(grep -o 'layout takes [0-9]*' <<<"$stderr" | grep -o '[0-9]*')
    run --separate-stderr "$AUKLET" quantize "$M" "$D-small" --max-size "$least" --calib-tokens 2048 -q --json
    [ "$status" -eq 0 ]
    jq -e ".bytes == $least" <<<"$output"
    run --separate-stderr "$AUKLET" quantize "$M" "$D-none" --max-memory 1KB --ctx 512 --calib-tokens 2048 -q
    refused "context of 512 tokens alone takes"
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --max-memory 100MB --ctx 512 --calib-tokens 2048 -q --force --method gptq
    [ "$status" -eq 0 ]
}

@test "--dry-run says everything and writes nothing" {
    gptq --calib "$T" --dry-run
    [ "$status" -eq 0 ]
    has "$output" "bits per weight"
    has "$output" "memory: at most"
    has "$output" "time: about"
    has "$output" "switch_mlp.down_proj: affine 4 bits"
    [ ! -e "$D" ] && [ ! -e "$D.partial" ]
    gptq --calib "$T" --dry-run --json
    said=$(jq .bytes <<<"$output")
    memory=$(jq .memory_bytes <<<"$output") # 300 MB for reading and writing, the rest for calibration
    gptq --calib "$T" --json
    jq -e ".bytes == $said and .work_bytes > 0 and .work_bytes <= $memory - 300000000
        and .peak_rss_bytes <= $memory" <<<"$output"
}

@test "the record holds every matrix, and the report draws layers by experts" {
    gptq --calib "$T" --ledger --db "$BATS_TEST_TMPDIR/l.db" --json -q
    [ "$status" -eq 0 ]
    id=$(jq -r .ledger_id <<<"$output")
    run "$AUKLET" ledger verify --db "$BATS_TEST_TMPDIR/l.db"
    [ "$status" -eq 0 ]
    "$AUKLET" ledger show "$id" --json --db "$BATS_TEST_TMPDIR/l.db" | grep -q err_gptq
    "$AUKLET" report "$id" --db "$BATS_TEST_TMPDIR/l.db" -o "$BATS_TEST_TMPDIR/r.html"
    has "$(cat "$BATS_TEST_TMPDIR/r.html")" "layers down, experts across"
    [ "$(grep -o '<rect class="f"' "$BATS_TEST_TMPDIR/r.html" | wc -l)" -eq 4 ] # one sparse layer, four experts
    "$AUKLET" report "$id" --db "$BATS_TEST_TMPDIR/l.db" --format md -o "$BATS_TEST_TMPDIR/r.md"
    has "$(cat "$BATS_TEST_TMPDIR/r.md")" "experts across"
}

@test "wrong options" {
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --method best
    usage_error
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --calib "$T"
    usage_error
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --include heads
    usage_error
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --recipe mixed_4_8 --include experts
    usage_error
}
