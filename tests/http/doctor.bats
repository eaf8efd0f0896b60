# doctor against servers: who has the port, and what a broken stream is called.

load helpers

teardown() {
    stop_scripted
}

# check NAME FIELD: of the finding of that name in $output.
check() {
    json "[c['$2'] for c in v['checks'] if c['name'] == '$1'][0]"
}

@test "a free port is fine, and a problem where a server was named" {
    run --separate-stderr "$AUKLET" doctor --url http://127.0.0.1:9 --json
    [ "$status" -eq 3 ]
    [ "$(check port status)" = problem ]
    [ "$(check dialects status)" = skipped ]
    has "$(check port said)" "nobody listens at http://127.0.0.1:9"
}

@test "another server's port names the server and its process" {
    start_scripted words:3
    run --separate-stderr "$AUKLET" doctor --url "http://127.0.0.1:$PORT/v1/" --json
    [ "$status" -eq 0 ]
    has "$(check port said)" "is taken by Ollama 0.33.0"
    [ "$(uname)" != Linux ] || has "$(check port said)" "(process $SCRIPTED_PID)"
    [ "$(check 'dialect openai' status)" = ok ]
    [ "$(check 'dialect anthropic' status)" = ok ]
    [ "$(check 'dialect ollama' status)" = ok ]
    [ "$(check 'dialect responses' status)" = skipped ]
    [ "$(json "v['schema']")" = auklet.doctor/1 ]
}

@test "a dialect the agent needs and the server lacks is a problem" {
    start_scripted words:3
    run --separate-stderr "$AUKLET" doctor --url "http://127.0.0.1:$PORT" --agent codex --json
    [ "$status" -eq 3 ]
    has "$(check 'dialect responses' said)" "it has no /v1/responses"
}

@test "a stream without its end, and one with the model's markers, are broken" {
    start_scripted words:3 no_end=1
    run --separate-stderr "$AUKLET" doctor --url "http://127.0.0.1:$PORT" --json
    [ "$status" -eq 3 ]
    has "$(check 'dialect openai' said)" "without its terminal event"
    has "$(check 'dialect anthropic' said)" "without its terminal event"
    has "$(check 'dialect ollama' said)" "without its terminal event"
    start_scripted words:3 markup=north
    run --separate-stderr "$AUKLET" doctor --url "http://127.0.0.1:$PORT" --json
    [ "$status" -eq 3 ]
    has "$(check 'dialect openai' said)" "a marker of the model stands in the text"
}

@test "errors, broken JSON and cut streams are told apart" {
    start_scripted words:9 error=4
    run --separate-stderr "$AUKLET" doctor --url "http://127.0.0.1:$PORT" --json
    has "$(check 'dialect openai' said)" "reports an error in the stream"
    start_scripted words:9 malformed=4
    run --separate-stderr "$AUKLET" doctor --url "http://127.0.0.1:$PORT" --json
    has "$(check 'dialect ollama' said)" "an event is no JSON"
    start_scripted words:9 cut=4
    run --separate-stderr "$AUKLET" doctor --url "http://127.0.0.1:$PORT" --json
    [ "$(check 'dialect openai' status)" = problem ]
    [ "$status" -eq 3 ]
}

@test "a server that stalls does not keep it longer than ten seconds" {
    start_scripted words:9 stall=30 stall_at=3
    local begun=$SECONDS
    run --separate-stderr "$AUKLET" doctor --url "http://127.0.0.1:$PORT" --json
    [ $((SECONDS - begun)) -le 10 ]
    [ "$(check 'dialect openai' status)" = warning ]
    has "$(check 'dialect openai' said)" "no whole answer in"
}

@test "window and memory are judged with the numbers" {
    start_scripted words:3 ctx=9000
    run --separate-stderr "$AUKLET" doctor "$ROOT/data/miniature" --url "http://127.0.0.1:$PORT" \
        --agent claude --json
    [ "$status" -eq 3 ]
    has "$(check window said)" "9000 tokens are too few for Claude Code (19000)"
    has "$(check memory said)" "4 sessions of 8192 positions"
    [ "$(check memory status)" = ok ]
}

@test "what cannot be asked is one line" {
    run --separate-stderr "$AUKLET" doctor --url nonsense
    [ "$status" -eq 1 ]
    has "$stderr" "'nonsense' is no URL"
    run --separate-stderr "$AUKLET" doctor "$BATS_TEST_TMPDIR" --url http://127.0.0.1:9
    [ "$status" -eq 1 ]
    has "$stderr" config.json
    run --separate-stderr "$AUKLET" doctor --agent nobody
    [ "$status" -eq 2 ]
}
