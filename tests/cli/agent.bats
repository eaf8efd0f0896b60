# agent: runs, logs, exit statuses.  The model is the bundled miniature, which fails these tasks:
# that it does is not what is tested.

load helpers

setup() {
    cd "$ROOT" || return 1
    LOG=$BATS_TEST_TMPDIR/runs.jsonl
}

agent() {
    run --separate-stderr "$AUKLET" agent data/miniature --collection data/agent/easy-support.json \
        --k 2 "$@"
}

@test "a run ends with tiers, shares and a verdict" {
    agent --json -o "$LOG"
    [ "$status" -eq 0 ]
    jq -e '.schema == "auklet.agent/1" and .tiers[0].tier == "easy"
           and .tiers[0].runs == 2 * .tiers[0].tasks and .tiers[0].finished == .tiers[0].runs
           and (.tiers[0].wilson95 | length) == 2 and .verdict.status == "NOT READY"
           and (.verdict.blocking[0] | startswith("pass^k"))' <<<"$output"
    [ "$(wc -l <"$LOG")" -eq $((1 + $(jq '.tiers[0].runs' <<<"$output"))) ]
}

@test "with a profile the verdict is the exit status; without one it is not" {
    agent --profile general-agent -q
    [ "$status" -eq 3 ]
    agent -q
    [ "$status" -eq 0 ]
}

@test "a log is gone on with, a torn last line is dropped, and the end is the same" {
    agent --json -o "$LOG"
    cp "$LOG" "$BATS_TEST_TMPDIR/whole"
    local size
    size=$(head -2 "$LOG" | wc -c)
    head -c $((size + 40)) "$BATS_TEST_TMPDIR/whole" >"$LOG"
    agent --json -o "$LOG" --resume
    [ "$status" -eq 0 ]
    diff <(jq -c 'del(.ms, .settings)' "$LOG") <(jq -c 'del(.ms, .settings)' "$BATS_TEST_TMPDIR/whole")
    # and nothing is done twice
    cp "$LOG" "$BATS_TEST_TMPDIR/whole"
    agent --json -o "$LOG" --resume
    cmp "$LOG" "$BATS_TEST_TMPDIR/whole"
}

@test "a log of other settings is refused, and so is writing over one" {
    agent -q -o "$LOG"
    agent -q -o "$LOG" --resume --seed 2
    [ "$status" -eq 1 ]
    [[ $stderr == *"other collections, tasks or settings"* ]]
    agent -q -o "$LOG"
    [ "$status" -eq 1 ]
    [[ $stderr == *"--resume goes on with it"* ]]
}

@test "a full disk is said" {
    [ -e /dev/full ] || skip "no /dev/full here"
    agent -q -o /dev/full
    [ "$status" -eq 1 ]
    [[ $stderr == *"/dev/full"*"No space left"* ]]
}

@test "every run of a log can be read, and played again to the same end" {
    agent -q -o "$LOG"
    run "$AUKLET" agent show "$LOG"
    [ "$status" -eq 0 ]
    local task
    task=$(sed -n 2p "$LOG" | jq -r .task)
    run "$AUKLET" agent show "$LOG" "$task" 1
    [ "$status" -eq 0 ]
    [[ $output == *"system"*"user"*"assistant"* ]]
    run "$AUKLET" agent replay "$LOG"
    [ "$status" -eq 0 ]
    [[ $output == *"0 end differently"* ]]
    # a changed answer ends differently
    jq -c 'if .item == "run" then .said = {} | .messages |= map(if .role == "assistant"
           then .content = "" | del(.tool_calls) else . end) else . end' "$LOG" >"$LOG.changed"
    run "$AUKLET" agent replay "$LOG.changed"
    [ "$status" -eq 3 ]
    [[ $output == *"then, EmptyOutput now"* ]]
}

@test "JUnit and CSV have a case for each task" {
    agent --json --junit "$BATS_TEST_TMPDIR/t.xml" --csv "$BATS_TEST_TMPDIR/t.csv"
    local tasks
    tasks=$(jq '.tiers[0].tasks' <<<"$output")
    [ "$(grep -c '<testcase' "$BATS_TEST_TMPDIR/t.xml")" -eq "$tasks" ]
    python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$BATS_TEST_TMPDIR/t.xml"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/t.csv")" -eq $((tasks + 1)) ]
}

@test "the bundled collections pass their check" {
    local file
    for file in data/agent/*.json; do
        run "$AUKLET" agent check "$file"
        echo "$output"
        [ "$status" -eq 0 ]
        [[ $output == *" 0 rejected"* ]]
    done
}

@test "a task that cannot be solved, or that gives its answer away, is rejected with the reason" {
    local file=$BATS_TEST_TMPDIR/bad.json
    jq '.tasks = [.tasks[0]] | .tasks[0].prompt = "Refund the order."' \
        data/agent/easy-support.json >"$file"
    run "$AUKLET" agent check "$file"
    [ "$status" -eq 3 ]
    [[ $output == *"cannot be known"* ]]
}

@test "an unknown word in a collection is an error that names file, task and field" {
    local file=$BATS_TEST_TMPDIR/bad.json
    jq '.tasks = [.tasks[0]] | .tasks[0].gaol = {}' data/agent/easy-support.json >"$file"
    run "$AUKLET" agent check "$file"
    [ "$status" -eq 1 ]
    [[ $output == *"bad.json"*"unknown field 'gaol'"* ]]
    echo '{"name": "x", "tier": "easy", "tasks": [{"id": "t", "category": "agentic", "prompt": "p"}]}' >"$file"
    run "$AUKLET" agent check "$file"
    [ "$status" -eq 1 ]
    [[ $output == *"task 't', category"* ]]
}
