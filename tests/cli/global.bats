#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What every command promises: help, wrong usage, streams, exit statuses, environment.

load helpers

setup() {
    M=$BATS_TEST_TMPDIR/model
    COMMANDS=$("$AUKLET" help --list)
}

make_model() {
    python3 -B "$ROOT/tests/cli/model.py" "$M" "$@"
}

@test "help is on stdout, exit 0, in every spelling" {
    for spelling in help --help -h; do
        run --separate-stderr "$AUKLET" "$spelling"
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        has "$output" "usage: auklet COMMAND"
        for command in $COMMANDS; do
            has "$output" "  $command"
        done
    done
}

@test "every command explains itself, examples first, with each of its options" {
    for command in $COMMANDS; do
        run --separate-stderr "$AUKLET" "$command" --help
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        has "${lines[0]}" "usage: auklet $command"
        has "$output" "examples:"
        for option in $("$AUKLET" help --options "$command"); do
            has "$output" "  $option"
        done
        [ "$output" = "$("$AUKLET" help "$command")" ]
        [ "$output" = "$("$AUKLET" "$command" -h)" ]
    done
}

@test "every command of the contract that is here has its name" {
    for command in plan quantize compare run tensors tokenize detokenize render parse logits \
        generate version; do
        has " $(echo $COMMANDS) " " $command "
    done
}

@test "without a command: exit 2" {
    run --separate-stderr "$AUKLET"
    [ "$status" -eq 2 ]
}

@test "an unknown command: exit 2, two lines, the nearest name" {
    run --separate-stderr "$AUKLET" quantise
    usage_error
    golden unknown_command.stderr <<<"$stderr"
    run --separate-stderr "$AUKLET" frobnicate
    usage_error
    case $stderr in *"did you mean"*) false ;; esac
    run --separate-stderr "$AUKLET" help quantise
    usage_error
    has "$stderr" "did you mean 'quantize'"
}

@test "an unknown option: exit 2, two lines, the nearest name" {
    run --separate-stderr "$AUKLET" run --temprature 1 "$M"
    usage_error
    golden unknown_option.stderr <<<"$stderr"
    for command in $COMMANDS; do
        run --separate-stderr "$AUKLET" "$command" --no-such-option-at-all
        usage_error
        has "$stderr" "unknown option '--no-such-option-at-all'"
        run --separate-stderr "$AUKLET" "$command" --jsn
        usage_error
        has "$stderr" "did you mean '--json'"
        run --separate-stderr "$AUKLET" "$command" -x
        usage_error
        has "$stderr" "'-x'"
    done
}

@test "options with missing, wrong or unwanted values: exit 2" {
    for words in "--threads" "--threads=" "--threads x" "--threads 1x" "--threads -1" \
        "--threads 257" "--color purple" "--progress=sometimes" "--threads 99999999999" "--json=1" "--no-threads" "--quiet=" \
        "--no-json=1"; do
        # shellcheck disable=SC2086 # words are words
        run --separate-stderr "$AUKLET" version $words
        usage_error
        has "$stderr" "$(sed "s,^--\(no-\)*,,; s,[= ].*,," <<<"$words")"
    done
    for words in "--temperature x" "--temperature nan" "--temperature inf" "--top-k 1.5" \
        "--seed -1" "--seed 99999999999999999999" "--max-tokens -1" "--ctx -1" \
        "--max-tokens 2147483648" "--precision f16"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" run "$M" hi $words
        usage_error
        has "$stderr" "${words%% *}"
    done
}

@test "too few and too many arguments: exit 2" {
    run --separate-stderr "$AUKLET" quantize one
    usage_error
    run --separate-stderr "$AUKLET" quantize one two three
    usage_error
    has "$stderr" "'three'"
    run --separate-stderr "$AUKLET" version extra
    usage_error
    run --separate-stderr "$AUKLET" tensors
    usage_error
}

@test "--x v and --x=v are the same, --no-x turns off, the last one counts, -- ends" {
    make_model
    a=$("$AUKLET" run "$M" hi --max-tokens 3 --greedy --json -q | jq -c .usage)
    b=$("$AUKLET" run --max-tokens=9 --greedy --json --quiet --max-tokens=3 -- "$M" hi | jq -c .usage)
    c=$("$AUKLET" run --no-greedy --greedy --json -q --max-tokens 3 "$M" hi | jq -c .usage)
    [ "$a" = "$b" ]
    [ "$a" = "$c" ]
    run --separate-stderr "$AUKLET" tensors -- --json
    [ "$status" -eq 1 ]
    has "$stderr" "'--json'"
}

@test "version says what was built, and --json all of it" {
    run --separate-stderr "$AUKLET" version
    [ "$status" -eq 0 ]
    [ "$output" = "$("$AUKLET" --version)" ]
    run --separate-stderr "$AUKLET" version --json
    [ "$status" -eq 0 ]
    [ "$(jq -r .schema <<<"$output")" = "auklet.version/1" ]
    for key in version commit compiler flags cpu levels blas kernels; do
        jq -e "has(\"$key\")" <<<"$output"
    done
}

@test "AUK_CPU and --cpu limit the level, and unknown levels are refused" {
    [ "$("$AUKLET" version --json --cpu scalar | jq -r .levels)" = "scalar" ]
    [ "$(AUK_CPU=scalar "$AUKLET" version --json | jq -r .levels)" = "scalar" ]
    [ "$(AUK_CPU=scalar "$AUKLET" version --json | jq -r '.kernels | map(. == "scalar") | all')" = true ]
    # --cpu cannot raise what the environment allows
    [ "$(AUK_CPU=scalar "$AUKLET" version --json --cpu avx512 | jq -r .levels)" = "scalar" ]
    run --separate-stderr "$AUKLET" version --cpu sse9
    [ "$status" -eq 1 ] || [ "$status" -eq 2 ]
    has "$stderr" "'sse9'"
    AUK_CPU=sse9 run --separate-stderr "$AUKLET" version
    [ "$status" -eq 1 ]
    has "$stderr" "'sse9'"
}

@test "AUK_THREADS that is no number of threads is refused or ignored, never a crash" {
    make_model
    echo '[2]' >"$BATS_TEST_TMPDIR/ids"
    for value in 0 -1 x 99999999999999999999 1.5 ""; do
        AUK_THREADS=$value run --separate-stderr "$AUKLET" generate "$M" --ids "$BATS_TEST_TMPDIR/ids" --max-tokens 1
        [ "$status" -eq 0 ] || { [ "$status" -eq 1 ] && has "$stderr" AUK_THREADS; }
    done
}

@test "AUK_THREADS and --threads set the threads" {
    [ "$(AUK_THREADS=1 "$AUKLET" plan --json | jq .machine.threads)" = 1 ]
    [ "$("$AUKLET" plan --json --threads 3 | jq .machine.threads)" = 3 ]
    [ "$(AUK_THREADS=1 "$AUKLET" plan --json --threads 2 | jq .machine.threads)" = 2 ]
}

@test "threads and levels change nothing of what is computed" {
    make_model
    echo '[2, 5, 7, 1000, 3]' >"$BATS_TEST_TMPDIR/ids"
    want=$("$AUKLET" generate "$M" --ids "$BATS_TEST_TMPDIR/ids" --max-tokens 20 --greedy)
    for threads in 1 2 3 7; do
        got=$("$AUKLET" generate "$M" --ids "$BATS_TEST_TMPDIR/ids" --max-tokens 20 --greedy --threads $threads)
        [ "$got" = "$want" ]
        got=$(AUK_CPU=scalar AUK_THREADS=$threads "$AUKLET" generate "$M" --ids "$BATS_TEST_TMPDIR/ids" --max-tokens 20 --greedy)
        [ "$got" = "$want" ]
    done
}

@test "sizes are read in every spelling" {
    for pair in 1000=1000 2KB=2000 1.5GB=1500000000 1TB=1000000000000 \
        2MiB=2097152 0.5TiB=549755813888 7G=7000000000; do
        [ "$("$AUKLET" plan --json --threads 1 --memory "${pair%=*}" | jq .machine.available_bytes)" = "${pair#*=}" ]
    done
    for bad in "" x 1X -1 -1GB nan inf 1e30 1GBB "1 GB" GB 0x; do
        run --separate-stderr "$AUKLET" plan --memory "$bad"
        usage_error
        has "$stderr" "'--memory'"
    done
}

@test "a full standard output is a failure that is said" {
    [ -e /dev/full ] || skip "no /dev/full"
    make_model
    echo '[2]' >"$BATS_TEST_TMPDIR/ids"
    for words in "version" "version --json" "plan --memory 1GB --threads 1" \
        "plan --json --threads 1" "tensors $M" "generate $M --ids $BATS_TEST_TMPDIR/ids" \
        "help" "run --help" "compare $M $M --ids $BATS_TEST_TMPDIR/three" \
        "quantize $M $BATS_TEST_TMPDIR/q" "run $M hi --max-tokens 2 --json"; do
        echo '[2, 3, 4]' >"$BATS_TEST_TMPDIR/three"
        # shellcheck disable=SC2086
        run bash -c '"$@" 2>&1 >/dev/full' - "$AUKLET" $words -q
        if [ "${words%% *}" = help ]; then
            run bash -c '"$@" 2>&1 >/dev/full' - "$AUKLET" $words
        fi
        if [ "$status" -ne 1 ] || [[ $output != *"standard output"* ]]; then
            echo "$words: status $status, '$output'"
            return 1
        fi
    done
}

@test "a closed standard output is a failure that is said" {
    make_model
    for words in "version" "tensors $M" "run $M hi --max-tokens 2 --json -q"; do
        # shellcheck disable=SC2086
        run bash -c '"$@" 2>&1 >&-' - "$AUKLET" $words
        if [ "$status" -ne 1 ] || [[ $output != *"standard output"* ]]; then
            echo "$words: status $status, '$output'"
            return 1
        fi
    done
}

@test "a reader that has seen enough is no crash" {
    make_model
    run bash -c '"$@" | head -1; echo "status ${PIPESTATUS[0]}"' - "$AUKLET" tensors "$M"
    case ${lines[-1]} in "status 0" | "status 1") ;; *) false ;; esac
}

@test "the locale changes nothing" {
    make_model
    echo '[2, 5, 7]' >"$BATS_TEST_TMPDIR/ids"
    want=$("$AUKLET" generate "$M" --ids "$BATS_TEST_TMPDIR/ids" --max-tokens 5 --greedy)
    for locale in de_DE.UTF-8 tr_TR.UTF-8 C.UTF-8 none; do
        got=$(LC_ALL=$locale "$AUKLET" generate "$M" --ids "$BATS_TEST_TMPDIR/ids" --max-tokens 5 --greedy)
        [ "$got" = "$want" ]
        LC_ALL=$locale "$AUKLET" run "$M" hi --max-tokens 1 --temperature 0.5 --top-p 0.9 -q
    done
}

@test "failures that are a command's own: one line on stderr, nothing on stdout" {
    for words in "plan $M" "quantize $M $M.out" "compare $M $M" "run $M hi" "tensors $M" \
        "tokenize $M" "detokenize $M" "render $M" "logits $M --ids x -o y" "generate $M --ids x"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" $words </dev/null
        if [ "${words%% *}" = render ]; then
            continue # renders North's own template wherever there is none, and says so
        fi
        [ "$status" -eq 1 ]
        [ -z "$output" ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        has "$stderr" "auklet: "
    done
}
