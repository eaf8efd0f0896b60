#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# eval against servers that are good, slow, cut, busy, lying or gone: a fault of the server is a
# harness_error of that item alone, asked again by --resume, and never a wrong answer.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    export AUK_LEDGER= XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
    tasks add + sub - mul '*' >t.jsonl
}

tasks() { # NAME OPERATOR...: a task of HumanEval's form each
    python3 - "$@" <<'P'
import json, sys
for i in range(0, len(sys.argv) - 1, 2):
    name, op = sys.argv[1 + i:3 + i]
    print(json.dumps({"task_id": "HumanEval/%d" % (i // 2), "entry_point": name,
        "prompt": "def %s(x, y):\n    \"\"\" x %s y \"\"\"\n" % (name, op),
        "canonical_solution": "    return x %s y\n" % op,
        "test": "def check(f):\n    assert f(7, 5) == 7 %s 5\n" % op}))
P
}

teardown() {
    stop_scripted
}

# serve [RULES [NAME=VALUE]...]: the solver; sets MODEL.
serve() {
    local rules=${1:-}
    [ $# -eq 0 ] || shift
    start_scripted "$ROOT/tests/http/solver.py:solve:$rules" "$@"
    MODEL=openai:http://127.0.0.1:$PORT/v1/m
}

evaluate() { # options...
    run --separate-stderr timeout 60 "$AUKLET" eval "${SET:-t.jsonl}" --model "$MODEL" --json "$@"
    echo "status $status"
    echo "$output"
    echo "$stderr"
}

column() { # FILE KEY: one value per line
    python3 -c '
import json, sys
print(" ".join(str(json.loads(l)[sys.argv[2]]) for l in open(sys.argv[1])))' "$1" "$2"
}

# What decides a score, of each line: times and counters may differ.
verdicts() {
    python3 -c '
import json, sys
for l in open(sys.argv[1]):
    v = json.loads(l)
    print(*(v[k] for k in ("task_id", "sample", "status", "truncated", "looped", "answer",
                           "program_sha256", "finish_reason")))' "$1"
}

@test "the three dialects and a plain URL give the same verdicts" {
    serve "sub=wrong"
    for MODEL in "$MODEL" "ollama:http://127.0.0.1:$PORT/m" "anthropic:http://127.0.0.1:$PORT/m" "http://127.0.0.1:$PORT"; do
        evaluate -o r.jsonl --force
        [ "$status" -eq 0 ]
        [ "$(json "v['n'], v['passed'], v['harness_error']")" = "3 2 0" ]
        [ "$(column r.jsonl status)" = "passed failed passed" ]
        verdicts r.jsonl >"now"
        [ ! -e first ] || diff first now
        cp now first
    done
    # and the same from the file
    run --separate-stderr "$AUKLET" eval t.jsonl --answers r.jsonl -o s.jsonl
    [ "$(column s.jsonl program_sha256)" = "$(column r.jsonl program_sha256)" ]
}

@test "thinking is told from the answer by field, by raw markers and by tags" {
    for fault in field=reasoning markup=north markup=think; do
        serve "sub=thinking_only" "$fault"
        evaluate -o r.jsonl --force
        [ "$(column r.jsonl status)" = "passed no_code passed" ]
        [ "$(column r.jsonl truncated)" = "False True False" ]
        [ "$(json "v['truncated'], v['looped']")" = "1 0" ]
    done
}

@test "what passes is asked again and leaves no trace in the score" {
    tasks add + sub - mul '*' div // mod % pow '**' shl '<<' >t7.jsonl
    serve "add=cut*1,sub=disconnect*1,mul=malformed*1,div=error*1,mod=no_end*1,pow=http500*1,shl=http429*1"
    SET=t7.jsonl evaluate -o r.jsonl
    [ "$status" -eq 0 ]
    [ "$(json "v['n'], v['passed'], v['harness_error']")" = "7 7 0" ]
    for id in 0 2 3 4 5 6; do # a connection that closed while idle is opened anew without a word
        has "$stderr" "HumanEval/$id: "
    done
}

@test "what does not pass is a harness_error of that item, and --resume asks it again" {
    tasks add + sub - mul '*' div // mod % pow '**' shl '<<' and_ '&' >t8.jsonl
    serve "add=cut,sub=disconnect,mul=malformed,div=error,mod=stall,pow=http500,shl=http429"
    SET=t8.jsonl evaluate -o r.jsonl --tries 2 --stall 1
    [ "$status" -eq 0 ]
    [ "$(json "v['n'], v['passed'], v['harness_error']")" = "1 1 7" ]
    [ "$(grep -c 'def ' r.jsonl)" -eq 1 ]
    has "$(column r.jsonl detail)" "timeout: "
    has "$(column r.jsonl detail)" "busy: "
    has "$(column r.jsonl detail)" "malformed: "
    # good again, at another port: the file is told that it is the same run
    before=$(json "v['run']")
    serve
    SET=t8.jsonl evaluate -o other.jsonl --limit 1
    sed -i "s/$before/$(json "v['run']")/" r.jsonl
    SET=t8.jsonl evaluate -o r.jsonl --resume
    [ "$(json "v['resumed'], v['passed']")" = "1 8" ]
    [ "$(column r.jsonl task_id)" = "$(column t8.jsonl task_id)" ]
    [ "$(wc -l <"$LOG")" -eq 8 ] # one of the other run, seven that were missing
    run --separate-stderr "$AUKLET" stats wilson --a r.jsonl --json
    [ "$(json "v['k'], v['n']")" = "8 8" ]
}

@test "a wrong key ends the run with one line; a dead server too, in time" {
    serve "all=http401"
    evaluate -o r.jsonl
    [ "$status" -eq 1 ]
    has "${stderr_lines[-1]}" "--resume goes on"
    [ "$(wc -l <"$LOG")" -eq 1 ]
    stop_scripted
    evaluate -o s.jsonl --tries 1
    [ "$status" -eq 1 ]
    has "${stderr_lines[-1]}" "nothing could be scored"
}

@test "a loop stops the answer, is a column of its own, and changes no verdict" {
    serve "add=loop,sub=think_loop"
    evaluate -o with.jsonl
    [ "$(column with.jsonl status)" = "passed looped passed" ]
    [ "$(column with.jsonl looped)" = "True True False" ]
    [ "$(column with.jsonl finish_reason)" = "repetition_guard repetition_guard stop" ]
    [ "$(python3 -c "import json; print(max(len(json.loads(l)['answer']) for l in open('with.jsonl')) < 8000)")" = True ]
    evaluate -o without.jsonl --no-loop-stop
    [ "$(column without.jsonl status)" = "passed looped passed" ]
    [ "$(column without.jsonl looped)" = "True True False" ]
    [ "$(column without.jsonl truncated)" = "True True False" ]
}

@test "answers of 10 MB, with NUL bytes, with tool calls, without code" {
    serve "add=long,sub=nul,mul=calls"
    evaluate -o r.jsonl
    [ "$(column r.jsonl status)" = "passed failed no_code" ]
    [ "$(wc -c <r.jsonl)" -gt 10000000 ]
    run --separate-stderr "$AUKLET" eval t.jsonl --answers r.jsonl -o s.jsonl
    [ "$(column s.jsonl status)" = "passed failed no_code" ]
}

@test "samples have seeds of their own, several requests run at once, and the file is the same" {
    serve "all=sampled" rate=100
    evaluate -o one.jsonl --samples 4 --temperature 0.8
    [ "$status" -eq 0 ]
    [ "$(json "v['n'], v['k']")" = "12 4" ]
    python3 - <<P
import json
v = json.loads('''$output''')
lines = [json.loads(l) for l in open("one.jsonl")]
by = {}
for l in lines:
    by.setdefault(l["task_id"], []).append(l["passed"])
assert len({l["seed"] for l in lines}) == 12, "seeds"
assert abs(v["pass_at_1"] - sum(sum(x) / 4 for x in by.values()) / 3) < 1e-12
assert abs(v["pass_at_k"] - sum(any(x) for x in by.values()) / 3) < 1e-12
assert abs(v["pass_hat_k"] - sum(all(x) for x in by.values()) / 3) < 1e-12
P
    verdicts one.jsonl >want
    evaluate -o many.jsonl --samples 4 --temperature 0.8 --parallel 6
    verdicts many.jsonl | diff want -
    [ "$(python3 - "$LOG" <<'P'
import json, sys
log = [json.loads(l) for l in open(sys.argv[1])][12:]
seeds = {e["body"]["seed"] for e in log}
print(len(log), len(seeds))
P
)" = "12 12" ]
}

@test "a kill at any moment and --resume end with the same file" {
    serve "sub=wrong" rate=200
    evaluate -o want.jsonl --samples 3 --temperature 1
    verdicts want.jsonl >want
    for delay in 0.5 0.8 1.1; do
        timeout -s KILL $delay "$AUKLET" eval t.jsonl --model "$MODEL" -o r.jsonl --resume -q --samples 3 --temperature 1 --parallel 2 >/dev/null 2>&1 || true
    done
    evaluate -o r.jsonl --resume --samples 3 --temperature 1
    verdicts r.jsonl | diff want -
}

@test "an interrupt keeps what is done" {
    serve "" rate=40
    "$AUKLET" eval t.jsonl --model "$MODEL" -o r.jsonl >/dev/null 2>err &
    pid=$!
    for _ in $(seq 100); do [ -s r.jsonl ] && break; sleep 0.05; done
    kill -INT $pid
    wait $pid && status=0 || status=$?
    [ "$status" -eq 130 ]
    has "$(tail -n 1 err)" "--resume goes on"
    evaluate -o r.jsonl --resume
    [ "$(json "v['passed'], v['resumed'] > 0")" = "3 True" ]
}

@test "progress tells the rate, what passed so far and the time left" {
    serve "sub=wrong" rate=30
    run --separate-stderr "$AUKLET" eval t.jsonl --model "$MODEL" --progress always
    echo "$stderr" | tr '\r' '\n' | grep -E 't.jsonl, 0\.500 passed +66\.7 %  [0-9.]+ tasks/s  [0-9]+ s left'
}

@test "a named set is fetched once, checked, and kept; offline one line says what to do" {
    serve
    python3 -m http.server --bind 127.0.0.1 0 --directory . >web 2>&1 3>&- &
    web=$!
    for _ in $(seq 50); do grep -q port web && break; sleep 0.1; done
    export AUK_DATA_URL=http://127.0.0.1:$(grep -o 'port [0-9]*' web | cut -d' ' -f2)
    echo '{"task_id": 0, "completion": "    return 1"}' >c.jsonl
    echo wrong >HumanEval.jsonl.gz
    run --separate-stderr "$AUKLET" eval humaneval --completions c.jsonl --limit 1
    [ "$status" -eq 1 ]
    has "$stderr" "give it with --data FILE"
    [ ! -e cache/auklet/data/HumanEval.jsonl.gz ]
    shared=${AUK_SHARED:-$ROOT/../shared}/data/HumanEval.jsonl.gz
    if [ -e "$shared" ]; then
        cp "$shared" .
        run --separate-stderr "$AUKLET" eval humaneval --completions c.jsonl --limit 1
        [ "$status" -eq 0 ]
        kill $web
        run --separate-stderr "$AUKLET" eval humaneval --completions c.jsonl --limit 1
        [ "$status" -eq 0 ]
        echo x >>cache/auklet/data/HumanEval.jsonl.gz # damaged: not used
    fi
    kill $web 2>/dev/null || true
    run --separate-stderr "$AUKLET" eval humaneval --completions c.jsonl --limit 1
    [ "$status" -eq 1 ]
    has "${stderr_lines[-1]}" "fetch 'HumanEval.jsonl.gz' elsewhere and give it with --data FILE"
}
