load helpers

line() { # answer [finish_reason] [prompt]: one line of input, made by python
    python3 -c '
import json, sys
prompt = sys.argv[3] if len(sys.argv) > 3 else "from typing import List\n\n\ndef f(x: List[int]) -> int:\n    \"\"\"doc\"\"\"\n"
print(json.dumps({"task_id": "T/1", "prompt": prompt, "entry_point": "f",
    "answer": sys.argv[1], "finish_reason": (sys.argv + ["stop", "stop"])[2]}))' "$@"
}

# field PATH...: one field of the first line of $output
field() {
    python3 -c '
import json, sys
v = json.loads(sys.stdin.readline())
for k in sys.argv[1:]:
    v = v[int(k)] if isinstance(v, list) else v[k]
print(v)' "$@" <<<"$output"
}

fence='```'

@test "a whole function is taken from its fence and the prompt put in front" {
    line "Sure.
${fence}python
def f(x):
    return 1
${fence}" >"$BATS_TEST_TMPDIR/in"
    run --separate-stderr "$AUKLET" extract <"$BATS_TEST_TMPDIR/in"
    [ "$status" -eq 0 ]
    [ "$(field task_id)" = T/1 ]
    [ "$(field extraction status)" = ok ]
    [ "$(field extraction form)" = function ]
    [ "$(field extraction prepended)" = True ]
    has "$(field program)" "from typing import List"
    has "$(field program)" "return 1"
}

@test "--strict leaves the prompt out of a whole function, not of a body" {
    line "${fence}
def f(x): return 1
${fence}" >"$BATS_TEST_TMPDIR/in"
    run --separate-stderr "$AUKLET" extract --strict <"$BATS_TEST_TMPDIR/in"
    [ "$(field program)" = "def f(x): return 1" ]
    line "${fence}
    return 1
${fence}" >"$BATS_TEST_TMPDIR/in"
    run --separate-stderr "$AUKLET" extract --strict <"$BATS_TEST_TMPDIR/in"
    [ "$(field extraction form)" = body ]
    has "$(field program)" "def f(x: List[int])"
}

@test "real Python decides which blocks stay" {
    line "${fence}python
def f(x): return 1
${fence}
Use it:
${fence}
>>> f(1)
1
${fence}" >"$BATS_TEST_TMPDIR/in"
    run --separate-stderr "$AUKLET" extract <"$BATS_TEST_TMPDIR/in"
    [ "$(field extraction selection)" = longest ]
    [ "$(field extraction blocks 0 used)" = True ]
    [ "$(field extraction blocks 1 used)" = False ]
}

@test "thinking that was cut is truncated, not mined" {
    line "${fence}
def f(x): return 1
${fence}" length >"$BATS_TEST_TMPDIR/in"
    run --separate-stderr "$AUKLET" extract <"$BATS_TEST_TMPDIR/in"
    [ "$(field extraction status)" = truncated ]
    [ "$(field program)" = "" ]
}

@test "a prompt in English is not put in front" {
    line "def f(x): return 1" stop "Write a function f." >"$BATS_TEST_TMPDIR/in"
    run --separate-stderr "$AUKLET" extract <"$BATS_TEST_TMPDIR/in"
    [ "$(field program)" = "def f(x): return 1" ]
}

@test "an answer that would exhaust the compiler does not compile, and the next one does" {
    { python3 -c 'import json; print(json.dumps({"answer": "f = " + "(" * 100000 + ")" * 100000,
"prompt": "", "entry_point": "f"}))'
      line "def f(x): return 1"; } >"$BATS_TEST_TMPDIR/in"
    run --separate-stderr "$AUKLET" extract <"$BATS_TEST_TMPDIR/in"
    [ "$status" -eq 0 ]
    output=${lines[1]}
    [ "$(field extraction compiles)" = True ]
}

@test "10 MB and NUL bytes are answers like others" {
    python3 -c 'import json
print(json.dumps({"answer": "x = 1\n" * 1700000, "entry_point": "f"}))
print(json.dumps({"answer": "def f(): return \"\0\"", "entry_point": "f"}))' >"$BATS_TEST_TMPDIR/in"
    "$AUKLET" extract <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -eq 2 ]
}

@test "wrong input is one line and exit 1; an unknown key is said and ignored" {
    run --separate-stderr "$AUKLET" extract <<<'{"answer": 1}'
    [ "$status" -eq 1 ]
    [ "$stderr" = "auklet: line 1: 'answer' is not a string" ]
    run --separate-stderr "$AUKLET" extract <<<'[]'
    [ "$status" -eq 1 ]
    run --separate-stderr "$AUKLET" extract <<<$'{"answer": "\xff"}'
    [ "$status" -eq 1 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    run --separate-stderr "$AUKLET" extract <<<'{"answer": "", "colour": 1}'
    [ "$status" -eq 0 ]
    [ "$stderr" = "auklet: extract does not use 'colour'" ]
}
