load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# three tasks of HumanEval's form, made here
tasks() {
    python3 - "$@" <<'P'
import json, sys
for i, (name, op) in enumerate((("add", "+"), ("sub", "-"), ("mul", "*"))):
    print(json.dumps({"task_id": "HumanEval/%d" % i, "entry_point": name,
        "prompt": "def %s(x, y):\n    \"\"\" x %s y \"\"\"\n" % (name, op),
        "canonical_solution": "    return x %s y\n" % op,
        "test": "def check(f):\n    assert f(7, 5) == 7 %s 5\n" % op}))
P
}

completion() { # task text...
    python3 -c '
import json, sys
for i in range(1, len(sys.argv), 2):
    print(json.dumps({"task_id": sys.argv[i], "completion": sys.argv[i + 1]}))' "$@"
}

# get KEY: of the JSON document in $output
get() {
    python3 -c 'import json, sys; print(json.loads(sys.stdin.read())[sys.argv[1]])' "$1" <<<"$output"
}

# column FILE KEY: one value per line
column() {
    python3 -c '
import json, sys
print(" ".join(str(json.loads(l)[sys.argv[2]]) for l in open(sys.argv[1])))' "$1" "$2"
}

@test "completions become verdicts, a line each, in the order of the tasks" {
    tasks >t.jsonl
    completion 2 '    return x * y' 0 '    return x - y' HumanEval/1 '    while True: pass' >c.jsonl
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl --json
    echo "$output $stderr"
    [ "$status" -eq 0 ]
    [ "$(get n)" = 3 ]
    [ "$(get passed)" = 1 ]
    [ "$(get timeout)" = 1 ]
    [ "$(get ledger_id)" = None ]
    [ "$(column r.jsonl task_id)" = "HumanEval/0 HumanEval/1 HumanEval/2" ]
    [ "$(column r.jsonl status)" = "failed timeout passed" ]
    [ "$(column r.jsonl run_again)" = "False True False" ] || [ "$(nproc)" -eq 1 ]
}

@test "every status has its program" {
    tasks >t.jsonl
    completion 0 '    import os; os._exit(0)' 0 '    x = bytearray(1 << 40)' 0 '    import ctypes
    ctypes.string_at(0)' 0 '    import os
    while True: os.write(1, b"x" * 65536)' 0 '    return x + y' 0 '    import sys; sys.exit(0)' >c.jsonl
    run --separate-stderr "$AUKLET" eval t.jsonl --limit 1 --completions c.jsonl -o r.jsonl --json
    [ "$status" -eq 0 ]
    [ "$(column r.jsonl status)" = "no_verdict memory no_verdict output passed failed" ]
    [ "$(column r.jsonl sample)" = "0 1 2 3 4 5" ]
    [ "$(get pass_at_1)" = 0.16666666666666666 ]
}

@test "answers are extracted; truncated and looped are columns" {
    tasks >t.jsonl
    cat >a.jsonl <<'J'
{"task_id": 0, "answer": "t<|END_THINKING|><|START_TEXT|>```python\ndef add(x, y):\n    return x + y\n```\n```\nmore", "finish_reason": "length"}
{"task_id": 1, "answer": "thinking ```\ndef sub(x, y): return x - y\n```", "finish_reason": "length"}
{"task_id": 2, "answer": "thinking thinking", "finish_reason": "repetition_guard"}
J
    run --separate-stderr "$AUKLET" eval t.jsonl --answers a.jsonl -o r.jsonl --json
    [ "$status" -eq 0 ]
    [ "$(column r.jsonl status)" = "passed no_code looped" ]
    [ "$(column r.jsonl truncated)" = "True True False" ]
    [ "$(column r.jsonl looped)" = "False False True" ]
    [ "$(get truncated) $(get looped)" = "2 1" ]
    run --separate-stderr "$AUKLET" eval t.jsonl --answers r.jsonl --json
    [ "$(get passed)" = 1 ]
}

@test "programs of one worker find nothing of each other, and cannot leave their box" {
    tasks >t.jsonl
    try='    return x + y
import os, ctypes, socket
def refused(f):
    try: f()
    except OSError: return True
assert not os.path.exists("/tmp/left"), "left"
open("/tmp/left", "w").write("x")
assert ctypes.CDLL(None).fork() == -1, "fork"
assert ctypes.CDLL(None).unshare(0x20000) == -1, "unshare"
assert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == -1, "ptrace"
assert refused(socket.socket) and refused(lambda: open("/etc/passwd")), "reach"
for fd in range(5, 64):
    assert refused(lambda: os.fstat(fd)), "descriptor %d" % fd
assert refused(lambda: os.fstat(3)), "requests"
assert __import__("builtins").len([1]) == 1, "builtins"
__import__("builtins").len = None'
    completion 0 "$try" 0 "$try" 0 '    import ctypes, os
    ctypes.CDLL(None).kill(os.getppid(), 9)
    return x + y' 0 "$try" 0 '    import ctypes
    ctypes.CDLL(None).kill(-1, 9)
    while True: pass' 0 "$try" >c.jsonl
    run --separate-stderr "$AUKLET" eval t.jsonl --limit 1 --completions c.jsonl -o r.jsonl --workers 1 --json
    column r.jsonl detail
    [ "$status" -eq 0 ]
    [ "$(column r.jsonl status)" = "passed passed no_verdict passed no_verdict passed" ]
}

@test "level B gives the same verdicts" {
    tasks >t.jsonl
    completion 0 '    return x + y' 0 '    return 1' 0 '    import os; os._exit(0)' 0 '    while True: pass' >c.jsonl
    PATH=/usr/bin:/bin run --separate-stderr "$AUKLET" eval t.jsonl --limit 1 --completions c.jsonl -o r.jsonl --level B
    case $stderr in *"no sandbox works here"*) skip "level B does not work here: $stderr" ;; esac
    [ "$(column r.jsonl status)" = "passed failed no_verdict timeout" ]
    [ "$(column r.jsonl level)" = "B B B B" ]
}

@test "a resumed run ends with the same file and does nothing twice" {
    tasks >t.jsonl
    completion 0 '    return x + y' 1 '    return 1' 2 '    return x * y' >c.jsonl
    "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl -q >/dev/null
    column r.jsonl task_id >want
    column r.jsonl status >>want
    # a line of ours that failed, then one whose writing was cut
    { sed -n 3p r.jsonl; sed -n 2p r.jsonl | sed 's/"failed"/"harness_error"/'; head -n 1 r.jsonl | head -c 100; } >torn.jsonl
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o torn.jsonl --resume --json
    [ "$status" -eq 0 ]
    [ "$(get resumed)" = 1 ]
    has "$stderr" "2 lines"
    { column torn.jsonl task_id; column torn.jsonl status; } | diff want -
    before=$(sha256sum <torn.jsonl)
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o torn.jsonl --resume --json
    [ "$(get resumed)" = 3 ]
    [ "$(sha256sum <torn.jsonl)" = "$before" ]
}

@test "a kill at any moment loses nothing that was written" {
    tasks >t.jsonl
    for i in 0 1 2 0 1 2 0 1 2 0 1 2; do completion $i '    import time; time.sleep(0.3); return 1'; done >c.jsonl
    for _ in 1 2 3; do
        timeout -s KILL 1.5 "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl --resume -q >/dev/null 2>&1 || true
    done
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl --resume --json
    [ "$status" -eq 0 ]
    [ "$(get resumed)" -gt 0 ]
    [ "$(wc -l <r.jsonl)" -eq 12 ]
    [ "$(column r.jsonl sample)" = "0 1 2 3 0 1 2 3 0 1 2 3" ]
}

@test "another run's file, an existing file and a missing one" {
    tasks >t.jsonl
    completion 0 '    return 1' >c.jsonl
    completion 0 '    return 2' >d.jsonl
    "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl -q >/dev/null
    run --separate-stderr "$AUKLET" eval t.jsonl --completions d.jsonl -o r.jsonl --resume
    [ "$status" -eq 1 ]
    has "$stderr" "another run"
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl
    [ "$status" -eq 1 ]
    has "$stderr" "--resume"
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl --force
    [ "$status" -eq 0 ]
    has "$stderr" "2 of 3 tasks have no answer"
    run --separate-stderr "$AUKLET" eval t.jsonl --completions missing.jsonl
    [ "$status" -eq 1 ]
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o /nowhere/r.jsonl
    [ "$status" -eq 1 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
}

@test "a reference that fails stops the run" {
    tasks | sed 's/return x - y/return x + y/' >t.jsonl
    completion 0 '    return 1' >c.jsonl
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl
    [ "$status" -eq 1 ]
    has "$stderr" "the reference solution of HumanEval/1 does not pass here (failed, AssertionError"
}

@test "bad data and bad answers are one line" {
    tasks >t.jsonl
    completion 0 '    return 1' >c.jsonl
    bad() { # message of eval with the data in bad.jsonl
        run --separate-stderr "$AUKLET" eval bad.jsonl --completions c.jsonl
        [ "$status" -eq 1 ] && [ "${#stderr_lines[@]}" -eq 1 ] && has "$stderr" "$1"
    }
    cat t.jsonl t.jsonl >bad.jsonl && bad "holds task 'HumanEval/0' twice"
    sed 's/"prompt"/"promt"/' t.jsonl >bad.jsonl && bad "record 1: 'prompt' is not a string"
    : >bad.jsonl && bad "holds no record"
    head -c 300 t.jsonl >bad.jsonl && bad "line 1"
    gzip -c t.jsonl | head -c 100 >bad.jsonl && bad "damaged or cut"
    run --separate-stderr "$AUKLET" eval humaneval --data t.jsonl --completions c.jsonl
    [ "$status" -eq 1 ]
    has "$stderr" "is not the file of humaneval"
    gzip -c t.jsonl >t.jsonl.gz
    run --separate-stderr "$AUKLET" eval t.jsonl.gz --completions c.jsonl -q --json
    [ "$(get n)" = 1 ]

    wrong() { # message of eval with the completions on stdin
        cat >bad.jsonl
        run --separate-stderr "$AUKLET" eval t.jsonl --completions bad.jsonl
        [ "$status" -eq 1 ] && [ "${#stderr_lines[@]}" -eq 1 ] && has "$stderr" "$1"
    }
    completion 7 'x' | wrong "line 1: no 'task_id'"
    echo '{"task_id": 0}' | wrong "line 1: 'completion' is not a string"
    printf '\n{"task_id": 0, "completion": "\xff"}\n' | wrong "line 2"
    printf '{"task_id": 0, "completion": "x"}\n{"task_id": 0, "comp' | wrong "line 2"
    printf '{"task_id": 0, "sample": 1, "completion": "x"}\n{"task_id": 0, "sample": 1, "completion": "x"}\n' |
        wrong "is there twice"
    : | wrong "holds no answer"
}

@test "wrong usage" {
    run --separate-stderr "$AUKLET" eval humaneval
    usage_error
    run --separate-stderr "$AUKLET" eval humaneval --answers a --completions b
    usage_error
    run --separate-stderr "$AUKLET" eval humaneval --answers a --resume
    usage_error
    run --separate-stderr "$AUKLET" eval x --model m --samples 2
    usage_error
    run --separate-stderr "$AUKLET" eval x --model "$BATS_TEST_TMPDIR" --parallel 2
    usage_error
    run --separate-stderr "$AUKLET" eval x --model openai:http://127.0.0.1:1/v1/m --parallel 65
    usage_error
}

@test "a run is a record: the items, the score from them, and what was run" {
    tasks >t.jsonl
    export AUK_LEDGER=$BATS_TEST_TMPDIR/ledger.db
    completion 0 '    return x + y' 1 '    return 1' >c.jsonl
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl --json
    [ "$status" -eq 0 ]
    id=$(get ledger_id)
    has "$stderr" "auklet: ledger: ${id:0:12}"
    run --separate-stderr "$AUKLET" ledger show "$id" --json --items
    python3 - <<P
import hashlib, json
r = json.loads(r'''$output''')
head, items = r["record"], r["items"]
assert head["kind"] == "eval" and head["headline"]["passed"] == 1 and head["headline"]["n"] == 2
assert items == [json.loads(l) for l in open("r.jsonl")]
assert head["data"] == {"name": "t.jsonl", "sha256": hashlib.sha256(open("t.jsonl", "rb").read()).hexdigest()}
assert all(i["data_sha256"] == head["data"]["sha256"] for i in items)
assert head["answers"]["sha256"] == hashlib.sha256(open("c.jsonl", "rb").read()).hexdigest()
assert head["sandbox"] == items[0]["level"] and head["settings"]["run"] == items[0]["run"]
P
    run --separate-stderr "$AUKLET" ledger verify
    [ "$status" -eq 0 ]
    # without -o, and with the model
    model=$ROOT/data/miniature
    run --separate-stderr "$AUKLET" eval t.jsonl --model "$model" --limit 1 --max-tokens 20 --json --db other.db
    [ "$status" -eq 0 ]
    run --separate-stderr "$AUKLET" ledger show "$(get ledger_id)" --json --db other.db
    has "$output" '"prompt_sha256": "'
    has "$output" '"temperature": 0.0'
    has "$output" '"fingerprint": "'
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl --no-ledger --json
    [ "$(get ledger_id)" = None ]
}

@test "stats refuses results of different data" {
    tasks >t.jsonl
    tasks | sed 's/7, 5/7, 3/; s/== 7/== 7/; s/ 5\\n/ 3\\n/' >u.jsonl
    completion 0 '    return x + y' 1 '    return 1' 2 '    return 2' >c.jsonl
    "$AUKLET" eval t.jsonl --completions c.jsonl -o a.jsonl -q >/dev/null
    "$AUKLET" eval u.jsonl --completions c.jsonl -o b.jsonl -q >/dev/null
    run --separate-stderr "$AUKLET" stats mcnemar --a a.jsonl --b b.jsonl
    [ "$status" -eq 1 ]
    has "$stderr" "the runs used different data"
}

@test "a full disk ends the run with one line, and --resume goes on where it stopped" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to mount a small disk"
    tasks >t.jsonl
    long=$(printf '# %03000d\\n' 1)
    for i in 0 1 2 0 1 2; do completion $i "    $(printf '# %09000d' 1)
    return x * y"; done >c.jsonl
    mkdir disk
    mount -t tmpfs -o size=36k none disk 2>/dev/null || skip "cannot mount here"
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o disk/r.jsonl
    full=$status said=$stderr
    cp disk/r.jsonl kept.jsonl
    umount disk
    [ "$full" -eq 1 ]
    has "${said##*$'\n'}" "cannot write 'disk/r.jsonl': No space left on device"
    run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o kept.jsonl --resume --json
    [ "$status" -eq 0 ]
    [ "$(get resumed)" -ge 2 ]
    [ "$(column kept.jsonl status)" = "failed failed failed failed passed passed" ]
}

@test "nothing is left of a run that was killed, and there are no more boxes than processors" {
    tasks >t.jsonl
    for i in 0 1 2 0 1 2 0 1 2; do completion $i '    import time; time.sleep(0.7)
    return 1'; done >c.jsonl
    state() { # what a box could leave: processes of Python's, mounts
        ps -eo pid,args | grep -c '[p]ython3.* -S -s -B -c' || true
        grep -c . /proc/mounts
    }
    [ -e /proc/mounts ] || skip "no /proc"
    before=$(state)
    "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl --workers 64 -q >/dev/null 2>&1 &
    pid=$!
    most=0
    for _ in 1 2 3 4 5 6 7 8; do
        sleep 0.2
        # each worker's server, and the one that compiles; a program is a child of its server
        n=$(ps -eo ppid,pid,args | awk -v me=$pid '$1 == me' | wc -l)
        [ "$n" -le "$most" ] || most=$n
    done
    kill -9 $pid
    wait $pid 2>/dev/null || true
    sleep 0.5
    echo "$most boxes; before: $before; after: $(state)"
    [ "$most" -le $(($(nproc) + 1)) ]
    [ "$most" -ge 1 ]
    [ "$(state)" = "$before" ]
}

@test "a model folder is asked, and its answers read the same from the file" {
    model=$ROOT/data/miniature
    [ -e "$model/model.safetensors" ] || skip "there is no bundled model"
    tasks >t.jsonl
    run --separate-stderr "$AUKLET" eval t.jsonl --model "$model" --max-tokens 200 -o r.jsonl --json
    echo "$stderr"
    [ "$status" -eq 0 ]
    [ "$(get n)" = 3 ]
    mine=$(column r.jsonl status)
    run --separate-stderr "$AUKLET" eval t.jsonl --answers r.jsonl -o s.jsonl --json
    [ "$(column s.jsonl status)" = "$mine" ]
    [ "$(column s.jsonl program_sha256)" = "$(column r.jsonl program_sha256)" ]
}

@test "all 164 references pass, in under 15 seconds on two processors" {
    need_shared data/HumanEval.jsonl.gz
    completion 0 '    return False' >c.jsonl
    run --separate-stderr "$AUKLET" eval humaneval --data "$SHARED/data/HumanEval.jsonl.gz" --completions c.jsonl --json
    [ "$status" -eq 0 ]
    has "$output" '"references": {"passed": 164, "n": 164, "seconds": '
    [ "$(get passed)" = 0 ]
}

# one record of EvalPlus' form with inputs: NAME CODE INPUTS(JSON) ATOL
inputs_task() {
    python3 - "$@" <<'P'
import sys, json
name, code, inputs, atol = sys.argv[1:5]
print('{"task_id": "HumanEval/0", "prompt": "def %s(x):\\n", "entry_point": "%s", '
      '"canonical_solution": %s, "base_input": %s, "plus_input": [], "atol": %s, "contract": ""}'
      % (name, name, json.dumps(code), inputs, atol))
P
}

@test "tasks with inputs: what the reference returns is what the answer must return" {
    inputs_task twice '    return x * 2' '[[123456789012345678901234567890], ["é😀\n"], [[1, [2]]]]' 0 >t.jsonl
    check() { # STATUS CODE
        completion 0 "$2" >c.jsonl
        run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl -o r.jsonl --force
        [ "$status" -eq 0 ] || { echo "$stderr" && return 1; }
        [ "$(column r.jsonl status)" = "$1" ] || { cat r.jsonl && return 1; }
    }
    check passed '    return x + x'
    check failed '    return x * 2 if x != "é😀\n" else x'
    check failed '    return float(x * 2) if isinstance(x, int) else x * 2' # a rounded integer
    check passed $'    return x + x\nlen = zip = json = None'
    check passed $'    y = x * 2\n    if isinstance(x, list):\n        x.append(1)\n    return y'
    # floats: 1e-6 where the record says 0, and the type and the length must be the same
    inputs_task half '    return x / 2' '[[1.0], [3.0]]' 0 >t.jsonl
    check passed '    return x / 2 + 9e-7'
    check failed '    return x / 2 + 2e-6'
    check failed '    return str(x / 2)'
    check failed '    return float("nan")'
    inputs_task pair '    return [x, 2]' '[[1.0]]' 0.01 >t.jsonl
    check passed '    return [x + 0.005, 2]'
    check failed '    return (x + 0.005, 2)'
    check passed '    return [x, 2.0]'
    check failed '    return [x + 0.005, 2, 2]'
    inputs_task pair '    return [x, 2]' '[[1.0]]' 0 >t.jsonl
    check failed '    return [x + 1e-9, 2]' # not all are floats
    # any zero of the polynomial will do
    inputs_task find_zero '    return 1.0' '[[[-1, 0, 1]]]' 1e-4 >t.jsonl
    check passed '    return -1.00001'
    check failed '    return -1.1'
}

@test "tasks with inputs that are none are refused in one line" {
    bad() { # WORD
        run --separate-stderr "$AUKLET" eval t.jsonl --completions c.jsonl
        [ "$status" -eq 1 ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr == *"$1"* ]]
    }
    completion 0 '    return x' >c.jsonl
    inputs_task f '    return x' '[1]' 0 >t.jsonl
    bad "lists of arguments"
    inputs_task f '    return x' '[[1]]' '"a"' >t.jsonl
    bad "'atol' is not a number"
    inputs_task f '    raise ValueError' '[[1]]' 0 >t.jsonl
    bad "reference solution"
    inputs_task f '    return x' '[[1]]' 0 | sed 's/"contract"/"assertion"/' >t.jsonl
    bad OriginFmt
    (printf '[' && inputs_task f '    return x' '[[1]]' 0 && printf ']') >t.jsonl
    bad "a line each"
}
