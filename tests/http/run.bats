#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run of a model behind a server: streamed, in every dialect, and a server's fault is one line.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    cat >policy.py <<'P'
def reply(request, n, argument):
    return {"thinking": "Let me see.", "text": "It is forty two."}


def echo(request, n, argument):
    return {"text": " | ".join("%s: %s" % (m["role"], m["content"]) for m in request["messages"])}


def call(request, n, argument):
    return {"text": "", "calls": [{"name": "get", "arguments": {"a": [1, "x"]}}]}


def broken(request, n, argument):
    return {"text": "one two three four five", "faults": {"error": 3}}


def slow(request, n, argument):
    return {"text": "one two three four", "faults": {"stall_at": 3, "stall": 20}}
P
}

teardown() {
    stop_scripted
}

serve() { # FUNCTION [NAME=VALUE]...
    local function=$1
    shift
    start_scripted "$BATS_TEST_TMPDIR/policy.py:$function" "$@"
    OPENAI=openai:http://127.0.0.1:$PORT/v1/m OLLAMA=ollama:http://127.0.0.1:$PORT/m
    ANTHROPIC=anthropic:http://127.0.0.1:$PORT/m
}

ask() {
    run --separate-stderr timeout 30 "$AUKLET" run "$@"
}

# sent KEY: of the last request's body
sent() {
    python3 - "$LOG" "$1" <<'P'
import json, sys
body = json.loads(open(sys.argv[1]).readlines()[-1])["body"]
body = json.loads(body) if isinstance(body, str) else body
print(json.dumps(body.get(sys.argv[2])))
P
}

@test "in each dialect the answer is on stdout and the rest on stderr" {
    serve reply
    for model in "$OPENAI" "$OLLAMA" "$ANTHROPIC"; do
        ask "$model" "What is it?"
        [ "$status" -eq 0 ]
        [ "$output" = "It is forty two." ]
        lacks "$stderr" "Let me see"
        has "$stderr" "auklet: prompt "
        ask "$model" "What is it?" --show-thinking
        has "$stderr" "Let me see."
        ask "$model" -q <<<"What is it?"
        [ "$output" = "It is forty two." ]
        [ -z "$stderr" ]
    done
    ask "http://127.0.0.1:$PORT" "What is it?"
    [ "$output" = "It is forty two." ]
}

@test "--json has the keys of a folder's answer, null where nobody said" {
    serve reply
    for model in "$OPENAI" "$OLLAMA" "$ANTHROPIC"; do
        ask "$model" hello --json
        [ "$status" -eq 0 ]
        jq -e '.schema == "auklet.run/1" and .text == "It is forty two." and
            .thinking == "Let me see." and .tool_calls == [] and .outcome == "answer" and
            .finish_reason == "stop" and .finish_details == null and
            .usage.prompt_tokens > 0 and .usage.completion_tokens > 0 and
            .timings.first_token_ns > 0' <<<"$output"
        keys=$(jq -c '[keys, (.usage, .timings | keys)]' <<<"$output")
        [ "$keys" = "${before:=$keys}" ]
    done
    ask "$OPENAI" hello --json
    jq -e '.timings.prefill_ns == null and .timings.decode_ns == null' <<<"$output"
    ask "$ROOT/data/miniature" hello --greedy --max-tokens 100 --json
    [ "$(jq -c '[keys, (.usage, .timings | keys)]' <<<"$output")" = "$keys" ]
    serve reply no_usage=1
    ask "$OPENAI" hello --json
    jq -e '.usage.prompt_tokens == null and .usage.completion_tokens == null' <<<"$output"
    ask "$OPENAI" hello
    has "$stderr" "of unknown length"
}

@test "it streams: what came is there before the rest" {
    serve slow
    "$AUKLET" run "$OPENAI" hello >out 2>err 3>&- &
    for _ in $(seq 100); do
        grep -q two out && break
        sleep 0.1
    done
    has "$(cat out)" "one two"
    lacks "$(cat out)" four
    kill -TERM $!
    wait $! || true
}

@test "an interrupt ends the answer with 130" {
    serve slow
    python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$AUKLET" run "$OPENAI" hello >out 2>err 3>&- &
    for _ in $(seq 100); do
        grep -q two out && break
        sleep 0.1
    done
    kill -INT $!
    code=0
    wait $! || code=$?
    [ "$code" -eq 130 ]
    has "$(cat err)" "auklet: stopped"
}

@test "options reach the server, and only those that were given" {
    serve echo
    ask "$OPENAI" hello --system "Be brief."
    [ "$output" = "system: Be brief. | user: hello" ]
    [ "$(sent temperature) $(sent top_p) $(sent seed)" = "null null null" ]
    ask "$OPENAI" hello --temperature 0.5 --top-p 0.9 --seed 7 --max-tokens 50
    [ "$(sent temperature) $(sent top_p) $(sent seed)" = "0.5 0.9 7" ]
    ask "$OPENAI" hello --greedy
    [ "$(sent temperature)" = 0 ] || [ "$(sent temperature)" = 0.0 ]
    for wrong in "--precision f32" --no-loop-guard "--ctx 100" "--seed 18446744073709551614"; do
        # shellcheck disable=SC2086 # an option and its value
        ask "$OPENAI" hello $wrong
        [ "$status" -eq 2 ]
    done
    ask "$OLLAMA" hello --ctx 4096
    [ "$status" -eq 0 ]
    has "$(sent options)" '"num_ctx": 4096'
}

@test "tool calls are shown and listed" {
    serve call
    ask "$OPENAI" hello
    [ "$(printf '%s' "$output" | tr -d ' ')" = '[toolcall]get{"a":[1,"x"]}' ]
    ask "$OPENAI" hello --json
    jq -e '.outcome == "tool_calls" and .finish_reason == "tool_calls" and
        .tool_calls[0].name == "get" and .tool_calls[0].arguments == {"a": [1, "x"]}' <<<"$output"
}

@test "a chat remembers what was said" {
    serve echo
    run timeout 60 python3 -B "$ROOT/tests/cli/chat.py" "wait:> " send:first "wait:user: first" \
        "wait:> " send:second "wait:user: first | assistant: user: first | user: second" "wait:> " \
        send:/new "wait:a new conversation" send:third "wait:user: third" "wait:> " send:/exit \
        -- "$AUKLET" run "$OPENAI"
    [ "$status" -eq 0 ]
    has "$output" "exit 0"
    has "$output" "user: third" # and nothing before it
    lacks "$output" "second | assistant"
}

@test "a fault of the server is one line and exit 1" {
    ask openai:http://127.0.0.1:9/v1/m hello -q
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    has "$stderr" "127.0.0.1:9"
    serve broken
    ask "$OPENAI" hello -q
    [ "$status" -eq 1 ]
    has "$output" "one"
    [ "${#stderr_lines[@]}" -eq 1 ]
    serve reply key=secret
    ask "$OPENAI" hello -q
    [ "$status" -eq 1 ]
    has "$stderr" AUKLET_API_KEY
    AUKLET_API_KEY=secret ask "$OPENAI" hello -q
    [ "$output" = "It is forty two." ]
}
