# helpers.bash - for tests against servers: `load helpers` at the top of a .bats file.
# AUKLET is the command under test; it defaults to the release build.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
AUKLET=${AUKLET:-$ROOT/build/release/auklet}
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1 no_proxy=localhost,127.0.0.1
export AUK_LEDGER= # tests keep no record in the user's own ledger
unset AUK_THREADS AUK_CPU AUK_MODEL HF_TOKEN HF_ENDPOINT AUKLET_API_KEY

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

# lacks TEXT WORD
lacks() {
    case $1 in
    *"$2"*)
        printf "'%s' is in:\n%s\n" "$2" "$1"
        return 1
        ;;
    esac
}

# start_hub [NAME=VALUE]...: a hub with these faults; sets HUB and STORAGE to URLs, LOG to its log.
start_hub() {
    local faults=() fault
    for fault in "$@"; do
        faults+=(--fault "$fault")
    done
    LOG=$BATS_TEST_TMPDIR/hub.log
    rm -f "$BATS_TEST_TMPDIR/hub.stdin" "$BATS_TEST_TMPDIR/hub.ports"
    mkfifo "$BATS_TEST_TMPDIR/hub.stdin"
    python3 "$ROOT/tests/http/hub.py" --root "$BATS_TEST_TMPDIR/root" --log "$LOG" "${faults[@]}" \
        <"$BATS_TEST_TMPDIR/hub.stdin" >"$BATS_TEST_TMPDIR/hub.ports" 3>&- &
    HUB_PID=$!
    exec 8>"$BATS_TEST_TMPDIR/hub.stdin"
    for _ in $(seq 100); do
        [ -s "$BATS_TEST_TMPDIR/hub.ports" ] && break
        sleep 0.1
    done
    read -r HUB STORAGE <"$BATS_TEST_TMPDIR/hub.ports"
    HUB=http://localhost:$HUB STORAGE=http://127.0.0.1:$STORAGE
}

stop_hub() {
    [ -n "${HUB_PID:-}" ] || return 0
    exec 8>&-
    kill "$HUB_PID" 2>/dev/null || true
    wait "$HUB_PID" 2>/dev/null || true
    HUB_PID=
}

# log_count FIELD=VALUE...: requests in the hub's log for which all fields are so.
log_count() {
    python3 - "$LOG" "$@" <<'P'
import json, sys
wanted = [w.split("=", 1) for w in sys.argv[2:]]
print(sum(all(str(e.get(k)) == v for k, v in wanted) for e in map(json.loads, open(sys.argv[1]))))
P
}

# json EXPRESSION: a Python expression over `v`, the document in $output.
json() {
    printf '%s\n' "$output" | python3 -c "import json, sys; v = json.load(sys.stdin); print($1)"
}

# start_scripted POLICY [NAME=VALUE]...: tests/http/scripted.py with this policy and these faults;
# sets PORT, and LOG to its log.  STAMPS, when set, is the file for the chunks' times.
start_scripted() {
    local faults=() fault policy=$1
    shift
    for fault in "$@"; do
        faults+=(--fault "$fault")
    done
    stop_scripted
    LOG=$BATS_TEST_TMPDIR/scripted.log
    rm -f "$BATS_TEST_TMPDIR/scripted.stdin" "$BATS_TEST_TMPDIR/scripted.port"
    mkfifo "$BATS_TEST_TMPDIR/scripted.stdin"
    python3 "$ROOT/tests/http/scripted.py" --log "$LOG" --policy "$policy" \
        ${STAMPS:+--stamps "$STAMPS"} "${faults[@]}" \
        <"$BATS_TEST_TMPDIR/scripted.stdin" >"$BATS_TEST_TMPDIR/scripted.port" 3>&- &
    SCRIPTED_PID=$!
    exec 7>"$BATS_TEST_TMPDIR/scripted.stdin"
    for _ in $(seq 100); do
        [ -s "$BATS_TEST_TMPDIR/scripted.port" ] && break
        sleep 0.1
    done
    read -r PORT <"$BATS_TEST_TMPDIR/scripted.port"
}

stop_scripted() {
    [ -n "${SCRIPTED_PID:-}" ] || return 0
    exec 7>&-
    kill "$SCRIPTED_PID" 2>/dev/null || true
    wait "$SCRIPTED_PID" 2>/dev/null || true
    SCRIPTED_PID=
}
