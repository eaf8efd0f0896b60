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

# mounts, sockets, files in /tmp and processes that a box could have left
count_world() {
    grep -c . /proc/mounts
    cat /proc/net/tcp /proc/net/udp 2>/dev/null | grep -c .
    find /tmp -maxdepth 1 -name 'auk-*' ! -name 'auk-selftest-*' | grep -c . || true
    ps -eo args | grep -c '[o]pen(3, .rb' || true
}

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
    cat >p.py <<'P'
import os, socket, threading, time
for f in (lambda: os.fork(), lambda: socket.socket(), lambda: open('/tmp/auk-left', 'w')):
    try: f()
    except OSError: pass
for i in range(3):
    threading.Thread(target=time.sleep, args=(100,)).start()
P
    before=$(count_world)
    for level in A B; do
        PATH=/usr/bin:/bin run --separate-stderr "$AUKLET" sandbox --level $level --timeout 0.5 -- p.py
    done
    after=$(count_world)
    diff <(echo "$before") <(echo "$after")
}

@test "a program dies with the auklet that runs it" {
    echo 'import time; time.sleep(1000)' >p.py
    "$AUKLET" sandbox --timeout 1000 -- p.py 3>&- &
    pid=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ "$(count_world | tail -n 1)" -gt 0 ] && break
        sleep 0.25
    done
    [ "$(count_world | tail -n 1)" -gt 0 ]
    kill -9 $pid
    wait $pid || true
    sleep 0.5
    [ "$(count_world | tail -n 1)" -eq 0 ]
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
