load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    mkdir root
    printf 'def f(x):\n    return x\n' >root/a.py
}

answer() { # PATH: a block for root/a.py's text, under that path
    printf '%s\n```python\n<<<<<<< SEARCH\n    return x\n=======\n    return x + 1\n>>>>>>> REPLACE\n```\n' "$1"
}

refused() { # PATH MESSAGE
    run --separate-stderr "$AUKLET" patch --root root -q < <(answer "$1")
    [ "$status" -eq 1 ] && [ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 1 ] && has "$stderr" "$2"
}

@test "a block becomes a diff, its level is said in --json" {
    run --separate-stderr "$AUKLET" patch --root root < <(answer a.py)
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$output" = "diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@
 def f(x):
-    return x
+    return x + 1" ]
    run --separate-stderr "$AUKLET" patch --root root --json < <(answer a.py)
    has "$output" '"schema": "auklet.patch/1"'
    has "$output" '"blocks": [{"file": "a.py", "level": "exact", "status": "applied"'
}

@test "damaged answers end as written, and what comes out applies" {
    run python3 "$ROOT/tests/cli/damaged.py" "$AUKLET" "$ROOT/tests/cli/damaged.jsonl" "$BATS_TEST_TMPDIR"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$ROOT/tests/cli/damaged.jsonl")" -ge 150 ]
}

@test "gold patches come back byte for byte (every tenth; all in the long tier)" {
    need_shared data/swebench_verified.jsonl
    run python3 "$ROOT/tests/cli/gold_patches.py" "$AUKLET" "$SHARED/data/swebench_verified.jsonl" "$BATS_TEST_TMPDIR" --only 50
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "paths and files that are not edited are one line each" {
    ln -s a.py root/link.py
    mkdir root/.git root/dir && ln -s /etc root/etc && printf 'x' >root/.git/config
    printf 'a\0b' >root/zero.py
    printf 'caf\xe9\n    return x\n' >root/latin.py
    head -c 50000000 /dev/zero | tr '\0' '\n' >root/big.py
    mkfifo root/pipe.py
    refused ../a.py "leaves the tree"
    refused "$BATS_TEST_TMPDIR/root/a.py" "absolute"
    refused link.py "symbolic link"
    refused etc/hosts.py "symbolic link"
    refused .git/config "inside .git"
    refused ./.GIT/config "inside .git"
    refused zero.py "binary"
    refused latin.py "not UTF-8"
    refused big.py "50.0 MB"
    refused pipe.py "no regular file"
    refused a.py/b.py "no such file"
    refused no/such.py "no such file"
}

@test "what is wrong with an answer as a whole" {
    run --separate-stderr "$AUKLET" patch --root root </dev/null
    [ "$status" -eq 1 ]
    has "$stderr" "no SEARCH/REPLACE block"
    run --separate-stderr "$AUKLET" patch --root root < <(printf 'a\xff')
    [ "$status" -eq 1 ]
    has "$stderr" "not UTF-8"
    run --separate-stderr "$AUKLET" patch --root nowhere </dev/null
    [ "$status" -eq 1 ]
    has "$stderr" "nowhere"
    run --separate-stderr "$AUKLET" patch </dev/null
    usage_error
    mkdir root/tests && cp root/a.py root/tests/test_a.py
    run --separate-stderr "$AUKLET" patch --root root < <(answer tests/test_a.py)
    [ "$status" -eq 0 ]
    has "$stderr" "1 test files are edited"
}
