load helpers

SHARED=${AUK_SHARED:-$ROOT/../shared}
DATA=$ROOT/data/swebench/instances.jsonl

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    unset AUK_LEDGER
}

teardown() {
    stop_model
}

# start_model ANSWERS [NAME=VALUE]...: sets MODEL; an empty name for ANSWERS echoes
start_model() {
    local more=() fault
    [ -z "$1" ] || more=(--answers "$1")
    shift
    for fault in "$@"; do more+=(--fault "$fault"); done
    rm -f model.stdin model.port
    mkfifo model.stdin
    python3 "$ROOT/tests/http/foreign.py" --log model.log "${more[@]}" <model.stdin >model.port 3>&- &
    MODEL_PID=$!
    exec 8>model.stdin
    for _ in $(seq 100); do
        [ -s model.port ] && break
        sleep 0.1
    done
    MODEL=openai:http://127.0.0.1:$(cat model.port)/v1/a/scripted
}

stop_model() {
    [ -n "${MODEL_PID:-}" ] || return 0
    exec 8>&-
    wait "$MODEL_PID" 2>/dev/null || true
    MODEL_PID=
}

repos() { python3 "$ROOT/data/swebench/make.py" repos; }
answers() { python3 "$ROOT/tests/http/swebench_answers.py" "$1" >answers; }
field() { jq -r "select(.instance_id) | \"$2\"" "$1"; } # FILE JQ-TEXT: of each line with an id
one_line() { [ "${#stderr_lines[@]}" -eq 1 ] && has "$stderr" "$1"; }

# fake ID REPO FILE...: a data set's line whose gold patch changes these files
fake() {
    python3 - "$@" <<'P'
import json, sys
iid, repo, files = sys.argv[1], sys.argv[2], sys.argv[3:]
patch = "".join("diff --git a/%s b/%s\n--- a/%s\n+++ b/%s\n@@ -1 +1 @@\n-a\n+b\n" % (f, f, f, f) for f in files)
print(json.dumps({"instance_id": iid, "repo": repo, "base_commit": "0" * 40, "problem_statement": "x", "patch": patch}))
P
}

@test "the subset is the candidate file, byte for byte" {
    [ -e "$SHARED/data/swebench_verified.jsonl" ] || skip "the data file '$SHARED/data' is missing"
    want=$SHARED/data/swebench_subset_candidate_n30_seed1234.json
    run --separate-stderr "$AUKLET" swebench subset --data "$SHARED/data/swebench_verified.jsonl" --n 30 --seed 1234 -o s.json
    [ "$status" -eq 0 ]
    cmp s.json "$want"
    has "$output" "30 of 500 instances, seed 1234, sha256 $(sha256sum <s.json | cut -d ' ' -f 1)"
    has "$output" "django/django                 13 of 231"
    run --separate-stderr "$AUKLET" swebench subset --data "$SHARED/data/swebench_verified.jsonl" --check "$want" \
        --sha256 e5407c97e5407c97e5407c97e5407c97e5407c97e5407c97e5407c97e5407c97
    [ "$status" -eq 1 ]
    one_line "has sha256 7d339175"
    run "$AUKLET" swebench subset --data "$SHARED/data/swebench_verified.jsonl" --check "$want" \
        --sha256 7d339175d4025e7ecab4326138e0095c959a2905637eac7f94ca29c30b592a3c
    [ "$status" -eq 0 ]
    run "$AUKLET" swebench subset --data "$SHARED/data/swebench_verified.jsonl" --seed 1235 --check "$want"
    [ "$status" -eq 3 ]
    run --separate-stderr "$AUKLET" swebench subset --data "$SHARED/data/swebench_verified.jsonl" --n 11
    [ "$status" -eq 1 ]
    one_line "12 repositories"
}

@test "the generator is Python's" {
    run "$AUKLET" mt19937 --seed 1234 sample 231 13
    [ "$output" = "[199, 112, 29, 1, 23, 206, 149, 8, 171, 177, 21, 25, 196]" ]
    run "$AUKLET" mt19937 --seed 1234 sample 10 3
    [ "$output" = "[7, 1, 0]" ]
    run "$AUKLET" mt19937 --seed 1234 shuffle 12
    [ "$output" = "[2, 3, 8, 4, 11, 6, 5, 9, 10, 0, 1, 7]" ]
    run "$AUKLET" mt19937 --seed 1234 random 3
    [ "$output" = "[0.9664535356921388, 0.4407325991753527, 0.007491470058587191]" ]
}

@test "from issues to a table: generate, apply, run the tests, analyze" {
    repos
    answers single
    start_model answers
    run --separate-stderr "$AUKLET" swebench generate --data "$DATA" --repos repos --model "$MODEL" -o preds.jsonl --json
    echo "$output $stderr"
    [ "$status" -eq 0 ]
    [ "$(json '(v["with_patch"], v["truncated"], v["looped"])')" = "(4, 1, 1)" ]
    stop_model
    [ "$(field preds.trace.jsonl '\(.outcome) \(.level)' | tr '\n' ,)" = "applied indent,applied exact,no_edit_block ,applied exact,applied exact," ]
    has "$(jq -r .body.messages[0].content <(head -n 1 model.log))" "Two carts share their items"
    [ "$(jq -c '[.body.temperature, .body.max_tokens // .body.max_completion_tokens]' <(head -n 1 model.log))" = "[0,9000]" ] ||
        [ "$(jq -c '[.body.temperature, .body.max_tokens // .body.max_completion_tokens]' <(head -n 1 model.log))" = "[0.0,9000]" ]

    run python3 "$ROOT/data/swebench/harness.py" "$AUKLET" "$DATA" repos preds.jsonl run1 out
    [ "$output" = "3 of 5 resolved" ]
    run --separate-stderr "$AUKLET" swebench analyze --preds preds.jsonl --report out/scripted.run1.json --data "$DATA" --db led.db --json
    [ "$status" -eq 0 ]
    [ "$(json '(v["resolved"], v["n"], v["has_patch"], v["patch_applied"], v["tests_failed"], v["looped"], v["truncated"], v["no_edit_block"])')" = "(3, 5, 4, 4, 1, 1, 1, 1)" ]
    [ "$(json '[round(x, 4) for x in v["wilson95"]]')" = "[0.2307, 0.8824]" ]
    [ "$(json '(v["levels"]["indent"], v["levels"]["exact"])')" = "(1, 3)" ]
    run_report=$(json '{k: v[k] for k in v if k != "ledger_id"}')
    run --separate-stderr "$AUKLET" swebench analyze --preds preds.jsonl --report out/logs --data "$DATA" --json -o items.jsonl
    [ "$(json '{k: v[k] for k in v if k != "ledger_id"}')" = "$run_report" ]
    run "$AUKLET" stats wilson --a items.jsonl
    has "$output" "3"

    # another run, compared; the ledger and the page
    jq -c 'if .instance_id | test("spans") then .model_patch = "" else . end | .model_name_or_path = "other"' preds.jsonl >other.jsonl
    run python3 "$ROOT/data/swebench/harness.py" "$AUKLET" "$DATA" repos other.jsonl run2 out
    [ "$output" = "2 of 5 resolved" ]
    run --separate-stderr "$AUKLET" swebench analyze --preds preds.jsonl --report out/scripted.run1.json --data "$DATA" \
        --baseline other.jsonl --baseline-report out/other.run2.json --db led.db --json
    [ "$(json '(v["comparison"]["table"], v["comparison"]["p_exact"])')" = "([2, 1, 0, 2], 1.0)" ]
    has "$(json 'v["comparison"]["sentence"]')" "difference"
    "$AUKLET" ledger verify --db led.db
    "$AUKLET" report latest --db led.db -o page.html
    has "$(cat page.html)" "how far each instance came"
}

@test "a run that is taken up again ends with the same file" {
    repos
    answers single
    cat answers answers >twice
    start_model twice
    again() { run --separate-stderr "$AUKLET" swebench generate --data "$DATA" --repos repos --model "$MODEL" "$@"; }
    again -o whole.jsonl
    [ "$status" -eq 0 ]
    again -o p.jsonl --limit 2
    [ "$status" -eq 0 ]
    # what a kill leaves: a torn prediction, a trace without one, a torn trace
    printf '{"instance_id": "auklet-demo__queue-1", "model_na' >>p.jsonl
    printf '{"instance_id": "auklet-demo__queue-1", "outcome": "x"}\n{"inst' >>p.trace.jsonl
    again -o p.jsonl
    [ "$status" -eq 1 ]
    one_line "--resume goes on, --force replaces it"
    again -o p.jsonl --resume --max-tokens 100
    [ "$status" -eq 1 ]
    one_line "of another run"
    again -o p.jsonl --resume --json
    [ "$status" -eq 0 ]
    [ "$(json '(v["resumed"], v["asked"])')" = "(2, 3)" ]
    cmp p.jsonl whole.jsonl
    [ "$(field p.trace.jsonl '\(.instance_id) \(.outcome)')" = "$(field whole.trace.jsonl '\(.instance_id) \(.outcome)')" ]
}

@test "a kill at any moment: nothing twice, nothing missing" {
    repos
    start_model "" rate=150
    run_it() { "$AUKLET" swebench generate --data "$DATA" --repos repos --model "$MODEL" -o p.jsonl --resume -q >/dev/null; }
    for _ in 1 2 3; do
        timeout -s KILL 2.2 "$AUKLET" swebench generate --data "$DATA" --repos repos --model "$MODEL" -o p.jsonl --resume -q >/dev/null 2>&1 || true
    done
    wc -l p.jsonl
    [ "$(wc -l <p.jsonl)" -gt 0 ]
    run_it
    [ "$(jq -r .instance_id p.jsonl | sort -u | wc -l)" -eq 5 ]
    [ "$(wc -l <p.jsonl)" -eq 5 ]
    [ "$(field p.trace.jsonl '\(.instance_id)' | sort -u | wc -l)" -eq 5 ]
    # what it echoes holds the prompt's own example, whose path was not shown
    has "$(head -n 2 p.trace.jsonl)" "was not shown"
    before=$(sha256sum p.jsonl p.trace.jsonl)
    run_it
    [ "$(sha256sum p.jsonl p.trace.jsonl)" = "$before" ]
}

@test "the agent: every way a run ends leaves the work tree's diff" {
    repos
    answers agent
    start_model answers
    run --separate-stderr "$AUKLET" swebench agent --data "$DATA" --repos repos --model "$MODEL" -o agent.jsonl --command-seconds 2 --steps 7 --stuck-stop
    case $stderr in *"needs level A"* | *"no sandbox works"*) skip "no workshop here: $stderr" ;; esac
    echo "$output $stderr"
    [ "$status" -eq 0 ]
    [ "$(field agent.trace.jsonl '\(.exit)' | tr '\n' ' ')" = "submitted format stuck workshop_ended steps " ]
    messages=$(jq -r '.messages[]?.content' agent.trace.jsonl)
    lacks "$messages" "Mend it" # the history is not there
    has "$messages" "not a git repository"
    has "$messages" "killed after 2 seconds"
    has "$messages" "bytes left out"
    has "$messages" "reached the limit of output tokens"
    [ "$(field agent.trace.jsonl '\(.turns | length) \(.steps)' | head -n 1)" = "4 4" ]
    has "$(jq -r .model_patch agent.jsonl)" "deleted file mode 100644"
    lacks "$(jq -r .model_patch agent.jsonl)" "link"
    run python3 "$ROOT/data/swebench/harness.py" "$AUKLET" "$DATA" repos agent.jsonl run1 out
    [ "$output" = "3 of 5 resolved" ]
    run --separate-stderr "$AUKLET" swebench analyze --preds agent.jsonl --report out/logs --json
    [ "$(json '(v["resolved"], v["has_patch"], v["patch_applied"], v["truncated"], v["looped"])')" = "(3, 4, 4, 1, 1)" ]
}

# agent_ends OPTION...: how the runs of all instances ended, in $ends.
agent_ends() {
    run --separate-stderr "$AUKLET" swebench agent --data "$DATA" --repos repos --model "$MODEL" -o ends.jsonl --force "$@"
    case $stderr in *"needs level A"* | *"no sandbox works"*) skip "no workshop here: $stderr" ;; esac
    ends=$(field ends.trace.jsonl '\(.exit)' | tr '\n' ' ')
    echo "$* $stderr: $ends"
    [ "$(wc -l <ends.jsonl)" -eq 5 ]
}

@test "the agent: out of tokens, of time, of context" {
    repos
    answers agent
    start_model answers
    agent_ends --tokens 1
    [ "$ends" = "tokens tokens tokens submitted tokens " ] # one is done in its first turn
    agent_ends --tokenizer "$ROOT/data/miniature" --ctx 60 --max-tokens 8
    [ "$ends" = "context context context context context " ]
    # one of the answers is a command that does not end
    agent_ends --seconds 1 --command-seconds 2 --steps 7
    has "$ends" "time "
}

@test "repositories that cannot be read: a line each, the others go on" {
    repos
    git clone -q --depth 1 "file://$PWD/repos/auklet-demo__cart" shallow
    rm -rf repos/auklet-demo__cart repos/auklet-demo__roman
    mv shallow repos/auklet-demo__cart
    mkdir -p repos/x/plain repos/x__big && git -C repos/x__big init -q
    fake x__plain-1 x/plain a.py link.py >bad && ln -s a.py repos/x/plain/link.py && echo 1 >repos/x/plain/a.py
    fake x__plain-2 x/plain ../../etc/passwd >>bad
    fake x__plain-3 x/plain latin.py >>bad && printf 'caf\xe9\n' >repos/x/plain/latin.py
    fake x__plain-4 x/plain zero.bin >>bad && printf 'a\0' >repos/x/plain/zero.bin
    fake x__plain-5 x/plain big.py >>bad && head -c 50000000 /dev/zero | tr '\0' '\n' >repos/x/plain/big.py
    fake x__plain-6 x/plain no.py >>bad
    fake x__big-1 x/big a.py >>bad
    { cat "$DATA" && echo && head -n 1 "$DATA" && cat bad; } >all.jsonl
    run --separate-stderr "$AUKLET" swebench generate --data all.jsonl --repos repos --prompts p.jsonl
    echo "$stderr"
    [ "$status" -eq 1 ]
    [ "$(wc -l <p.jsonl)" -eq 3 ]
    has "$stderr" "line 6 is blank"
    has "$stderr" "'auklet-demo__cart-1' is there twice"
    has "$stderr" "auklet-demo__cart-1: the shallow clone 'repos/auklet-demo__cart' lacks the commit"
    has "$stderr" "fetch --unshallow"
    has "$stderr" "auklet-demo__roman-1: 'repos' has no clone of auklet-demo/roman"
    has "$stderr" "x__plain-1: 'link.py' is, or lies behind, a symbolic link"
    has "$stderr" "x__plain-2: '../../etc/passwd'"
    has "$stderr" "x__plain-3: 'latin.py' is not UTF-8"
    has "$stderr" "x__plain-4: 'zero.bin' is a binary file"
    has "$stderr" "x__plain-5: 'big.py' has 50.0 MB"
    has "$stderr" "x__plain-6: 'no.py' is not in the tree"
    has "$stderr" "x__big-1: 'repos/x__big' lacks the commit 000000000000"
    echo '["auklet-demo__spans-1", "nobody__nothing-1", "auklet-demo__spans-1"]' >sub.json
    run --separate-stderr "$AUKLET" swebench generate --data "$DATA" --subset sub.json --repos repos --prompts p.jsonl --force
    [ "$status" -eq 0 ]
    has "$stderr" "'nobody__nothing-1' is not in the data set"
    has "$stderr" "'auklet-demo__spans-1' is there twice"
    [ "$(wc -l <p.jsonl)" -eq 1 ]
}

@test "files inside a clone that are not edited" {
    repos
    clone=repos/auklet-demo__spans
    ln -s span.py "$clone/spans/link.py" && printf 'a\0' >"$clone/zero.py"
    git -C "$clone" add -A && git -C "$clone" -c user.name=a -c user.email=a commit -qm links
    commit=$(git -C "$clone" rev-parse HEAD)
    fake auklet-demo__spans-8 auklet-demo/spans spans/link.py | sed "s/0\{40\}/$commit/" >d.jsonl
    fake auklet-demo__spans-9 auklet-demo/spans zero.py | sed "s/0\{40\}/$commit/" >>d.jsonl
    run --separate-stderr "$AUKLET" swebench generate --data d.jsonl --repos repos --prompts p.jsonl
    [ "$status" -eq 1 ]
    has "$stderr" "'spans/link.py' is a symbolic link"
    has "$stderr" "'zero.py' is a binary file"
}

@test "a prompt that does not fit is an overflow, and said" {
    repos
    answers single
    start_model answers
    run --separate-stderr "$AUKLET" swebench generate --data "$DATA" --repos repos --model "$MODEL" --tokenizer "$ROOT/data/miniature" --ctx 9700 -o p.jsonl
    [ "$status" -eq 0 ]
    has "$stderr" "a longer prompt is not cut"
    has "$output" "overflow"
    [ "$(field p.trace.jsonl '\(.outcome)' | grep -c overflow)" -gt 0 ]
    [ "$(wc -l <p.jsonl)" -eq 5 ]
    stop_model
    start_model answers ctx=30
    run --separate-stderr "$AUKLET" swebench generate --data "$DATA" --repos repos --model "$MODEL" -o q.jsonl
    [ "$status" -eq 0 ]
    has "$output" "5 overflow"
    run --separate-stderr "$AUKLET" swebench analyze --preds q.jsonl --json
    [ "$(json '(v["overflow"], v["answered"])')" = "(5, 0)" ]
}

@test "a server that fails is no result" {
    repos
    answers single
    start_model answers
    stop_model
    run --separate-stderr "$AUKLET" swebench generate --data "$DATA" --repos repos --model "$MODEL" -o p.jsonl
    [ "$status" -eq 1 ]
    [ ! -s p.jsonl ]
}

@test "predictions and reports that are wrong" {
    p() { printf '{"instance_id": "%s", "model_name_or_path": "m", "model_patch": "%s"}\n' "$1" "$2"; }
    { p auklet-demo__spans-1 x && echo && p auklet-demo__cart-1 y && p auklet-demo__cart-1 z && p who__knows-1 w; } >p.jsonl
    run --separate-stderr "$AUKLET" swebench analyze --preds p.jsonl --data "$DATA" --json
    [ "$status" -eq 0 ]
    has "$stderr" "line 2 is blank: the official loader refuses such a file"
    has "$stderr" "line 4: 'auklet-demo__cart-1' is there twice; the later one counts"
    has "$stderr" "line 5: 'who__knows-1' is not in the data set"
    [ "$(json '(v["instances"], v["not_scored"], v["resolved_rate"])')" = "(2, 2, None)" ]

    bad() { # MESSAGE, with the report in r.json
        run --separate-stderr "$AUKLET" swebench analyze --preds p.jsonl --data "$DATA" --report r.json -q
        [ "$status" -eq 1 ] && [ "${#stderr_lines[@]}" -eq 1 ] && has "$stderr" "$1"
    }
    echo '{"submitted_ids": ["auklet-demo__roman-1"], "resolved_ids": []}' >r.json && bad "a report of another run: 'auklet-demo__roman-1' has no prediction"
    echo '{"submitted_ids": ["auklet-demo__cart-1"], "resolved_ids": [], "empty_patch_ids": ["auklet-demo__cart-1"]}' >r.json && bad "was scored with an empty patch"
    echo '{"a": 1}' >r.json && bad "no report of the official harness"
    echo '{' >r.json && bad "r.json"
    rm r.json && bad "r.json"
    echo '{"auklet-demo__roman-1": {"resolved": true}}' >r.json
    run --separate-stderr "$AUKLET" swebench analyze --preds p.jsonl --data "$DATA" --report r.json --json
    [ "$status" -eq 0 ]
    has "$stderr" "'auklet-demo__roman-1', which has no prediction; left out"

    wrong() { # MESSAGE, with the predictions on stdin
        cat >w.jsonl
        run --separate-stderr "$AUKLET" swebench analyze --preds w.jsonl
        [ "$status" -eq 1 ] && one_line "$1"
    }
    echo '{"instance_id": 3}' | wrong "line 1: instance_id is not a string"
    echo '{"instance_id": "a", "model_name_or_path": "m"}' | wrong "line 1: model_patch"
    echo '[1]' | wrong "line 1 is no object"
    : | wrong "holds no prediction"
    printf '{"instance_id": "a", "model_na' | wrong "line 1"
}

@test "a harness that broke is no fault of the model; a patch that does not apply is" {
    { for i in 1 2 3; do printf '{"instance_id": "a-%d", "model_name_or_path": "m", "model_patch": "x"}\n' $i; done; } >p.jsonl
    mkdir -p logs/a-1 logs/a-2 logs/a-3
    echo '{"a-1": {"resolved": false, "patch_successfully_applied": true, "infra_failure": true}}' >logs/a-1/report.json
    echo '>>>>> Patch Apply Failed: error' >logs/a-2/run_instance.log
    echo '{"a-3": {"resolved": true, "patch_successfully_applied": true, "infra_failure": false}}' >logs/a-3/report.json
    run --separate-stderr "$AUKLET" swebench analyze --preds p.jsonl --report logs --json
    [ "$status" -eq 0 ]
    [ "$(json '(v["harness_error"], v["apply_failed"], v["resolved"], v["n"], v["resolved_rate"])')" = "(1, 1, 1, 2, 0.5)" ]
}

@test "wrong usage" {
    for line in "nothing" "generate" "generate --data d --repos r" "analyze" "subset" \
        "subset --data d --n 0" "generate --data d --repos r --model m -o p --max-tokens 0"; do
        limit=${limit/MINIATURE/$ROOT/data/miniature}
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" swebench $line
        [ "$status" -eq 2 ] && [ "${#stderr_lines[@]}" -eq 2 ]
    done
}
