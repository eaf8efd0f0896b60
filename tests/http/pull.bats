#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pull against a hub that is good, slow, cut, lying, busy or hostile: in the end the folder is
# complete and right, or one line names the file and the remedy and nothing has its name.

load helpers

setup() {
    REPO=$BATS_TEST_TMPDIR/root/org/model
    OUT=$BATS_TEST_TMPDIR/out
    mkdir -p "$REPO/sub"
    head -c 5000000 /dev/urandom >"$REPO/big.safetensors"
    head -c 100000 /dev/urandom >"$REPO/mid.bin"
    echo '{"a": 1}' >"$REPO/config.json"
    : >"$REPO/sub/empty"
    echo x >"$REPO/sub/a b#c?.txt"
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    stop_hub
}

pull() {
    run --separate-stderr timeout 60 "$AUKLET" pull --endpoint "$HUB" "$@"
}

good() {
    if [ "$status" -ne 0 ]; then
        printf 'status %s\nstderr: %s\n' "$status" "$stderr"
        return 1
    fi
    diff -r "$REPO" "$OUT"
    [ ! -e "$OUT.pull" ]
}

# failed WORD...: one line of error that holds each word; no folder.
failed() {
    local last=${stderr##*$'\n'}
    if [ "$status" -ne 1 ] || [ -n "$output" ]; then
        printf 'status %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "$stderr"
        return 1
    fi
    for word in "$@"; do
        has "$last" "$word"
    done
    [ ! -e "$OUT" ]
}

@test "a repository arrives whole, in parallel ranges, with hashes" {
    start_hub
    pull org/model -o "$OUT" --json
    good
    [ "$(json 'v["schema"], len(v["files"]), all(f["checked"] for f in v["files"])')" = \
        "auklet.pull/1 5 True" ]
    [ "$(json '[f["sha256"] for f in v["files"] if f["path"] == "mid.bin"][0]')" = \
        "$(sha256sum "$REPO/mid.bin" | cut -c1-64)" ]
    [ "$(log_count where=storage status=206)" -ge 4 ]
    [ "$(json 'v["revision"]')" = 0123456789abcdef0123456789abcdef01234567 ]
}

@test "ranges really overlap in time" {
    start_hub delay=0.05
    pull org/model -o "$OUT"
    good
    python3 - "$LOG" <<'P'
import json, sys
spans = [(e["began"], e["ended"]) for e in map(json.loads, open(sys.argv[1])) if e["where"] == "storage"]
assert max(sum(b <= x < e for b, e in spans) for x, _ in spans) >= 3, spans
P
}

@test "without -o the folder is named after the repository" {
    start_hub
    pull org/model -q
    [ "$status" -eq 0 ]
    [ "$output" = model ]
    diff -r "$REPO" model
}

@test "include globs choose files" {
    start_hub
    pull org/model -o "$OUT" --include '*.json,sub/*'
    [ "$status" -eq 0 ]
    [ "$(cd "$OUT" && find . -type f | sort | tr '\n' ' ')" = \
        "./config.json ./sub/a b#c?.txt ./sub/empty " ]
    pull org/model -o "$OUT" --json
    good
    [ "$(json '[f["resumed_from"] for f in v["files"] if f["path"] == "config.json"][0]')" = 9 ]
    stop_hub
    start_hub
    rm -r "$OUT"
    pull org/model -o "$OUT" --include '*.nothing'
    failed "'org/model'" "matches '*.nothing'"
}

@test "the token goes to the hub and to nobody else" {
    start_hub token=hf_secret
    HF_TOKEN=hf_secret pull org/model -o "$OUT"
    good
    [ "$(log_count where=storage)" -ge 4 ]
    [ "$(log_count where=storage authorization=None)" = "$(log_count where=storage)" ]
    [ "$(log_count where=hub 'authorization=Bearer hf_secret')" = "$(log_count where=hub)" ]
    rm -r "$OUT"
    pull org/model -o "$OUT"
    failed "'org/model'" 401 "set HF_TOKEN"
    HF_TOKEN=hf_other pull org/model -o "$OUT"
    failed "'org/model'" "HF_TOKEN may not read it"
    lacks "$stderr" hf_other
    HF_TOKEN=hf_secret run --separate-stderr timeout 60 "$AUKLET" pull "$STORAGE/blobs/org/model/mid.bin"
    [ "$status" -eq 0 ]
    [ "$(log_count where=storage authorization=None)" = "$(log_count where=storage)" ]
}

@test "a killed pull goes on where it stopped" {
    start_hub delay=0.1
    "$AUKLET" pull org/model --endpoint "$HUB" -o "$OUT" -q 3>&- &
    sleep 1.5
    kill -9 $!
    wait $! || true
    [ ! -e "$OUT" ]
    [ -d "$OUT.pull" ]
    stop_hub
    start_hub
    pull org/model -o "$OUT" --json
    good
    [ "$(json '[f["resumed_from"] for f in v["files"] if f["path"] == "big.safetensors"][0] > 500000')" = True ]
    [ "$(json 'v["fetched_bytes"] < 4700000')" = True ]
}

@test "killed again and again it still ends with the same folder" {
    start_hub delay=0.05
    for pause in 0.3 0.5 0.4 0.6; do
        "$AUKLET" pull org/model --endpoint "$HUB" -o "$OUT" -q 3>&- &
        sleep $pause
        kill -9 $! || true
        wait $! || true
    done
    pull org/model -o "$OUT"
    good
}

@test "an interrupt leaves what was fetched and exits 130" {
    start_hub delay=0.2
    # a background job of a script ignores SIGINT; Python restores it
    python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$AUKLET" pull org/model --endpoint "$HUB" -o "$OUT" -q 3>&- &
    for _ in $(seq 100); do
        [ -d "$OUT.pull" ] && break
        sleep 0.1
    done
    kill -INT $!
    code=0
    wait $! || code=$?
    [ "$code" -eq 130 ]
    [ -d "$OUT.pull" ]
}

@test "cut connections are taken up again" {
    start_hub cut=150000 cut_times=30
    pull org/model -o "$OUT"
    good
    has "$stderr" "trying again"
}

@test "a server without ranges is read in one piece" {
    start_hub no_ranges=1
    pull org/model -o "$OUT"
    good
}

@test "a server without lengths is read" {
    start_hub no_length=1
    pull org/model -o "$OUT"
    good
}

@test "one damaged answer is noticed and fetched again" {
    start_hub corrupt=1
    pull org/model -o "$OUT"
    good
    has "$stderr" "the hash is wrong; fetching it once more"
}

@test "content that stays wrong names the file, both hashes and a remedy" {
    start_hub corrupt=1000
    pull org/model -o "$OUT" --include 'big*'
    failed "'big.safetensors'" "$(sha256sum "$REPO/big.safetensors" | cut -c1-64)" "--endpoint"
}

@test "lengths that lie are refused" {
    start_hub announce=100
    pull org/model -o "$OUT" --connections 1 --include mid.bin
    failed "'mid.bin'" "100000 bytes" "100100"
    stop_hub
    start_hub wrong_size=7
    pull org/model -o "$OUT" --include mid.bin
    failed "'mid.bin'" "100007"
    stop_hub
    start_hub wrong_range=1
    pull org/model -o "$OUT"
    failed "'big.safetensors'" "asked for bytes"
}

@test "a busy hub is waited for as long as it says" {
    start_hub busy=3 retry_after=1
    before=$(date +%s)
    pull org/model -o "$OUT"
    good
    [ $(($(date +%s) - before)) -ge 3 ]
    [ "$(log_count status=429)" -eq 3 ]
}

@test "a hub that is busy for an hour is not waited for" {
    start_hub busy=1000 busy_status=503 retry_after=3600
    pull org/model -o "$OUT"
    failed "'org/model'" 503 "later"
}

@test "errors of the server pass" {
    start_hub busy=4 busy_status=500
    pull org/model -o "$OUT"
    good
}

@test "a listing in pages is read to its end" {
    start_hub page=2
    pull org/model -o "$OUT"
    good
}

@test "a hub without the tree route and without hashes still works, and says what is unchecked" {
    start_hub no_tree=1
    pull org/model -o "$OUT"
    good
    rm -r "$OUT"
    stop_hub
    start_hub no_hash=1
    pull org/model -o "$OUT"
    good
    has "$stderr" "unchecked"
}

@test "names that lead out of the folder are refused" {
    for evil in ../evil /etc/evil a/../../evil 'a\b' sub/; do
        start_hub "evil=$evil"
        pull org/model -o "$OUT"
        failed "is no name of a file"
        stop_hub
    done
    [ ! -e "$BATS_TEST_TMPDIR/evil" ]
}

@test "unknown repositories, revisions and hubs are told apart" {
    start_hub
    pull org/none -o "$OUT"
    failed "'org/none'" 401 HF_TOKEN
    pull org/model -o "$OUT" --revision v9
    failed "'org/model'" "'v9'" --revision
    pull ../x -o "$OUT"
    failed "owner/name"
    HUB=http://localhost:1 pull org/model -o "$OUT"
    failed "no connection"
    HUB=nonsense pull org/model -o "$OUT"
    failed "'nonsense'"
}

@test "redirects that do not end, and compressed answers, are refused" {
    start_hub redirect_loop=1
    pull org/model -o "$OUT"
    failed redirects
    stop_hub
    start_hub gzip=1
    pull org/model -o "$OUT" --include config.json
    failed "content-encoding"
}

@test "files that differ are kept unless forced; those that fit are not fetched" {
    start_hub
    pull org/model -o "$OUT"
    good
    pull org/model -o "$OUT" --json
    good
    [ "$(json 'v["fetched_bytes"], [f["resumed_from"] == f["bytes"] for f in v["files"]].count(True)')" = "0 5" ]
    echo changed >"$OUT/config.json"
    pull org/model -o "$OUT"
    [ "$status" -eq 1 ]
    has "$stderr" "config.json' is there already and differs"
    has "$stderr" --force
    [ "$(cat "$OUT/config.json")" = changed ]
    pull org/model -o "$OUT" --force
    good
}

@test "two pulls into one folder do not meet" {
    start_hub delay=0.1
    "$AUKLET" pull org/model --endpoint "$HUB" -o "$OUT" -q 3>&- &
    first=$!
    sleep 0.7
    pull org/model -o "$OUT"
    [ "$status" -eq 1 ]
    has "$stderr" "another pull"
    wait $first
    diff -r "$REPO" "$OUT"
}

@test "a plain URL is fetched, resumed and checked" {
    start_hub
    cp "$REPO/mid.bin" "$BATS_TEST_TMPDIR/root/data.bin"
    sum=$(sha256sum "$REPO/mid.bin" | cut -c1-64)
    pull "$HUB/plain/data.bin" --sha256 "$sum" --json
    [ "$status" -eq 0 ]
    cmp "$REPO/mid.bin" data.bin
    [ "$(json 'v["files"][0]["checked"], v["output"]')" = "True data.bin" ]
    pull "$HUB/plain/data.bin" --sha256 "$sum"
    [ "$status" -eq 0 ]
    pull "$HUB/plain/data.bin" -o other --sha256 "${sum//[0-4]/5}"
    [ "$status" -eq 1 ]
    has "$stderr" "$sum"
    [ ! -e other ]
    pull "$HUB/plain/none" -o other
    [ "$status" -eq 1 ]
    has "$stderr" 404
    run --separate-stderr "$AUKLET" pull "$HUB/plain/data.bin" --sha256 12
    [ "$status" -eq 1 ]
    has "$stderr" "64 hexadecimal digits"
}

@test "a disk that is too small is said first" {
    start_hub wrong_size=900000000000000
    pull org/model -o "$OUT" --include config.json
    failed "room for" "--include"
    [ "$(log_count where=storage)" -eq 0 ]
}

@test "progress shows rate and time left" {
    start_hub delay=0.1
    pull org/model -o "$OUT" --progress=always
    good
    has "$stderr" "fetching"
    has "$stderr" "/s"
    has "$stderr" "s left"
}

@test "wrong usage is two lines" {
    for args in "" "a b" "org/model --connections 0" "org/model --sha256 00" "http://h/x --revision r"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" pull $args
        [ "$status" -eq 2 ]
        [ "${#stderr_lines[@]}" -eq 2 ]
    done
}
