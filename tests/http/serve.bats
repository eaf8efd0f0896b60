#!/usr/bin/env bats
# The server from outside: raw sockets and plain requests.

load helpers

# serve [OPTION]...: starts the server on the miniature; sets PORT and SERVER.
serve() {
    "$AUKLET" serve "$ROOT/data/miniature" --port 0 --threads 2 "$@" 2>"$BATS_TEST_TMPDIR/log" 3>&- &
    SERVER=$!
    for _ in $(seq 200); do
        PORT=$(sed -n 's,^listening on http://127.0.0.1:,,p' "$BATS_TEST_TMPDIR/log")
        [ -n "$PORT" ] && return
        sleep 0.05
    done
    cat "$BATS_TEST_TMPDIR/log"
    return 1
}

# ends: the server goes down on SIGTERM with status 0.
ends() {
    kill -TERM "$SERVER" 2>/dev/null || true
    wait "$SERVER"
}

teardown() {
    [ -z "${SERVER:-}" ] || kill -9 "$SERVER" 2>/dev/null || true
}

@test "serve: the table of bad and good requests, raw" {
    serve
    python3 "$BATS_TEST_DIRNAME/edge.py" "$PORT" table
    python3 "$BATS_TEST_DIRNAME/edge.py" "$PORT" rules
    ends
}

@test "serve: the same question in every dialect, stop strings, cancel" {
    serve --script "$BATS_TEST_DIRNAME/slow.jsonl"
    python3 "$BATS_TEST_DIRNAME/dialects.py" "$PORT" tools
    python3 "$BATS_TEST_DIRNAME/dialects.py" "$PORT" stops
    python3 "$BATS_TEST_DIRNAME/edge.py" "$PORT" cancel
    ends
}

@test "serve: a drain lets answers end and says their last words" {
    serve --script "$BATS_TEST_DIRNAME/slow.jsonl"
    python3 "$BATS_TEST_DIRNAME/dialects.py" "$PORT" drain "$SERVER"
    wait "$SERVER"
}

@test "serve: cached beginnings, batches, load, a restart" {
    serve --cache-dir "$BATS_TEST_TMPDIR/cache"
    python3 "$BATS_TEST_DIRNAME/dialects.py" "$PORT" cache
    python3 "$BATS_TEST_DIRNAME/dialects.py" "$PORT" neighbours
    python3 "$BATS_TEST_DIRNAME/edge.py" "$PORT" load 3
    ends
    serve --cache-dir "$BATS_TEST_TMPDIR/cache"
    python3 "$BATS_TEST_DIRNAME/dialects.py" "$PORT" cache again
    run curl -s "http://127.0.0.1:$PORT/metrics"
    has "$output" "auklet_cache_disk_loads_total 2"
    ends
}

@test "serve: tool_choice, JSON mode and schemas" {
    serve
    python3 "$BATS_TEST_DIRNAME/dialects.py" "$PORT" choice
    python3 "$BATS_TEST_DIRNAME/dialects.py" "$PORT" formats
    ends
}

@test "serve: a key, a socket, a foreign address" {
    serve --api-key one,two --unix "$BATS_TEST_TMPDIR/sock" --strict-model
    run curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/health"
    [ "$output" = 200 ]
    run curl -s -w ' %{http_code}' "http://127.0.0.1:$PORT/v1/models"
    has "$output" "authentication_error"
    has "$output" " 401"
    run curl -s -H 'x-api-key: two' "http://127.0.0.1:$PORT/v1/models"
    has "$output" '"miniature"'
    run curl -s -H 'Authorization: Bearer tw' -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/api/tags"
    [ "$output" = 401 ]
    [ "$(stat -c %a "$BATS_TEST_TMPDIR/sock")" = 600 ]
    run curl -s --unix-socket "$BATS_TEST_TMPDIR/sock" -H 'Authorization: Bearer one' http://localhost/api/tags
    has "$output" '"digest"'
    run curl -s -H 'x-api-key: one' "http://127.0.0.1:$PORT/v1/completions" -d '{"model":"gpt-5","prompt":"x"}'
    has "$output" "model_not_found"
    ends
    run "$AUKLET" serve "$ROOT/data/miniature" --host 0.0.0.0 --port 0
    [ "$status" -eq 1 ]
    has "$output" "--api-key"
}
