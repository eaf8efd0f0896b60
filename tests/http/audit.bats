# The audit's scorer, proven before models are: scripted models with their written-down results.
# Six samples at each of three depths, both curves, unless a test says otherwise.

load helpers

setup() { export AUK_LEDGER=; }
teardown() { stop_scripted; }

# audit [OPTION]...: of the server at PORT, as JSON; the dialect is in DIALECT (openai).
audit() {
    local url=http://127.0.0.1:$PORT
    [ "${DIALECT:-openai}" = openai ] && url=$url/v1
    run --separate-stderr "$AUKLET" audit "${DIALECT:-openai}:$url/${MODEL:-m}" --json --samples 6 \
        --max-depth 2000 "$@"
}

# counts KIND: passed/wrong/truncated/no_answer/error of each depth of that curve.
counts() {
    json "' '.join('/'.join(str(r['state_counts'][s]) for s in ('passed', 'wrong', 'truncated', \
'no_answer', 'error')) for c in v['curves'] if c['kind'] == '$1' for r in c['rungs'])"
}

# both: the counts of both curves.
both() {
    json "' '.join('/'.join(str(r['state_counts'][s]) for s in ('passed', 'wrong', 'truncated', \
'no_answer', 'error')) for c in v['curves'] for r in c['rungs'])"
}

all_of() { echo "$1 $1 $1"; }

@test "each scripted model gets the state written down for it" {
    local policy retrieval tools want
    start_scripted by_name
    while read -r policy retrieval tools want; do
        MODEL=$policy audit
        echo "$policy: status $status, $(both)"
        [ "$status" -eq "$want" ]
        [ "$(both)" = "$(all_of "$retrieval") $(all_of "$tools")" ]
    done <<'T'
perfect          6/0/0/0/0  6/0/0/0/0  0
thinker          6/0/0/0/0  6/0/0/0/0  0
wrong            0/6/0/0/0  0/6/0/0/0  0
prose            0/6/0/0/0  0/6/0/0/0  0
abstainer        0/6/0/0/0  0/6/0/0/0  0
silent           0/0/0/6/0  0/0/0/6/0  0
garbage          0/6/0/0/0  0/6/0/0/0  0
shotgun          0/6/0/0/0  0/6/0/0/0  0
looper           0/0/6/0/0  0/0/6/0/0  0
truncated        0/0/6/0/0  0/0/6/0/0  0
foreign_dialect  6/0/0/0/0  0/6/0/0/0  0
T
}

@test "a base that fails is broken and no depth" {
    start_scripted wrong
    audit
    [ "$(json "[c['status'] for c in v['curves']]")" = "['broken_baseline', 'broken_baseline']" ]
    [ "$(json "[c['cliff'] for c in v['curves']]")" = "[None, None]" ]
    [ "$(json "v['curves'][0]['rungs'][0]['wilson95'][0]")" = 0.0 ]
}

@test "the same audit over every dialect, torn in pieces of 3 bytes" {
    local dialect first=
    for dialect in openai ollama anthropic; do
        start_scripted cliff:1500 tear=3 comments=1
        DIALECT=$dialect audit --samples 12
        [ "$status" -eq 0 ]
        echo "$dialect: $(counts retrieval), $(counts tools)"
        [ "$(json "[c['status'] for c in v['curves']]")" = "['cliff', 'cliff']" ]
        [ -z "$first" ] || [ "$first" = "$(counts retrieval)" ]
        first=$(counts retrieval)
    done
}

@test "a cliff is an interval closed in on, with its p after Holm" {
    # between depths that are asked: the prompts of one depth differ by a percent
    start_scripted cliff:3700 max_ctx=20000
    audit --samples 30 --max-depth 9000 --kind retrieval
    [ "$status" -eq 0 ]
    echo "$output"
    json "v['curves'][0]['cliff']"
    [ "$(json "v['curves'][0]['status']")" = cliff ]
    [ "$(json "v['curves'][0]['cliff']['last_pass'] <= 3700 < v['curves'][0]['cliff']['first_fail']")" = True ]
    [ "$(json "v['curves'][0]['cliff']['width'] <= 1024")" = True ]
    [ "$(json "v['curves'][0]['cliff']['p_holm'] < 0.05")" = True ]
    [ "$(json "any(r['bisection'] for r in v['curves'][0]['rungs'])")" = True ]
    [ "$(json "max(r['depth_tokens'] for r in v['curves'][0]['rungs']) > 8000")" = True ]
}

@test "it goes on behind a depth that fails: the response need not be monotonic" {
    start_scripted dip:1500-2700
    audit --samples 30 --max-depth 5000 --kind tools
    echo "$output"
    [ "$(json "v['curves'][0]['status']")" = cliff ]
    [ "$(json "v['curves'][0]['rungs'][-1]['passed']")" = 30 ]
    [ "$(json "v['curves'][0]['cliff']['first_fail'] < 2700")" = True ]
}

@test "few samples are said to be few, and show no cliff that holds" {
    start_scripted perfect
    audit --samples 5 --kind retrieval
    [ "$status" -eq 0 ]
    [ "$(json "v['curves'][0]['status']")" = too_few_samples ]
    has "$stderr" "cannot be told from chance"
}

@test "the preset asks the report's five depths" {
    start_scripted perfect
    audit --preset quantamind --max-depth 0 --kind retrieval
    [ "$status" -eq 0 ]
    [ "$(json "[r['rung_tokens'] for r in v['curves'][0]['rungs']]")" = "[829, 2597, 4365, 6134, 7902]" ]
    [ "$(json "all(abs(r['depth_tokens'] - r['rung_tokens']) < 0.05 * r['rung_tokens'] for r in v['curves'][0]['rungs'])")" = True ]
    [ "$(json "all(r['passed'] == 6 for r in v['curves'][0]['rungs'])")" = True ]
}

@test "never past the real window: too deep is refused, a smaller one found on the way ends there" {
    start_scripted perfect max_ctx=4096
    audit --max-depth 8000
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    has "$stderr" "a depth of 8000 does not fit: the window is 4096 tokens"
    audit --preset quantamind --max-depth 0 --kind retrieval
    [ "$status" -eq 0 ]
    [ "$(json "v['skipped']")" = "[4365, 6134, 7902]" ]
    # a server that says 32768 and takes 1600
    printf 'import sys; sys.path.insert(0, "%s")\nimport scripted\n' "$ROOT/tests/http" \
        >"$BATS_TEST_TMPDIR/small.py"
    cat >>"$BATS_TEST_TMPDIR/small.py" <<'P'
def small(request, n, argument):
    if scripted.deep(request) > 1600:
        return {"status": 400, "message": "maximum context length is 1600 tokens"}
    return scripted.perfect(request, n, "")
P
    start_scripted "$BATS_TEST_TMPDIR/small.py:small"
    audit --kind retrieval
    echo "$output" "$stderr"
    [ "$status" -eq 0 ]
    [ "$(json "v['skipped']")" = "[2000]" ]
    has "$stderr" "the server refuses a prompt of 2000 tokens"
    [ "$(json "max(r['depth_tokens'] for r in v['curves'][0]['rungs']) <= 1600")" = True ]
}

@test "a model that vanishes leaves a partial audit: named, counted, no verdict" {
    start_scripted vanish:20
    audit --samples 12 -o "$BATS_TEST_TMPDIR/log.jsonl"
    echo "$output" "$stderr"
    [ "$status" -eq 1 ]
    [ "$(json "v['partial'], v['curves'][0]['status'], v['curves'][0]['cliff']")" = "True partial None" ]
    has "$(json "v['why']")" "the server fails again and again"
    [ "$(json "v['missing'][0]['kind']")" = retrieval ]
    # all that was answered, but for the two that measure the pace and a text that was made anew
    [ "$(json "16 <= sum(r['state_counts']['passed'] for r in v['curves'][0]['rungs']) <= 18")" = True ]
    [ "$(json "sum(r['state_counts']['error'] for r in v['curves'][0]['rungs'])")" = 3 ]
    # the finished ones are not asked again
    start_scripted perfect
    audit --samples 12 -o "$BATS_TEST_TMPDIR/log.jsonl" --resume
    [ "$status" -eq 1 ] # another port: another target
    has "$stderr" "was begun with another target"
}

@test "a killed audit goes on where it was, a torn last line included, with the same result" {
    local log=$BATS_TEST_TMPDIR/log.jsonl n
    start_scripted cliff:1500
    audit --samples 12 -o "$BATS_TEST_TMPDIR/whole.jsonl"
    local whole
    whole=$(json "v['curves']")
    "$AUKLET" audit "openai:http://127.0.0.1:$PORT/v1/m" --json --samples 12 --max-depth 2000 \
        -o "$log" >/dev/null 2>&1 3>&- 7>&- &
    local pid=$!
    for _ in $(seq 400); do
        n=$(cat "$log" 2>/dev/null | wc -l)
        [ "${n:-0}" -ge 8 ] && break
        sleep 0.01
    done
    kill -9 "$pid"
    wait "$pid" || true
    n=$(grep -c '"item": "sample"' "$log")
    [ "$n" -ge 7 ]
    printf '{"item": "sample", "kind": "retr' >>"$log"
    audit --samples 12 -o "$log" --resume
    [ "$status" -eq 0 ]
    [ "$(json "v['resumed']")" = "$n" ]
    [ "$(json "[c['status'] for c in v['curves']]")" = "['cliff', 'cliff']" ]
    python3 -c "import json; [json.loads(l) for l in open('$log')]"
    # cut anywhere, the end is the same to the last digit
    head -n 30 "$BATS_TEST_TMPDIR/whole.jsonl" >"$log"
    printf '{"item": "sam' >>"$log"
    audit --samples 12 -o "$log" --resume
    [ "$status" -eq 0 ]
    [ "$(json "v['curves']")" = "$whole" ]
    # and it does not overwrite what is there
    audit -o "$log"
    [ "$status" -eq 1 ]
    has "$stderr" "--resume goes on with it"
}

@test "a log of something else is refused" {
    start_scripted perfect
    echo '{"schema": "auklet.eval/1"}' >"$BATS_TEST_TMPDIR/other.jsonl"
    audit -o "$BATS_TEST_TMPDIR/other.jsonl" --resume
    [ "$status" -eq 1 ]
    has "$stderr" "is no log of an audit"
    printf '{"schema": "auklet.audit-log/1"\n' >"$BATS_TEST_TMPDIR/torn.jsonl"
    audit -o "$BATS_TEST_TMPDIR/torn.jsonl" --resume
    [ "$status" -eq 1 ]
}

@test "a full disk is an error and loses nothing that was finished" {
    local log=$BATS_TEST_TMPDIR/log.jsonl
    start_scripted perfect
    run --separate-stderr bash -c "trap '' XFSZ; ulimit -f 8; exec '$AUKLET' audit \
        openai:http://127.0.0.1:$PORT/v1/m --json --samples 6 --max-depth 2000 -o '$log'"
    [ "$status" -eq 1 ]
    has "$stderr" "cannot write '$log'"
    [ "$(json "v['partial']")" = True ]
    local n
    n=$(grep -c '"item": "sample".*}$' "$log")
    [ "$n" -ge 5 ]
    audit -o "$log" --resume
    [ "$status" -eq 0 ]
    [ "$(json "v['resumed']")" = "$n" ]
}

@test "a time budget leaves deep depths out beforehand, and an exhausted one gives no verdict" {
    start_scripted perfect first=0.02 no_cache=1
    audit --kind retrieval --max-depth 4000 --budget 1s
    echo "$output" "$stderr"
    has "$stderr" "left out"
    [ "$(json "len(v['skipped']) > 0")" = True ]
}

@test "Ctrl-C ends it within a step, exit 130, partial" {
    start_scripted perfect stall=20 stall_at=1
    local pid began
    "$AUKLET" audit "openai:http://127.0.0.1:$PORT/v1/m" --json --samples 12 --max-depth 2000 \
        >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- 7>&- &
    pid=$!
    sleep 0.5
    began=$SECONDS
    kill -INT "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 130 ]
    [ $((SECONDS - began)) -le 5 ]
}

@test "errors of the server are asked again, then counted" {
    printf 'import sys; sys.path.insert(0, "%s")\nimport scripted\n' "$ROOT/tests/http" \
        >"$BATS_TEST_TMPDIR/flaky.py"
    cat >>"$BATS_TEST_TMPDIR/flaky.py" <<'P'
def flaky(request, n, argument):
    return {"status": 503} if n == 5 else scripted.perfect(request, n, "")


def once(request, n, argument):
    return {"faults": {"error": 2}, "text": "1 2 3"} if n == 5 else scripted.perfect(request, n, "")
P
    start_scripted "$BATS_TEST_TMPDIR/flaky.py:flaky"
    audit --kind retrieval
    [ "$status" -eq 0 ]
    has "$stderr" "trying again"
    [ "$(counts retrieval)" = "$(all_of 6/0/0/0/0)" ]
    start_scripted "$BATS_TEST_TMPDIR/flaky.py:once" # an error in the stream, after output
    audit --kind retrieval
    echo "$(counts retrieval)" "$stderr"
    [ "$status" -eq 1 ]
    [ "$(json "v['partial'], v['curves'][0]['cliff']")" = "True None" ]
    [ "$(json "sum(r['state_counts']['error'] for r in v['curves'][0]['rungs'])")" = 1 ]
}

@test "nobody there, and an unknown model, are one clear line" {
    run --separate-stderr "$AUKLET" audit openai:http://127.0.0.1:1/v1/m
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    start_scripted erroring
    audit
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    run --separate-stderr "$AUKLET" audit "$BATS_TEST_TMPDIR/nothing"
    [ "$status" -eq 1 ]
    has "$stderr" "MODEL is a folder"
}

@test "our engine is audited by its own tokens, and remembers in the ledger" {
    AUK_LEDGER=$BATS_TEST_TMPDIR/l.db run --separate-stderr "$AUKLET" audit "$ROOT/data/miniature" \
        --json --samples 2 --max-depth 1200 --max-tokens 8 --kind retrieval
    echo "$output" "$stderr"
    [ "$status" -eq 0 ]
    [ "$(json "all(abs(r['depth_tokens'] - r['rung_tokens']) <= 60 for r in v['curves'][0]['rungs'])")" = True ]
    run "$AUKLET" ledger verify --db "$BATS_TEST_TMPDIR/l.db"
    [ "$status" -eq 0 ]
}

@test "two audits side by side on a page: what changed, and whether it can be chance" {
    export AUK_LEDGER=$BATS_TEST_TMPDIR/l.db
    start_scripted by_name
    MODEL=cliff@1500 audit --samples 12 --kind retrieval
    MODEL=perfect audit --samples 12 --kind retrieval
    run --separate-stderr "$AUKLET" report --format md \
        $("$AUKLET" ledger list | cut -d' ' -f1)
    [ "$status" -eq 0 ]
    has "$output" "Retrieval: breaks between"
    has "$output" "| **A to B** | retrieval at 2000 | 0/12 | 12/12 | +12 -0 |"
    has "$output" "**hardly chance**"
    has "$output" "can be chance"
    MODEL=perfect audit --samples 12 --kind retrieval --seed 2
    run "$AUKLET" report --format md $("$AUKLET" ledger list | cut -d' ' -f1 | sed -n '2,3p')
    has "$output" "These audits asked different questions"
}
