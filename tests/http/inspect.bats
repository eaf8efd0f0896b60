# inspect against servers that stream at a known pace, and against our engine.

load helpers

setup() { export AUK_LEDGER=; }
teardown() { stop_scripted; }

inspect() {
    local url=http://127.0.0.1:$PORT
    [ "${DIALECT:-openai}" = openai ] && url=$url/v1
    run --separate-stderr "$AUKLET" inspect "${DIALECT:-openai}:$url/m" --json --repeat 2 \
        --prompt-tokens 200 --gen-tokens 60 "$@"
}

@test "a stream of 500 pieces a second is measured as one, over every dialect" {
    local dialect
    for dialect in openai ollama anthropic; do
        start_scripted words:60 rate=500 count=1 first=0.05
        DIALECT=$dialect inspect
        echo "$dialect $output" "$stderr"
        [ "$status" -eq 0 ]
        [ "$(json "abs(v['decode_tok_s'] / 500 - 1) < 0.05")" = True ]
        [ "$(json "v['resolution'], v['gaps']['n'], v['pieces']")" = "chunk 118 60" ]
        [ "$(json "50 <= v['ttft_ms'] < 80")" = True ]
        [ "$(json "v['first_visible_token_ms'] == v['ttft_ms'], v['first_reasoning_token_ms']")" = "True None" ]
        [ "$(json "1.5 < v['gaps']['p50_ms'] < 2.5")" = True ]
        [ "$(json "any('resolution is chunk' in w for w in v['warnings'])")" = True ]
    done
}

@test "what a server does not tell is null, never 0" {
    start_scripted words:20 no_usage=1 no_cache=1
    inspect
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(json "[v[k] for k in ('load_ms', 'prefill_ms', 'server_tok_s', 'prompt_tokens', 'cached_tokens', 'completion_tokens', 'reasoning_tokens', 'rates_disagree', 'counters_inconsistent', 'cold')]")" = "[None, None, None, None, None, None, None, None, None, None]" ]
    [ "$(json "v['memory']['model_bytes']")" = None ]
    [ "$(json "v['prefix']['cached_tokens'], v['prefix']['ratio']")" = "None None" ]
}

@test "counters that disagree with the clock, or with each other, are flagged" {
    # Ollama's counters here: load 1 ms, prefill 1 ms, 60 tokens in 2 ms
    start_scripted words:60 rate=500 count=1 first=0.02
    DIALECT=ollama inspect
    echo "$output"
    [ "$(json "v['server_tok_s']")" = 30000.0 ]
    [ "$(json "v['rates_disagree'], v['cold'], v['load_ms'], v['prefill_ms']")" = "True False 1.0 1.0" ]
    [ "$(json "abs(v['remainder_ms'] + 2 - v['ttft_ms']) < 0.01")" = True ]
}

@test "a spike is found, with its place; a server's cause is not known" {
    start_scripted words:60 rate=500 count=1 stall=0.12 stall_at=30
    inspect
    echo "$output"
    [ "$(json "sum(100 < s['gap_ms'] < 200 for s in v['spikes'])")" = 2 ]
    [ "$(json "v['gaps']['max_ms'] > 100")" = True ]
}

@test "reasoning and answer have their own first tokens" {
    start_scripted thinker rate=200 count=1
    inspect
    echo "$output"
    [ "$(json "v['first_reasoning_token_ms'] < v['first_visible_token_ms']")" = True ]
    [ "$(json "[p['phase'] for p in v['waterfall']]")" = "['waiting for the first token', 'reasoning', 'answer']" ]
}

@test "pieces that are not tokens are said, and the rate is that of the server's tokens" {
    printf 'import sys; sys.path.insert(0, "%s")\nimport scripted\n' "$ROOT/tests/http" \
        >"$BATS_TEST_TMPDIR/p.py"
    cat >>"$BATS_TEST_TMPDIR/p.py" <<'P'
def long_words(request, n, argument): # three signs a piece
    return {"text": " ".join("a-b" for i in range(30))}
P
    start_scripted "$BATS_TEST_TMPDIR/p.py:long_words" rate=300
    inspect
    echo "$output"
    [ "$(json "v['pieces'] < v['completion_tokens'] - 1")" = True ]
    [ "$(json "any('pieces are not tokens' in w for w in v['warnings'])")" = True ]
    [ "$(json "v['decode_tok_s'] > 600")" = True ]
}

@test "two targets in turn: A B B A, warm-ups left out, the faster one is found" {
    start_scripted words:40 rate=400 count=1
    local slow=$PORT pid=$SCRIPTED_PID
    SCRIPTED_PID=
    exec 9>&7
    start_scripted words:40 rate=1200 count=1
    run --separate-stderr "$AUKLET" inspect "openai:http://127.0.0.1:$slow/v1/m" --json --repeat 5 \
        --against "openai:http://127.0.0.1:$PORT/v1/m" --prompt-tokens 100 --gen-tokens 40 \
        --db "$BATS_TEST_TMPDIR/l.db"
    exec 9>&-
    kill "$pid"
    echo "$output" "$stderr"
    [ "$status" -eq 0 ]
    [ "$(json "[(r['metric'], r['differ'], r['a']['n'], r['b']['n']) for r in v['versus']][0]")" = "('decode_tok_s', True, 5, 5)" ]
    [ "$(json "2 < v['versus'][0]['change'] + 1 < 4 and v['versus'][0]['lo'] > 0")" = True ]
    run "$AUKLET" ledger show latest --items --json --db "$BATS_TEST_TMPDIR/l.db"
    [ "$(json "''.join(i['target'] for i in v['items'] if i['item'] == 'run' and not i['warm_up'])")" = ABBAABBAAB ]
    [ "$(json "sum(i['warm_up'] for i in v['items'] if i['item'] == 'run')")" = 2 ]
}

@test "slower than at least five earlier runs like it is said, after one it is not" {
    local db=$BATS_TEST_TMPDIR/l.db earlier
    start_scripted words:40 rate=1000 count=1
    for earlier in 0 1 2 3 4; do
        inspect --db "$db" --repeat 3
        [ "$status" -eq 0 ]
        [ "$(json "v['regression']['enough'], v['regression']['earlier_runs']")" = "False $earlier" ]
    done
    inspect --db "$db" --repeat 3
    echo "$output"
    [ "$(json "v['regression']['enough'], v['regression']['slower']")" = "True False" ]
    inspect --db "$db" --gen-tokens 61 # another sampling: nothing to compare with
    [ "$(json "v['regression']['earlier_runs']")" = 0 ]
    # the same server, slower now
    local port=$PORT
    stop_scripted
    sed "s/server = foreign.Server((\"127.0.0.1\", 0)/server = foreign.Server((\"127.0.0.1\", $port)/" \
        "$ROOT/tests/http/scripted.py" >"$BATS_TEST_TMPDIR/same.py"
    PYTHONPATH=$ROOT/tests/http python3 "$BATS_TEST_TMPDIR/same.py" --log "$LOG" --policy words:40 \
        --fault rate=400 --fault count=1 <"$BATS_TEST_TMPDIR/scripted.stdin" >"$BATS_TEST_TMPDIR/port2" 3>&- &
    SCRIPTED_PID=$!
    exec 7>"$BATS_TEST_TMPDIR/scripted.stdin"
    for _ in $(seq 100); do
        [ -s "$BATS_TEST_TMPDIR/port2" ] && break
        sleep 0.1
    done
    inspect --db "$db" --repeat 3
    echo "$output" "$stderr"
    [ "$(json "v['regression']['slower'], v['regression']['hi'] < -0.1")" = "True True" ]
    run "$AUKLET" ledger verify --db "$db"
    [ "$status" -eq 0 ]
}

@test "a run that fails is an item and a warning; none that ends is a failure" {
    printf 'import sys; sys.path.insert(0, "%s")\nimport scripted\n' "$ROOT/tests/http" \
        >"$BATS_TEST_TMPDIR/p.py"
    cat >>"$BATS_TEST_TMPDIR/p.py" <<'P'
def cut(request, n, argument):
    return {"text": "a b c d e f g h i j", "faults": {"cut": 5} if n == 1 else {}}
P
    start_scripted "$BATS_TEST_TMPDIR/p.py:cut"
    inspect --no-prefix
    echo "$output" "$stderr"
    [ "$status" -eq 0 ]
    [ "$(json "v['runs'], v['failed']")" = "2 1" ]
    [ "$(json "any('1 of 2 runs failed' in w for w in v['warnings'])")" = True ]
    start_scripted vanish:1
    inspect
    echo "$output" "$stderr"
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    has "$stderr" "no run came to its end"
}

@test "a prompt that does not fit the window is refused before anything is sent" {
    start_scripted words:10 max_ctx=300
    inspect --prompt-tokens 290
    [ "$status" -eq 1 ]
    has "$stderr" "do not fit a window of 300"
    [ ! -s "$LOG" ]
}

@test "a server that cannot unload says so; ours and Ollama's load is cold" {
    start_scripted words:10
    inspect --cold
    [ "$status" -eq 0 ]
    has "$stderr" "cannot be asked to load its model anew"
    [ "$(json "v['cold'], v['load_ms']")" = "None None" ]
    run --separate-stderr "$AUKLET" inspect "$ROOT/data/miniature" --json --cold --repeat 2 --gen-tokens 8
    echo "$output" "$stderr"
    [ "$status" -eq 0 ]
    [ "$(json "v['cold'], v['load_ms'] > 0, v['resolution']")" = "True True token" ]
}

@test "our engine: tokens, its own counters, causes of spikes, memory to the largest context" {
    run --separate-stderr "$AUKLET" inspect "$ROOT/data/miniature" --json --gen-tokens 64 --prompt-tokens 300
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(json "v['resolution'], v['rates_disagree'], v['counters_inconsistent']")" = "token False False" ]
    [ "$(json "v['pieces'] == v['completion_tokens'], v['cached_tokens']")" = "True 0" ]
    [ "$(json "250 <= v['prompt_tokens'] <= 300")" = True ]
    [ "$(json "all(isinstance(s['cause'], str) for s in v['spikes'])")" = True ]
    [ "$(json "v['memory']['weights_bytes'] > 10**7, v['memory']['ceiling_tokens'], v['memory']['out_of_memory_tokens']")" = "True 8192 None" ]
    run --separate-stderr "$AUKLET" inspect "$ROOT/data/miniature" --gen-tokens 16
    has "$output" "waterfall of"
    has "$output" "gaps between tokens"
}

@test "wrong usage is refused" {
    run --separate-stderr "$AUKLET" inspect
    [ "$status" -eq 2 ]
    run --separate-stderr "$AUKLET" inspect data/miniature --repeat -1
    [ "$status" -eq 2 ]
    run --separate-stderr "$AUKLET" audit data/miniature --kind prose
    [ "$status" -eq 2 ]
    run --separate-stderr "$AUKLET" audit data/miniature --budget soon
    [ "$status" -eq 2 ]
    run --separate-stderr "$AUKLET" audit data/miniature --resume
    [ "$status" -eq 2 ]
}
