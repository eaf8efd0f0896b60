load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# as_nobody COMMAND...: runs it without privileges where we have them; what it reads must be open
as_nobody() {
    chmod 755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$BATS_RUN_TMPDIR" 2>/dev/null
    setpriv --reuid=65534 --regid=65534 --clear-groups env PATH=/usr/bin:/bin "$@"
}

need_root() {
    [ "$(id -u)" -eq 0 ] || skip "needs root, to become somebody else"
    command -v setpriv >/dev/null || skip "needs setpriv"
    as_nobody "$AUKLET" version >/dev/null 2>&1 || skip "an unprivileged user cannot reach $AUKLET"
}

# alone SCRIPT: runs it with processes, sockets and mounts of its own, so that all of them can be
# counted whatever else this machine does
alone() {
    local user=
    [ "$(id -u)" -eq 0 ] || user=-Ur
    # shellcheck disable=SC2086
    unshare $user -m -n -p -f --mount-proc bash -c "$1"
}

need_alone() {
    alone true 2>/dev/null || skip "cannot make namespaces to count in"
}

count_world='count_world() {
    echo "mounts $(grep -c . /proc/self/mountinfo)"
    echo "sockets $(cat /proc/net/tcp /proc/net/udp /proc/net/unix | grep -c .)"
    set -- /proc/[0-9]* # by the shell itself: a pipe would count its own
    echo "processes $#"
    echo "files $(find /tmp /var/tmp /dev/shm -maxdepth 1 -name "auk-left*" | wc -l)"
}'

@test "a program's output and status are passed on" {
    echo 'import sys; print("out"); print("err", file=sys.stderr)' >p.py
    run --separate-stderr "$AUKLET" sandbox -- p.py
    [ "$status" -eq 0 ]
    [ "$output" = out ]
    [ "$stderr" = err ]
    echo 'raise SystemExit(3)' >p.py
    run --separate-stderr "$AUKLET" sandbox -- p.py
    [ "$status" -eq 1 ]
}

@test "--json tells how it ended" {
    echo 'import sys; sys.exit(7)' >p.py
    run --separate-stderr "$AUKLET" sandbox --json -- p.py
    [ "$status" -eq 1 ]
    has "$output" '"schema": "auklet.sandbox/1"'
    has "$output" '"status": "exited", "exit_code": 7, "signal": null'
    echo 'while True: pass' >p.py
    run --separate-stderr "$AUKLET" sandbox --json --timeout 0.5 -- p.py
    has "$output" '"status": "timeout", "exit_code": null, "signal": 9'
    echo 'while True: print("x" * 1000)' >p.py
    run --separate-stderr "$AUKLET" sandbox --json -- p.py
    has "$output" '"status": "output"'
    echo 'import ctypes; ctypes.string_at(0)' >p.py
    run --separate-stderr "$AUKLET" sandbox --json -- p.py
    has "$output" '"status": "signaled", "exit_code": null, "signal": 11'
}

@test "it is a script: __main__, its name, no arguments, no input" {
    cat >p.py <<'P'
import sys
print(__name__, sys.argv, repr(sys.stdin.read()))
P
    run --separate-stderr "$AUKLET" sandbox -- p.py
    [ "$output" = "__main__ ['p.py'] ''" ]
}

@test "threads, asyncio and temporary files work at level A" {
    cat >p.py <<'P'
import asyncio, tempfile, threading
async def five(): return 5
t = threading.Thread(target=lambda: None); t.start(); t.join()
with tempfile.TemporaryFile() as f: f.write(b'x')
print(asyncio.run(five()))
P
    run --separate-stderr "$AUKLET" sandbox --level A -- p.py
    [ "$status" -eq 0 ] || skip "level A does not work here: $stderr"
    [ "$output" = 5 ]
}

@test "the attack list is stopped" {
    run --separate-stderr "$AUKLET" sandbox --selftest
    echo "$output"
    [ "$status" -eq 0 ]
    has "${lines[-1]}" "attacks stopped"
    case $output in *THROUGH*) false ;; esac
}

@test "the attack list is stopped for an unprivileged user" {
    need_root
    run --separate-stderr as_nobody "$AUKLET" sandbox --selftest
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "the attack list is stopped without namespaces" {
    PATH=/usr/bin:/bin run --separate-stderr "$AUKLET" sandbox --selftest --level B
    case $stderr in *"no sandbox works here"*) skip "level B does not work here: $stderr" ;; esac
    echo "$output"
    [ "$status" -eq 0 ]
    has "${lines[-1]}" "level B"
}

@test "nothing survives: processes, sockets, mounts and files are counted" {
    need_alone
    cat >p.py <<'P'
import os, socket, threading, time
for f in (lambda: os.fork(), lambda: socket.socket(), lambda: open('/tmp/auk-left', 'w')):
    try: f()
    except OSError: pass
for i in range(3):
    threading.Thread(target=time.sleep, args=(100,)).start()
P
    run alone "$count_world
        count_world >before
        for level in A B; do
            PATH=/usr/bin:/bin $AUKLET sandbox --level \$level --timeout 0.5 -- p.py 2>>said
        done
        count_world >after
        cat said
        diff before after"
    echo "$output"
    [ "$status" -eq 0 ]
    grep -q "its limit: timeout" said
}

@test "a program dies with the auklet that runs it" {
    need_alone
    echo 'import time; time.sleep(1000)' >p.py
    run alone "$count_world
        wait_for() { # TEST: at most five seconds
            for _ in \$(seq 50); do eval \"\$1\" && return; sleep 0.1; done
            return 1
        }
        count_world >before
        $AUKLET sandbox --timeout 1000 -- p.py 3>&- &
        wait_for '[ \$(pgrep -c python) -gt 0 ]' || exit 2
        sleep 0.3
        kill -9 \$!
        wait \$!
        wait_for 'count_world >after; cmp -s before after' || { diff before after; exit 3; }"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "level D is refused unless asked for, and has no attack list" {
    echo 'print(1)' >p.py
    run --separate-stderr "$AUKLET" sandbox --level D -- p.py
    [ "$status" -eq 1 ]
    has "$stderr" "--unsafe-no-sandbox"
    run --separate-stderr "$AUKLET" sandbox --level D --unsafe-no-sandbox --json -- p.py
    [ "$status" -eq 0 ]
    has "$output" '"level": "D"'
    run --separate-stderr "$AUKLET" sandbox --level D --unsafe-no-sandbox --selftest
    [ "$status" -eq 1 ]
    run --separate-stderr "$AUKLET" sandbox --level E -- p.py
    [ "$status" -eq 1 ]
}

@test "wrong usage and missing files" {
    run --separate-stderr "$AUKLET" sandbox
    usage_error
    run --separate-stderr "$AUKLET" sandbox --selftest -- p.py
    usage_error
    run --separate-stderr "$AUKLET" sandbox -- missing.py
    [ "$status" -eq 1 ]
    has "$stderr" "missing.py"
    run --separate-stderr "$AUKLET" sandbox --python /nowhere -- missing.py
    [ "$status" -eq 1 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
}
