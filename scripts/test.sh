#!/bin/sh
# Runs the tests of a build folder and ends with one line of counts.
#     scripts/test.sh [PRESET] [ctest options]
# Without options it runs the short tier (the preset's filter); with options, what they select.
# A cmocka or bats case and a kernel check at one CPU level count as one test each, any other
# program as one.
set -u
cd "$(dirname "$0")/.." || exit 1
preset=${1:-release}
[ $# -gt 0 ] && shift
jobs=${CTEST_PARALLEL_LEVEL:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
tests=$PWD/build/$preset/Testing/tests.xml           # which test ended how
log=$PWD/build/$preset/Testing/Temporary/LastTest.log # and what it printed

rm -f "$tests" "$log"
if [ $# -eq 0 ]; then
    ctest --preset "$preset" -j "$jobs" --output-junit "$tests"
else
    ctest --test-dir "build/$preset" --output-on-failure -j "$jobs" --output-junit "$tests" "$@"
fi
status=$?
[ -f "$tests" ] && [ -f "$log" ] || exit 1

echo
LC_ALL=C awk '
FNR == NR && /^\t<testcase name="/ {
    split($0, quoted, "\"")
    name = quoted[2]
    order[++n] = name
    result[name] = /status="run"/ ? "passed" : "failed"
}
FNR == NR && /^\t\t<skipped message="SKIP_/ { result[name] = "skipped" }
FNR == NR { next }
/^[0-9]+\/[0-9]+ Testing: /   { name = $3 }
/^Output:$/                   { inside = 1 }
/^<end of output>$/           { inside = 0 }
/^\[==========\] Running /    { inside = 1 }
/^\[==========\] .* run\.$/   { inside = 0 } # cmocka lists failed and skipped cases again
/^SKIPPED: /                  { reasons[name] = reasons[name] "\n    " $0 }
!inside                       { next }
/^\[       OK \] /            { passed[name]++ }
/^\[  FAILED  \] /            { failed[name]++ }
/^\[  SKIPPED \] /            { skipped[name]++; reasons[name] = reasons[name] "\n    " $NF }
/^ok [0-9]+ .*# skip/         { skipped[name]++; reasons[name] = reasons[name] "\n    " $0; next }
/^ok [0-9]+ /                 { passed[name]++ }
/^not ok [0-9]+ /             { failed[name]++ }
END {
    for (i = 1; i <= n; i++) {
        name = order[i]
        if (result[name] == "failed" && !failed[name])
            failed[name] = 1
        else if (result[name] == "skipped" && !skipped[name])
            skipped[name] = 1
        else if (result[name] == "passed" && !passed[name] && !skipped[name])
            passed[name] = 1
        if (skipped[name] || (name in reasons))
            print "skipped in " name ":" reasons[name]
        if (failed[name])
            print "failed: " name
        p += passed[name]; f += failed[name]; s += skipped[name]
    }
    printf "%d passed, %d failed, %d skipped\n", p, f, s
    exit f > 0
}' "$tests" "$log" || status=1
exit "$status"
