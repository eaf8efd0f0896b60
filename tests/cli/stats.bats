#!/usr/bin/env bats
# stats, mt19937: numbers, files, sentences, refusals.
load helpers

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# results NAME BITS [KEY...]: one line a task, passed where BITS has a 1.
results() {
    local i
    for ((i = 0; i < ${#2}; i++)); do
        if [ "${2:i:1}" = 1 ]; then
            echo "{\"task_id\": \"HumanEval/$i\", \"sample\": 0, \"status\": \"passed\", \"passed\": true${3:-}}"
        else
            echo "{\"task_id\": \"HumanEval/$i\", \"sample\": 0, \"status\": \"failed\", \"passed\": false${3:-}}"
        fi
    done >"$1"
}

# 140 both, 8 only A, 6 only B, 10 none
published() {
    local both only_a only_b none
    both=$(printf '1%.0s' {1..140})
    only_a=$(printf '1%.0s' {1..8})
    only_b=$(printf '0%.0s' {1..6})
    none=$(printf '0%.0s' {1..10})
    results a.jsonl "$both$only_a$only_b$none"
    results b.jsonl "$both${only_a//1/0}${only_b//0/1}$none"
}

# refused STATUS WORDS: the last command failed so, said WORDS, and printed nothing on stdout.
refused() {
    [ "$status" -eq "$1" ] && [ -z "$output" ] && has "$stderr" "$2"
}

@test "mcnemar of the published counts says p = 0.7905 and that it shows nothing" {
    run --separate-stderr "$AUKLET" stats mcnemar --table 140,8,6,10
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    golden stats_mcnemar.stdout <<<"$output"
}

@test "files give the table that the counts give" {
    published
    run --separate-stderr "$AUKLET" stats mcnemar --a a.jsonl --b b.jsonl --json
    [ "$status" -eq 0 ]
    [ "$output" = "$("$AUKLET" stats mcnemar --table 140,8,6,10 --json)" ]
    golden stats_mcnemar.json <<<"$output"
}

@test "the published rates are printed with four digits" {
    for row in 146/164=0.8902 148/164=0.9024 145/164=0.8841 233/257=0.9066 379/421=0.9002; do
        count=${row%=*}
        run "$AUKLET" stats wilson --k "${count%/*}" --n "${count#*/}"
        has "$output" "$count = ${row#*=}, Wilson 95 %:"
    done
    run "$AUKLET" stats mcnemar --table 141,4,5,14
    has "$output" "p = 1.0000"
}

@test "a difference that is there is named, with its direction" {
    run "$AUKLET" stats mcnemar --table 100,40,6,10
    has "$output" "A passes more: A - B is +21.79 points"
    run "$AUKLET" stats mcnemar --table 100,6,40,10
    has "$output" "B passes more: A - B is -21.79 points"
}

@test "no test of difference calls two runs equal" {
    for table in 140,8,6,10 164,0,0,0 0,0,0,9 10,3,3,0 10,0,1,0 1,0,0,0; do
        for test in mcnemar newcombe bootstrap; do
            run "$AUKLET" stats $test --table $table
            [ "$status" -eq 0 ]
            run grep -iE 'equal|identical|the same|no difference between|\btie' <<<"$output"
            [ "$status" -eq 1 ]
        done
        run "$AUKLET" stats mcnemar --table $table
        has "$output" "No difference shown"
    done
}

@test "tost says whether equivalence is shown, and what it would take" {
    run --separate-stderr "$AUKLET" stats tost --table 140,8,6,10 --margin 0.015
    [ "$status" -eq 0 ]
    golden stats_tost.stdout <<<"$output"
    run "$AUKLET" stats tost --table 140,8,6,10 --margin 0.05
    has "$output" "Equivalence within 5 points is shown"
    run "$AUKLET" stats tost --table 140,8,6,10 --margin 0.05 --json
    golden stats_tost.json <<<"$output"
}

@test "every test prints the keys of the contract" {
    run "$AUKLET" stats wilson --k 6 --n 30 --json
    golden stats_wilson.json <<<"$output"
    run "$AUKLET" stats newcombe --k1 148 --n1 164 --k2 146 --n2 164 --json
    golden stats_newcombe.json <<<"$output"
    run "$AUKLET" stats newcombe --table 36,12,2,0 --level 0.9 --json
    golden stats_newcombe_paired.json <<<"$output"
    run "$AUKLET" stats passk --n 200 --c 37 --k 10 --json
    golden stats_passk.json <<<"$output"
    run "$AUKLET" stats passhatk --n 8 --c 6 --k 4 --json
    golden stats_passhatk.json <<<"$output"
    run "$AUKLET" stats holm --p 0.01,0.04,0.03,0.005 --json
    golden stats_holm.json <<<"$output"
    run "$AUKLET" stats bootstrap --table 140,8,6,10 --seed 7 --json
    golden stats_bootstrap.json <<<"$output"
}

@test "the bootstrap takes several samples a task and names generator and seed" {
    for sample in 0 1 2; do
        results part 1101001110 ", \"n\": $sample"
        sed "s/\"sample\": 0/\"sample\": $sample/" part
    done >a.jsonl
    results b.jsonl 1001001010
    run "$AUKLET" stats bootstrap --a a.jsonl --b b.jsonl
    [ "$status" -eq 0 ]
    has "$output" "A - B over 10 tasks  +20.00 points"
    has "$output" "100000 resamples; seed 1234 of MT19937"
    run --separate-stderr "$AUKLET" stats mcnemar --a a.jsonl --b b.jsonl
    refused 1 "has 3 samples of 'HumanEval/0'"
}

@test "one file gives wilson, passk and passhatk" {
    results a.jsonl 1101001110
    run "$AUKLET" stats wilson --a a.jsonl
    has "$output" "6/10 = 0.6000, Wilson 95 %: 0.3127 to 0.8318"
    (
        results part 1100 && cat part
        results part 1010 && sed 's/"sample": 0/"sample": 1/' part
    ) >two.jsonl
    run "$AUKLET" stats passk --a two.jsonl --k 2
    [ "$output" = "pass@2 = 0.75, mean over 4 tasks" ]
    run "$AUKLET" stats passhatk --a two.jsonl --k 2
    [ "$output" = "pass^2 = 0.25, mean over 4 tasks" ]
    run --separate-stderr "$AUKLET" stats passhatk --a two.jsonl --k 3
    refused 1 "'two.jsonl' has 2 samples of 'HumanEval/0', k is 3"
}

@test "tasks the harness broke on leave both runs and are counted" {
    results a.jsonl 1100
    results b.jsonl 1010
    sed -i '2s/failed/harness_error/' b.jsonl
    run "$AUKLET" stats mcnemar --a a.jsonl --b b.jsonl
    has "$output" "left out of both, since the harness broke: 1"
    run "$AUKLET" stats mcnemar --a a.jsonl --b b.jsonl --json
    has "$output" '"table": [1, 0, 1, 1], "n": 3, "excluded": 1'
}

@test "files that do not belong together are refused" {
    results a.jsonl 1100
    results b.jsonl 110
    run --separate-stderr "$AUKLET" stats mcnemar --a a.jsonl --b b.jsonl
    refused 1 "the runs are of different tasks: 1 of 'a.jsonl' are not in 'b.jsonl', 'HumanEval/3' first"
    results a.jsonl 110 ", \"data_sha256\": \"$(printf 'a%.0s' {1..64})\""
    results b.jsonl 110 ", \"data_sha256\": \"$(printf 'b%.0s' {1..64})\""
    run --separate-stderr "$AUKLET" stats tost --a a.jsonl --b b.jsonl --margin 0.1
    refused 1 "the runs used different data"
    run --separate-stderr "$AUKLET" stats bootstrap --a a.jsonl --b b.jsonl
    refused 1 "the runs used different data"
}

@test "damaged files are refused by line" {
    results a.jsonl 110
    cp a.jsonl b.jsonl
    printf '{"task_id": "HumanEval/3", "pas' >>b.jsonl
    run --separate-stderr "$AUKLET" stats mcnemar --a a.jsonl --b b.jsonl
    refused 1 "'b.jsonl', line 4: it ends in the middle"
    cat a.jsonl a.jsonl >b.jsonl
    run --separate-stderr "$AUKLET" stats mcnemar --a a.jsonl --b b.jsonl
    refused 1 "has sample 0 of 'HumanEval/0' twice, in lines 1 and 4"
    run --separate-stderr "$AUKLET" stats mcnemar --a a.jsonl --b nowhere.jsonl
    refused 1 "nowhere.jsonl"
    : >b.jsonl
    run --separate-stderr "$AUKLET" stats mcnemar --a a.jsonl --b b.jsonl
    refused 1 "'b.jsonl' holds no result"
}

@test "impossible numbers are usage errors" {
    while read -r words; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" stats $words
        usage_error || { echo "$words"; false; }
    done <<'WRONG'
wilson --k 5 --n 3
wilson --k -1 --n 3
wilson --k 1.5 --n 3
wilson --k 0 --n 0
wilson --k 1e3 --n 2000
wilson --k 1 --n 3 --level 95
wilson --k 1 --n 3 --level 0
wilson --k 1 --n 3 --margin 0.1
wilson --k 1
wilson
newcombe --k1 1 --n1 2 --k2 3
newcombe --k1 1 --n1 2 --k2 3 --n2 2
passk --n 5 --c 2 --k 6
passk --n 5 --c 6 --k 1
passk --n 5 --c 2 --k 0
passhatk --n 5 --c 2 --k 6
mcnemar --table 1,2,3
mcnemar --table 1,2,3,4,5
mcnemar --table 1,-2,3,4
mcnemar --table 1,2.5,3,4
mcnemar --table 0,0,0,0
mcnemar --table 1000000000,1,0,0
mcnemar --table 99999999999999999999,1,0,0
mcnemar --table 1,2,3,4 --a x --b y
mcnemar --table 1,2,3,4 --power 1
mcnemar --a x
tost --table 1,2,3,4
tost --table 1,2,3,4 --margin 1.5
tost --table 1,2,3,4 --margin 0.1 --level 0.4
holm --p 0.5,1.5
holm --p 0.5,x
holm --p 0.5,,0.5
holm --p nan
bootstrap --table 1,2,3,4 --resamples 100
bootstrap --table 0,0,0,0
mcnamar --table 1,2,3,4
WRONG
    run --separate-stderr "$AUKLET" stats mcnamar --table 1,2,3,4
    has "$stderr" "did you mean 'mcnemar'?"
}

@test "numbers do not depend on the locale" {
    want=$("$AUKLET" stats mcnemar --table 140,8,6,10 --json)
    for locale in $(locale -a | grep -iE '^(de|fr|tr)_' | head -3); do
        [ "$(LC_ALL=$locale "$AUKLET" stats mcnemar --table 140,8,6,10 --json)" = "$want" ]
    done
}

@test "mt19937 gives what Python is known to give" {
    run "$AUKLET" mt19937 --seed 1234 random 3
    [ "$output" = "[0.9664535356921388, 0.4407325991753527, 0.007491470058587191]" ]
    run "$AUKLET" mt19937 --seed 1234 getrandbits 32 4
    [ "$output" = "[4150886329, 3342196574, 1892932127, 501869158]" ]
    run "$AUKLET" mt19937 --seed 1234 sample 231 13
    [ "$output" = "[199, 112, 29, 1, 23, 206, 149, 8, 171, 177, 21, 25, 196]" ]
    run "$AUKLET" mt19937 --seed 1234 sample 10 3
    [ "$output" = "[7, 1, 0]" ]
    run "$AUKLET" mt19937 --seed 1234 shuffle 12
    [ "$output" = "[2, 3, 8, 4, 11, 6, 5, 9, 10, 0, 1, 7]" ]
    run "$AUKLET" mt19937 random 0
    [ "$output" = "[]" ]
}

@test "mt19937 and the python3 of this machine agree" {
    command -v python3 >/dev/null || skip "python3 is not installed"
    run python3 - "$AUKLET" <<'PY'
import json, random, subprocess, sys

def ours(seed, *words):
    return json.loads(subprocess.check_output([sys.argv[1], "mt19937", "--seed", str(seed),
                                               *map(str, words)]))

draw = random.Random(1)
for seed in [0, 1, 1234, 2**32 - 1, 2**32, 2**64 - 1] + [draw.getrandbits(64) for _ in range(4)]:
    fresh = lambda: random.Random(seed)
    r = fresh()
    assert ours(seed, "random", 700) == [r.random() for _ in range(700)]
    for bits in (1, 31, 32, 33, 63, 64):
        r = fresh()
        assert ours(seed, "getrandbits", bits, 50) == [r.getrandbits(bits) for _ in range(50)]
    for n, k in ((0, 0), (1, 1), (21, 5), (22, 5), (85, 6), (86, 6), (1045, 100), (1046, 100),
                 (500, 500), (10**6, 300), (2**63 - 1, 40)):
        assert ours(seed, "sample", n, k) == fresh().sample(range(n), k), (n, k)
    for n in (0, 1, 2, 1000):
        x = list(range(n))
        fresh().shuffle(x)
        assert ours(seed, "shuffle", n) == x
PY
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "mt19937 refuses what cannot be drawn" {
    while read -r words; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" mt19937 $words
        usage_error || { echo "$words"; false; }
    done <<'WRONG'
--seed -1 random 3
--seed x random 3
random
random 1 2
random x
random 1.5
random 99999999999
getrandbits 65 1
getrandbits 0 1
getrandbits 32
sample 3 4
shuffle -1
rand 3
WRONG
}
