#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run: one prompt, standard input, an interactive chat.

load helpers

setup() {
    M=$BATS_TEST_TMPDIR/model
    MINIATURE=$ROOT/data/miniature
}

# A model of random weights: it never ends its turn by itself, which is what most tests want.
make_model() {
    python3 -B "$ROOT/tests/cli/model.py" "$M" "$@"
}

need_miniature() {
    [ -e "$MINIATURE/model.safetensors" ] || skip "data/miniature has no weights yet"
}

chat() {
    python3 -B "$ROOT/tests/cli/chat.py" "$@"
}

# ---- one prompt --------------------------------------------------------------------------------

@test "an answer is on stdout, everything else on stderr" {
    need_miniature
    run --separate-stderr "$AUKLET" run "$MINIATURE" "Write a function that adds two numbers." --greedy --max-tokens 200
    [ "$status" -eq 0 ]
    [ -n "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr =~ ^'auklet: prompt '[0-9]+' tokens (0 cached) in '[0-9.]+' s, '[0-9.]+' tok/s; answer '[0-9]+' tokens in '[0-9.]+' s, '[0-9.]+' tok/s'$ ]]
    text=$output
    run --separate-stderr "$AUKLET" run "$MINIATURE" "Write a function that adds two numbers." --greedy --max-tokens 200 --json -q
    [ "$(jq -r .text <<<"$output")" = "$text" ]
    [ "$(jq -r .finish_reason <<<"$output")" = stop ]
    [ "$(jq -r .outcome <<<"$output")" = answer ]
    thinking=$(jq -r .thinking <<<"$output")
    [ -n "$thinking" ]
    case $text in *"$thinking"*) false ;; esac
}

@test "-q leaves stdout as it is and stderr empty" {
    need_miniature
    want=$("$AUKLET" run "$MINIATURE" hello --greedy --max-tokens 100 2>/dev/null)
    run --separate-stderr "$AUKLET" run "$MINIATURE" hello --greedy --max-tokens 100 -q
    [ "$status" -eq 0 ]
    [ "$output" = "$want" ]
    [ -z "$stderr" ]
}

@test "thinking is shown on stderr when asked for, never on stdout" {
    need_miniature
    thinking=$("$AUKLET" run "$MINIATURE" hello --greedy --max-tokens 100 --json -q | jq -r .thinking)
    run --separate-stderr "$AUKLET" run "$MINIATURE" hello --greedy --max-tokens 100 --show-thinking
    has "$stderr" "$thinking"
    case $output in *"$thinking"*) false ;; esac
    run --separate-stderr "$AUKLET" run "$MINIATURE" hello --greedy --max-tokens 100
    case $stderr in *"$thinking"*) false ;; esac
    run --separate-stderr "$AUKLET" run "$MINIATURE" hello --greedy --max-tokens 100 --no-think --json -q
    [ "$(jq -r .thinking <<<"$output")" = "" ]
}

@test "--json has every key of the contract" {
    make_model
    run --separate-stderr "$AUKLET" run "$M" hello --greedy --max-tokens 5 --json -q
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "${#lines[@]}" -eq 1 ]
    [ "$(jq -r .schema <<<"$output")" = "auklet.run/1" ]
    jq -e '(.text == "") and (.thinking | type == "string") and
        (.tool_calls | type == "array") and (.finish_reason == "length") and
        .usage.prompt_tokens > 0 and .usage.cached_tokens == 0 and
        .usage.completion_tokens == 5 and (.timings | length > 0) and
        (.timings | to_entries | map((.key | endswith("_ns")) and .value >= 0) | all)' <<<"$output"
}

@test "one token is one token" {
    make_model
    run --separate-stderr "$AUKLET" run "$M" hello --max-tokens 1
    [ "$status" -eq 0 ]
    has "$stderr" "stopped at the limit of 1 tokens"
    [ "$("$AUKLET" run "$M" hello --max-tokens 1 --json -q | jq .usage.completion_tokens)" = 1 ]
}

@test "without --max-tokens the context is what stops an endless answer, and that is said" {
    make_model
    run --separate-stderr "$AUKLET" run "$M" hello --greedy --no-loop-guard --ctx 300
    [ "$status" -eq 0 ]
    has "$stderr" "the answer is cut"
    run --separate-stderr "$AUKLET" run "$M" hello --greedy --no-loop-guard --ctx 300 --json -q
    [ "$(jq '.usage.prompt_tokens + .usage.completion_tokens' <<<"$output")" -eq 300 ]
    [ "$(jq -r .finish_reason <<<"$output")" = length ]
}

@test "greedy is the same for any number of threads and any level" {
    make_model
    want=$("$AUKLET" run "$M" hello --greedy --max-tokens 60 --json -q | jq -c 'del(.timings)')
    for threads in 1 2 3 7; do
        got=$("$AUKLET" run "$M" hello --greedy --max-tokens 60 --json -q --threads $threads | jq -c 'del(.timings)')
        [ "$got" = "$want" ]
    done
    got=$(AUK_CPU=scalar "$AUKLET" run "$M" hello --greedy --max-tokens 60 --json -q | jq -c 'del(.timings)')
    [ "$got" = "$want" ]
    got=$("$AUKLET" run "$M" hello --temperature 0 --seed 5 --max-tokens 60 --json -q | jq -c 'del(.timings)')
    [ "$got" = "$want" ]
}

@test "a seed gives the same answer again, another seed another" {
    make_model
    a=$("$AUKLET" run "$M" hello --seed 7 --max-tokens 30 --json -q | jq -c .thinking)
    b=$("$AUKLET" run "$M" hello --seed 7 --max-tokens 30 --json -q --threads 1 | jq -c .thinking)
    c=$("$AUKLET" run "$M" hello --seed 8 --max-tokens 30 --json -q | jq -c .thinking)
    [ "$a" = "$b" ]
    [ "$a" != "$c" ]
}

@test "0 is a seed like another; without one it differs, and --verbose tells which it was" {
    make_model
    a=$("$AUKLET" run "$M" hello --seed 0 --max-tokens 30 --json -q | jq -c .thinking)
    b=$("$AUKLET" run "$M" hello --seed 0 --max-tokens 30 --json -q | jq -c .thinking)
    [ "$a" = "$b" ]
    run --separate-stderr "$AUKLET" run "$M" hello --max-tokens 30 --json --verbose
    [[ $stderr =~ "auklet: seed "([0-9]+) ]]
    c=$("$AUKLET" run "$M" hello --seed "${BASH_REMATCH[1]}" --max-tokens 30 --json -q | jq -c .thinking)
    [ "$(jq -c .thinking <<<"$output")" = "$c" ]
}

@test "sampling settings outside their range are usage errors that name them" {
    for words in "--temperature -1" "--temperature 101" "--top-p 0" "--top-p 1.1" "--top-k -1"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" run "$M" hi $words
        usage_error
        has "$stderr" "'${words%% *}'"
    done
}

@test "the loop guard closes endless thinking, then stops, and says so" {
    make_model
    run --separate-stderr "$AUKLET" run "$M" hello --greedy --ctx 4000
    [ "$status" -eq 0 ]
    has "$stderr" "thinking repeated a block of"
    has "$stderr" "stopped: the answer repeated a block of"
    run --separate-stderr "$AUKLET" run "$M" hello --greedy --ctx 4000 --json -q
    [ "$(jq -r .finish_reason <<<"$output")" = length ]
    [ "$(jq -r .finish_details.type <<<"$output")" = repetition_guard ]
}

@test "the prompt is read from standard input when it is no terminal" {
    make_model
    want=$("$AUKLET" run "$M" "two words" --greedy --max-tokens 9 --json -q | jq -c 'del(.timings)')
    [ "$(echo "two words" | "$AUKLET" run "$M" --greedy --max-tokens 9 --json -q | jq -c 'del(.timings)')" = "$want" ]
    [ "$(printf 'two words\n\n\n' | "$AUKLET" run "$M" --greedy --max-tokens 9 --json -q | jq -c 'del(.timings)')" = "$want" ]
}

@test "control tokens written in a prompt stay text" {
    make_model
    plain=$("$AUKLET" run "$M" "x" --max-tokens 1 --json -q | jq .usage.prompt_tokens)
    marked=$("$AUKLET" run "$M" "x<|END_OF_TURN_TOKEN|>" --max-tokens 1 --json -q | jq .usage.prompt_tokens)
    [ "$marked" -gt $((plain + 1)) ]
}

@test "--system and --no-think change the prompt" {
    make_model
    plain=$("$AUKLET" run "$M" x --max-tokens 1 --json -q | jq .usage.prompt_tokens)
    system=$("$AUKLET" run "$M" x --system "Be brief." --max-tokens 1 --json -q | jq .usage.prompt_tokens)
    closed=$("$AUKLET" run "$M" x --no-think --max-tokens 1 --json -q | jq .usage.prompt_tokens)
    [ "$system" -gt "$plain" ]
    [ "$closed" -gt "$plain" ]
}

@test "f32 and bf16 are both offered" {
    make_model
    for precision in f32 bf16; do
        run --separate-stderr "$AUKLET" run "$M" x --precision $precision --max-tokens 3 --greedy --json -q
        [ "$status" -eq 0 ]
    done
}

@test "an interrupt ends one prompt with 130" {
    make_model "config max_position_embeddings=500000"
    for json in "" --json; do
        : >"$BATS_TEST_TMPDIR/err"
        # shellcheck disable=SC2086
        run python3 - "$AUKLET" run "$M" hello --greedy --no-loop-guard --ctx 200000 --show-thinking $json <<'PY'
import signal, subprocess, sys
p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
if "--json" in sys.argv:
    import time
    time.sleep(1)
else:
    p.stderr.read(20)
p.send_signal(signal.SIGINT)
out, err = p.communicate(timeout=30)
print(p.returncode, len(out.splitlines()), b"auklet: stopped\n" in err)
PY
        echo "$output"
        [ "${output%% *}" = 130 ]
        has "$output" "True"
    done
}

# ---- a chat ------------------------------------------------------------------------------------

@test "a chat answers, begins anew, explains itself and ends with Ctrl-D" {
    make_model
    run chat "wait:> " "send:hello" "wait:tok/s" "wait:> " "send:/help" "wait:stops an answer" \
        "send:/new" "wait:a new conversation" "wait:> " "sleep:0.5" "key:ctrl-d" \
        -- "$AUKLET" run "$M" --greedy --max-tokens 5
    has "$output" "a chat with '$M'"
    [ "${lines[-1]}" = "exit 0" ]
}

@test "/exit and /quit end a chat" {
    make_model
    for word in /exit /quit "/exit "; do
        run chat "wait:> " "send:$word" -- "$AUKLET" run "$M"
        [ "${lines[-1]}" = "exit 0" ]
    done
}

@test "empty lines ask nothing" {
    make_model
    run chat "wait:> " "send:" "wait:> " "send:   " "wait:> " "send:/exit" -- "$AUKLET" run "$M" --max-tokens 2
    [ "${lines[-1]}" = "exit 0" ]
    case $output in *"tok/s"*) false ;; esac
}

@test "a chat remembers, and /new forgets" {
    make_model
    run chat "wait:> " "send:hello" "wait:tok/s" "wait:> " "send:hello" "wait:tok/s" "wait:> " \
        "send:/new" "wait:> " "send:hello" "wait:tok/s" "wait:> " "send:/exit" \
        -- "$AUKLET" run "$M" --greedy --max-tokens 5
    sizes=($(grep -ao 'prompt [0-9]* tokens' <<<"$output" | grep -o '[0-9]*'))
    [ "${#sizes[@]}" -eq 3 ]
    [ "${sizes[1]}" -gt "${sizes[0]}" ]
    [ "${sizes[2]}" -eq "${sizes[0]}" ]
}

@test "the arrow up brings the last line back" {
    make_model
    run chat "wait:> " "send:a long question" "wait:tok/s" "wait:> " "key:up" "wait:a long question" \
        "key:enter" "wait:tok/s" "wait:> " "send:/exit" -- "$AUKLET" run "$M" --greedy --max-tokens 2
    [ "${lines[-1]}" = "exit 0" ]
    [ "$(grep -ac 'tok/s' <<<"$output")" -eq 2 ]
}

@test "Ctrl-C stops the answer, not the chat; at the prompt it does nothing" {
    make_model "config max_position_embeddings=500000"
    run chat "wait:> " "send:hello" "wait:[2m" "sleep:0.2" "key:ctrl-c" "wait:auklet: stopped" \
        "wait:> " "sleep:0.5" "key:ctrl-c" "wait:> " "send:again" "wait:[2m" "key:ctrl-c" \
        "wait:auklet: stopped" "wait:> " "send:/exit" \
        -- "$AUKLET" run "$M" --greedy --no-loop-guard --ctx 200000
    echo "${output: -300}"
    [ "${lines[-1]}" = "exit 0" ]
}

@test "a question that does not fit is taken back, and the chat goes on" {
    make_model
    long=$(python3 -c 'print("word " * 100)')
    run chat "wait:> " "send:$long" "wait:the context 150" "wait:> " "send:hi" "wait:tok/s" "wait:> " "send:/exit" \
        -- "$AUKLET" run "$M" --greedy --max-tokens 2 --ctx 150
    [ "${lines[-1]}" = "exit 0" ]
}

@test "thinking is dimmed on a terminal, without colour where none is wanted" {
    make_model
    run chat "wait:> " "send:hello" "wait:tok/s" "wait:> " "send:/exit" -- "$AUKLET" run "$M" --greedy --max-tokens 5
    has "$output" $'\033[2m'
    has "$output" $'\033[0m'
    for words in "NO_COLOR=1" "TERM=dumb"; do
        run chat "wait:> " "send:hello" "wait:tok/s" "wait:> " "send:/exit" \
            -- env "$words" "$AUKLET" run "$M" --greedy --max-tokens 5
        case $output in *$'\033[2m'*) false ;; esac
    done
    run chat "wait:> " "send:hello" "wait:tok/s" "wait:> " "send:/exit" \
        -- "$AUKLET" run "$M" --greedy --max-tokens 5 --color=never
    case $output in *$'\033[2m'*) false ;; esac
}

@test "what a chat writes to a file has the answers and no thinking" {
    need_miniature
    thinking=$("$AUKLET" run "$MINIATURE" hello --greedy --max-tokens 100 --json -q | jq -r .thinking)
    answer=$("$AUKLET" run "$MINIATURE" hello --greedy --max-tokens 100 -q | head -1)
    run chat --stdout "$BATS_TEST_TMPDIR/out" "wait:chat with" "sleep:0.3" "send:hello" "wait:tok/s" "sleep:0.5" "key:ctrl-d" \
        -- "$AUKLET" run "$MINIATURE" --greedy --max-tokens 100
    [ "${lines[-1]}" = "exit 0" ]
    has "$output" "$thinking"
    has "$(cat "$BATS_TEST_TMPDIR/out")" "$answer"
    case $(cat "$BATS_TEST_TMPDIR/out") in *"$thinking"*) false ;; esac
}

@test "several turns of a chat keep what was read before" {
    need_miniature
    run chat "wait:> " "send:hello" "wait:tok/s" "wait:> " "send:hello again" "wait:tok/s" "wait:> " "sleep:0.5" "key:ctrl-d" \
        -- "$AUKLET" run "$MINIATURE" --greedy --max-tokens 60
    [ "${lines[-1]}" = "exit 0" ]
    cached=($(grep -ao '([0-9]* cached)' <<<"$output" | grep -o '[0-9]*'))
    [ "${cached[0]}" -eq 0 ]
    [ "${cached[1]}" -gt 0 ]
}
