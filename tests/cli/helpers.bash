# helpers.bash - for the tests of the command line: `load helpers` at the top of a .bats file.
#
#     run --separate-stderr "$AUKLET" quantise
#     [ "$status" -eq 2 ]
#     golden unknown.stderr <<<"$stderr"
#
# AUKLET is the command under test; it defaults to the release build.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
AUKLET=${AUKLET:-$ROOT/build/release/auklet}
GOLDEN_CLI=$ROOT/tests/cli/golden
SHARED=${AUK_SHARED:-$ROOT/../shared}
export LC_ALL=C
unset AUK_THREADS AUK_CPU AUK_MODEL NO_COLOR
export AUK_LEDGER= # tests keep no record in the user's own ledger

# Compares stdin with tests/cli/golden/NAME; AUK_UPDATE_GOLDEN=1 writes it instead, and the diff
# in version control is the review.
golden() {
    if [ -n "${AUK_UPDATE_GOLDEN:-}" ]; then
        mkdir -p "$GOLDEN_CLI"
        cat >"$GOLDEN_CLI/$1"
    else
        diff -u "$GOLDEN_CLI/$1" -
    fi
}

# need_shared PATH: skips the test when a recorded reference is missing; in CI that is a failure.
# Prints nothing; the path is "$SHARED/PATH".
need_shared() {
    [ -e "$SHARED/$1" ] && return
    if [ -n "${CI:-}" ]; then
        echo "the recorded reference '$SHARED/$1' is missing"
        return 1
    fi
    skip "the recorded reference '$SHARED/$1' is missing"
}

# has TEXT WORD: TEXT contains WORD; says what it held when not.
has() {
    case $1 in
    *"$2"*) ;;
    *)
        printf "no '%s' in:\n%s\n" "$2" "$1"
        return 1
        ;;
    esac
}

# usage_error: the last command was refused as wrong usage: status 2, two lines on stderr, nothing
# on stdout.
usage_error() {
    [ "$status" -eq 2 ] && [ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 2 ] && return
    printf 'status %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "$stderr"
    return 1
}
