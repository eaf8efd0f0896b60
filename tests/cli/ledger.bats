#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The ledger from outside: golden/ledger_records.jsonl holds four records, one with hostile text.

load helpers

setup() {
    export AUK_LEDGER=$BATS_TEST_TMPDIR/home/ledger.db
    RECORDS=$GOLDEN_CLI/ledger_records.jsonl
}

take_records() {
    "$AUKLET" ledger import "$RECORDS" >/dev/null
}

# refused WORD...: the last command failed with one line that holds each word.
refused() {
    if [ "$status" -ne 1 ] || [ -n "$output" ] || [ "${#stderr_lines[@]}" -ne 1 ]; then
        printf 'status %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "$stderr"
        return 1
    fi
    for word in "$@"; do
        has "$stderr" "$word"
    done
}

# ---- looking -----------------------------------------------------------------------------------

@test "list prints a line per record" {
    take_records
    run --separate-stderr "$AUKLET" ledger list
    [ "$status" -eq 0 ]
    golden ledger_list.stdout <<<"$output"
    run --separate-stderr "$AUKLET" ledger list --kind bench
    [ "${#lines[@]}" -eq 1 ]
}

@test "list --json has every head" {
    take_records
    "$AUKLET" ledger list --json | python3 -c '
import json, sys
v = json.load(sys.stdin)
assert v["schema"] == "auklet.ledger/1", v
assert [r["kind"] for r in v["records"]] == ["eval", "eval", "eval", "bench"]
assert v["records"][0]["headline"]["passed"] == 2
'
}

@test "show prints one record; an id may be shortened" {
    take_records
    run --separate-stderr "$AUKLET" ledger show 2e9d
    [ "$status" -eq 0 ]
    golden ledger_show.stdout <<<"$output"
    run --separate-stderr "$AUKLET" ledger show latest
    [ "${lines[0]}" = "record $(sed -n 's/.*"id": "\(b977[0-9a-f]*\)".*/\1/p' "$RECORDS")" ]
}

@test "show --items never sends control characters to the terminal" {
    take_records
    "$AUKLET" ledger show 09e0 --items >"$BATS_TEST_TMPDIR/shown"
    ! LC_ALL=C grep -q "$(printf '[\001-\010\013-\037]')" "$BATS_TEST_TMPDIR/shown"
}

@test "show --json has the items" {
    take_records
    "$AUKLET" ledger show 09e0 --json | python3 -c '
import json, sys
v = json.load(sys.stdin)
assert v["schema"] == "auklet.ledger/1" and v["record"]["id"].startswith("09e0")
assert [i["task_id"] for i in v["items"]][1] == "HumanEval/10"
assert chr(0) in v["items"][3]["answer"]
'
}

# ---- checking ----------------------------------------------------------------------------------

@test "verify finds nothing in what it wrote" {
    take_records
    run --separate-stderr "$AUKLET" ledger verify
    [ "$status" -eq 0 ]
    has "$output" "4 records, 17 items"
    run --separate-stderr "$AUKLET" ledger verify latest --json
    [ "$status" -eq 0 ]
    has "$output" '"ok": true'
}

@test "verify exits 3 on a changed item and says which" {
    command -v sqlite3 >/dev/null || skip "no sqlite3 command"
    take_records
    sqlite3 "$AUK_LEDGER" "DROP TRIGGER item_stays;
        UPDATE item SET line = replace(line, 'false', 'true') WHERE record = 1 AND n = 1"
    run --separate-stderr "$AUKLET" ledger verify
    [ "$status" -eq 3 ]
    has "$output" "record 1 2e9d"
    has "$output" "item 2 is not what its hash says"
    run --separate-stderr "$AUKLET" ledger verify 2e9d --json
    [ "$status" -eq 3 ]
    has "$output" '"ok": false'
    run --separate-stderr "$AUKLET" ledger verify 09e0
    [ "$status" -eq 0 ]
    run --separate-stderr "$AUKLET" report 2e9d
    refused "auklet ledger verify"
}

# ---- taking along ------------------------------------------------------------------------------

@test "an export is what was imported, byte for byte" {
    take_records
    "$AUKLET" ledger export | cmp - "$RECORDS"
    "$AUKLET" ledger export -o "$BATS_TEST_TMPDIR/all.jsonl"
    cmp "$BATS_TEST_TMPDIR/all.jsonl" "$RECORDS"
    run --separate-stderr "$AUKLET" ledger export -o "$BATS_TEST_TMPDIR/all.jsonl"
    refused "exists" "--force"
    run --separate-stderr "$AUKLET" ledger import - --json <"$RECORDS"
    [ "$output" = '{"schema": "auklet.ledger/1", "added": 0, "known": 4}' ]
}

@test "an id is the sha256 of the exported record" {
    take_records
    sum=$("$AUKLET" ledger export 2e9d | tail -n +2 | { sha256sum 2>/dev/null || shasum -a 256; })
    has "$sum" 2e9dd8cf8aa64879c003182ca89923e59dbbceab6df5375160811e7e7814d280
}

@test "a torn export adds nothing" {
    head -c 5000 "$RECORDS" >"$BATS_TEST_TMPDIR/torn"
    run --separate-stderr "$AUKLET" ledger import "$BATS_TEST_TMPDIR/torn"
    refused "torn" "ends within record 4"
    run --separate-stderr "$AUKLET" ledger list
    [ -z "$output" ]
}

# ---- who may write where -----------------------------------------------------------------------

@test "quantize keeps a record, and --no-ledger keeps none" {
    run --separate-stderr "$AUKLET" quantize "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/q" --json
    [ "$status" -eq 0 ]
    id=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["ledger_id"])' <<<"$output")
    [ "$stderr" = "auklet: ledger: ${id:0:12}" ]
    "$AUKLET" ledger show "$id" --json | python3 -c '
import json, sys
r = json.load(sys.stdin)["record"]
assert r["kind"] == "quantize" and r["command"].startswith("auklet quantize ")
assert r["headline"]["modules"] == r["items"] and r["settings"]["bits"] == 4
assert len(r["model"]["fingerprint"]) == 64 == len(r["source"]["fingerprint"])
assert r["started"] < r["finished"]
'
    run --separate-stderr "$AUKLET" quantize "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/r" --no-ledger
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    run --separate-stderr "$AUKLET" ledger list
    [ "${#lines[@]}" -eq 1 ]
}

@test "the ledger is --db, else AUK_LEDGER, else in the data home" {
    "$AUKLET" ledger import "$RECORDS" --db "$BATS_TEST_TMPDIR/other.db" >/dev/null
    [ ! -e "$AUK_LEDGER" ]
    unset AUK_LEDGER
    XDG_DATA_HOME=$BATS_TEST_TMPDIR/data "$AUKLET" ledger import "$RECORDS" >/dev/null
    [ -f "$BATS_TEST_TMPDIR/data/auklet/ledger.db" ]
    HOME=$BATS_TEST_TMPDIR XDG_DATA_HOME='' "$AUKLET" ledger import "$RECORDS" >/dev/null
    [ -f "$BATS_TEST_TMPDIR/.local/share/auklet/ledger.db" ]
}

@test "a record is kept by default, in the data home; AUK_LEDGER= and --no-ledger keep none" {
    export XDG_DATA_HOME=$BATS_TEST_TMPDIR/data XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
    export AUK_LEDGER=
    run --separate-stderr "$AUKLET" quantize "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/q"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    unset AUK_LEDGER
    run --separate-stderr "$AUKLET" quantize "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/r" --no-ledger
    [ "$status" -eq 0 ]
    [ ! -e "$XDG_DATA_HOME" ]
    run --separate-stderr "$AUKLET" quantize "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/s"
    [ "$status" -eq 0 ]
    has "$stderr" "auklet: ledger: "
    run --separate-stderr "$AUKLET" ledger verify
    [ "$status" -eq 0 ]
    [ -f "$XDG_DATA_HOME/auklet/ledger.db" ]
}

@test "a model is hashed once; one byte that changes is noticed, also with its times set back" {
    export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
    cp -R "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/m"
    "$AUKLET" compare "$BATS_TEST_TMPDIR/m" "$BATS_TEST_TMPDIR/m" --text "$ROOT/README.md" -q >/dev/null
    sleep 3.1
    fingerprint() {
        "$AUKLET" compare "$BATS_TEST_TMPDIR/m" "$BATS_TEST_TMPDIR/m" --text "$ROOT/README.md" -q >/dev/null
        "$AUKLET" ledger show latest --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["record"]["model"]["fingerprint"])'
    }
    check() {
        (cd "$BATS_TEST_TMPDIR/m" && sha256sum $(ls *.jinja *.json *.model *.safetensors 2>/dev/null) | LC_ALL=C sort -k 2 | sha256sum | cut -d' ' -f1)
    }
    [ "$(fingerprint)" = "$(check)" ]
    grep -q "^[0-9 ]* [0-9a-f]\{64\}$" "$XDG_CACHE_HOME/auklet/fingerprints"
    lines=$(wc -l <"$XDG_CACHE_HOME/auklet/fingerprints")
    [ "$(fingerprint)" = "$(check)" ]
    [ "$(wc -l <"$XDG_CACHE_HOME/auklet/fingerprints")" -eq "$lines" ]
    touch -r "$BATS_TEST_TMPDIR/m/config.json" "$BATS_TEST_TMPDIR/times"
    sed -i 's/  / \t/' "$BATS_TEST_TMPDIR/m/config.json"
    touch -r "$BATS_TEST_TMPDIR/times" "$BATS_TEST_TMPDIR/m/config.json"
    [ "$(fingerprint)" = "$(check)" ]
    printf 'no line\n1 2 3' >>"$XDG_CACHE_HOME/auklet/fingerprints"
    [ "$(fingerprint)" = "$(check)" ]
}

@test "a record that cannot be kept is a failure where the ledger was named, and else a warning" {
    run --separate-stderr "$AUKLET" quantize "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/q" --json \
        --db /dev/null/ledger.db
    [ "$status" -eq 1 ]
    has "$output" '"ledger_id": null'
    [ "${#stderr_lines[@]}" -eq 1 ]
    has "$stderr" "not in the ledger: cannot make the folder '/dev/null'"
    unset AUK_LEDGER
    XDG_DATA_HOME=/dev/null run --separate-stderr "$AUKLET" quantize "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/r" --json
    [ "$status" -eq 0 ]
    has "$output" '"ledger_id": null'
    has "$stderr" "not in the ledger: "
}

@test "a full disk: the result is printed, one line says why there is no record, the ledger is whole" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to mount a small disk"
    mkdir "$BATS_TEST_TMPDIR/disk"
    mount -t tmpfs -o size=600k none "$BATS_TEST_TMPDIR/disk" 2>/dev/null || skip "cannot mount here"
    export AUK_LEDGER=$BATS_TEST_TMPDIR/disk/ledger.db
    fill() {
        "$AUKLET" ledger import "$RECORDS" >/dev/null
        dd if=/dev/zero of="$BATS_TEST_TMPDIR/disk/fill" bs=4k 2>/dev/null || true
        run --separate-stderr "$AUKLET" quantize "$ROOT/data/miniature" "$BATS_TEST_TMPDIR/q" --json
        full=$status
        result=$output
        said=$stderr
        rm "$BATS_TEST_TMPDIR/disk/fill"
        run --separate-stderr "$AUKLET" ledger verify
    }
    fill || true
    umount "$BATS_TEST_TMPDIR/disk"
    echo "$said"
    [ "$full" -eq 1 ]
    has "$result" '"ledger_id": null'
    has "$said" "not in the ledger: "
    has "$said" "full"
    [ "$(wc -l <<<"$said")" -eq 1 ]
    [ "$status" -eq 0 ]
}

# ---- bad input ---------------------------------------------------------------------------------

@test "no ledger yet, a newer one, another file, an unknown id: one line each" {
    run --separate-stderr "$AUKLET" ledger list
    refused "there is no ledger"
    take_records
    run --separate-stderr "$AUKLET" ledger show ffff
    refused "no record 'ffff'"
    run --separate-stderr "$AUKLET" ledger show xy
    refused "'xy' is no id"
    echo "this is a text file that is longer than a header" >"$BATS_TEST_TMPDIR/text"
    run --separate-stderr "$AUKLET" ledger list --db "$BATS_TEST_TMPDIR/text"
    refused "$BATS_TEST_TMPDIR/text" "not a database"
    command -v sqlite3 >/dev/null || skip "no sqlite3 command"
    sqlite3 "$AUK_LEDGER" 'PRAGMA user_version = 9'
    run --separate-stderr "$AUKLET" ledger list
    refused "schema 9" "up to 1"
}

@test "wrong usage" {
    for words in "ledger" "ledger lst" "ledger show" "ledger import" "ledger list x" "ledger show a b"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" $words
        usage_error
    done
}
