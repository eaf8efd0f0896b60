# agent over HTTP: what a failing server does to the counts, and the calls of each dialect.

load helpers

setup() { export AUK_LEDGER=; }
teardown() { stop_scripted; }

# agent DIALECT [option]...: the first task of easy-support.
agent() {
    local dialect=$1 url=http://127.0.0.1:$PORT
    shift
    [ "$dialect" = openai ] && url=$url/v1
    run --separate-stderr "$AUKLET" agent "$dialect:$url/m" --json -q \
        --collection "$ROOT/data/agent/easy-support.json" \
        --task "$(jq -r '.tasks[0].id' "$ROOT/data/agent/easy-support.json")" "$@"
}

@test "a server that answers 500 is asked twice more; the run is an error and never a pass" {
    start_scripted erroring
    agent openai --k 1 --profile general-agent
    [ "$status" -eq 1 ]
    [ "$(wc -l <"$LOG")" -ge 3 ]
    [ "$(grep -c chat/completions "$LOG")" -eq 3 ]
    [ "$(json "v['all']['failures'], v['all']['finished'], v['all']['errored']")" = "{'BackendError': 1} 0 1" ]
    [ "$(json "v['tiers'][0]['strict_passed'], v['tiers'][0]['pass_hat_k'], v['tiers'][0]['wilson95']")" = "0 None None" ]
    [ "$(json "v['verdict']['status']")" = "NOT READY" ]
}

@test "an errored run is played again on resume, a finished one is not" {
    local file=$BATS_TEST_TMPDIR/r.jsonl
    start_scripted prose
    agent openai --k 3 -o "$file"
    cp "$file" "$file.whole"
    jq -c 'if .run == 1 then .finished = false | .class = "BackendError" else . end' \
        "$file.whole" >"$file"
    agent openai --k 3 -o "$file" --resume
    [ "$status" -eq 0 ]
    [ "$(json "v['all']['failures']")" = "{'Hallucinated': 3}" ]
    [ "$(grep -c chat/completions "$LOG")" -eq 4 ]
    # another server is another model
    start_scripted prose
    agent openai --k 3 -o "$file" --resume
    [ "$status" -eq 1 ]
    has "$stderr" "other collections, tasks or settings"
}

@test "a model of prose, of nothing, of noise, that loops and that is cut: each has its class" {
    local policy class
    while read -r policy class; do
        start_scripted "$policy"
        agent openai --k 1
        echo "$policy $output"
        [ "$status" -eq 0 ]
        [ "$(json "v['all']['failures']")" = "{'$class': 1}" ]
        [ "$(json "v['all']['finished']")" = 1 ]
    done <<'E'
prose Hallucinated
silent EmptyOutput
truncated Truncated
looper Truncated
abstainer Hallucinated
E
}

@test "the same model gets the same class over every dialect" {
    local dialect
    start_scripted prose
    for dialect in openai ollama anthropic; do
        agent "$dialect" --k 1
        [ "$(json "v['all']['failures']")" = "{'Hallucinated': 1}" ]
    done
}
