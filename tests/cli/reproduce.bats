load helpers

# The paper's published counts, through our statistics: every number of its table, and what may be
# said of its "tie".
@test "the published counts give the published numbers" {
    value() { # KEY of the JSON that the rest of the words print
        local key=$1
        shift
        "$AUKLET" "$@" --json | python3 -c 'import json, sys; print("%.4f" % json.load(sys.stdin)[sys.argv[1]])' "$key"
    }
    [ "$(value rate stats wilson --k 146 --n 164)" = 0.8902 ]
    [ "$(value rate stats wilson --k 233 --n 257)" = 0.9066 ]
    [ "$(value rate stats wilson --k $((146 + 233)) --n $((164 + 257)))" = 0.9002 ]
    [ "$(value rate stats wilson --k 148 --n 164)" = 0.9024 ]
    [ "$(value rate stats wilson --k 145 --n 164)" = 0.8841 ]
    # mixed_4_8 against round-to-nearest: 140 both, 8 only mixed, 6 only rtn, 10 neither
    [ "$(value p_exact stats mcnemar --table 140,8,6,10)" = 0.7905 ]
    [ "$(value rate_a stats mcnemar --table 140,8,6,10)" = 0.9024 ]
    [ "$(value rate_b stats mcnemar --table 140,8,6,10)" = 0.8902 ]
    # gptq against round-to-nearest: one task apart, whatever the discordant counts are
    for b in 0 1 3 5 9 18; do
        [ "$(value p_exact stats mcnemar --table $((145 - b)),$b,$((b + 1)),$((18 - b)))" = 1.0000 ]
    done
    # the agentic subset
    [ "$(value lo stats wilson --k 6 --n 30)" = 0.0951 ]
    [ "$(value hi stats wilson --k 6 --n 30)" = 0.3731 ]
}

@test "of the tie, the equivalence test says that it is not shown" {
    run --separate-stderr "$AUKLET" stats tost --table 140,8,6,10 --margin 0.015
    [ "$status" -eq 0 ]
    has "$output" "Equivalence within 1.5 points is not shown: A - B is +1.22 points and its 90 % interval, -2.53 to +4.97, does not lie inside -1.5 to +1.5 (p = 0.1164 and 0.4510)."
    run --separate-stderr "$AUKLET" stats mcnemar --table 140,8,6,10
    has "$output" "No difference shown (p = 0.7905), which does not make A and B equivalent"
    case $output in *[Ee]qual*) false ;; esac
}

@test "the procedure runs on the miniature, and again does nothing twice" {
    need_shared data/HumanEval.jsonl.gz
    model=$ROOT/data/miniature
    [ -e "$model/model.safetensors" ] || skip "there is no bundled model"
    cd "$BATS_TEST_TMPDIR"
    unset AUK_LEDGER
    export DATA=$SHARED/data AUKLET WAYS="rtn4 mixed_4_8" # gptq4 takes half a minute
    run --separate-stderr "$ROOT/scripts/reproduce.sh" "$model" out --limit 3 --max-tokens 24
    echo "$output$stderr"
    [ "$status" -eq 0 ]
    has "$output" "rtn4, humaneval"
    has "$output" "every headline is what its items give"
    grep -Eq '^rtn4, mbpp +233/257 = 0\.9066 +0/3 = 0\.0000$' <<<"$output"
    grep -Eq '^rtn4, pooled +379/421 = 0\.9002 +0/6 = 0\.0000$' <<<"$output"
    grep -Eq '^mixed_4_8 against rtn4, humaneval +p = 0\.7905 +p = 1\.0000, table 0,0,0,3$' <<<"$output"
    [ -f out/ledger.db ]
    run --separate-stderr "$ROOT/scripts/reproduce.sh" "$model" out --limit 3 --max-tokens 24
    [ "$status" -eq 0 ]
    case $output in *"auklet eval"*) false ;; esac
}
