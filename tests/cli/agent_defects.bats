# agent check: the defects that task files in the wild were found to have, one a task.

load helpers

setup() {
    cd "$ROOT" || return 1
    run "$AUKLET" agent check tests/cli/agent_defects.json
}

found() {
    if ! grep -qF "$1" <<<"$output"; then
        echo "not found: $1"
        return 1
    fi
}

@test "what cannot be known, and what gives the answer away, is rejected" {
    [ "$status" -eq 3 ]
    found "reject: id_nobody_tells: 'get_wire' wants a value that no tool tells: 'W-7'"
    found "reject: answer_in_the_world: leaks: any call with the argument 'outcome'"
    found "8 tasks, 2 rejected"
}

@test "what grades the way instead of the outcome, or never varies, is named" {
    found "warn: getter_without_data: 'get_warranty' acknowledges and gives no data"
    found "warn: one_way_to_write_a_sum: 'calc' answers one way of writing its expression only"
    found "warn: words_in_order: 'reject' wants particular words in order: '*Min*cap*'"
    found "warn: ceremony: 'get_order' is required although the prompt states"
    found "warn: mocks_that_are_ignored: has mocks"
    found "warn: one_exact_number: 'report_p' wants one exact number as 'value'"
    found "warn: one_exact_number: nothing varies"
}

@test "the bundled collections are what their generator makes" {
    python3 tools/agent/make_collections.py "$BATS_TEST_TMPDIR/made"
    local file
    for file in "$BATS_TEST_TMPDIR"/made/*.json; do
        cmp "$file" "data/agent/$(basename "$file")"
    done
}
