#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helpers

setup_file() {
    load helpers
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_FILE_TMPDIR/model"
}

setup() {
    M=$BATS_FILE_TMPDIR/model
    D=$BATS_TEST_TMPDIR/out
}

sums() {
    (cd "$1" && find . -type f | sort | xargs sha256sum)
}

# refused WORD...: exit 1, one line on stderr with each word, nothing on stdout.
refused() {
    if [ "$status" -ne 1 ] || [ -n "$output" ] || [ "${#stderr_lines[@]}" -ne 1 ]; then
        printf 'status %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "$stderr"
        return 1
    fi
    for word in "$@"; do
        has "$stderr" "$word"
    done
}

@test "a folder is written that runs, and says what it is" {
    run --separate-stderr "$AUKLET" quantize "$M" "$D"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    has "$output" "bits per weight"
    [ "$(ls "$D" | tr '\n' ' ')" = "README.md chat_template.jinja config.json model.safetensors model.safetensors.index.json tokenizer.json " ]
    [ ! -e "$D.partial" ]
    jq -e '.quantization == {"group_size": 64, "bits": 4, "mode": "affine"}' "$D/config.json"
    run --separate-stderr "$AUKLET" run "$D" hi --greedy --max-tokens 3 --json -q
    [ "$status" -eq 0 ]
}

@test "--json has every key of the contract" {
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --recipe mixed_4_8 --json
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    jq -e '.schema == "auklet.quantize/1" and .method == "rtn" and .bits_per_weight > 4 and .bytes > 0
        and .tensors > 20 and .peak_rss_bytes > 0 and .seconds >= 0
        and (.modules | map(has("path") and has("bits") and has("group_size") and has("mode")) | all)
        and ([.modules[] | select(.mode == "affine") | .bits] | unique == [4, 8])' <<<"$output"
    [ "$(jq .tensors <<<"$output")" -eq "$("$AUKLET" tensors "$D" | wc -l)" ]
    [ "$(jq .bytes <<<"$output")" -eq "$("$AUKLET" tensors "$D" | jq -s 'map(.bytes) | add')" ]
}

@test "every format and recipe is written and loads" {
    echo '[2, 5, 7]' >"$BATS_TEST_TMPDIR/ids"
    for words in --bits=2 --bits=3 --bits=5 --bits=6 --bits=8 "--bits=4 --group-size=32" \
        --mode=mxfp4 --mode=mxfp8 --mode=nvfp4 --recipe=mixed_2_6 --recipe=mixed_3_8 --bits=16 \
        "--rounding cpu" "--mode=mxfp8 --mx-scale nearest" --method=rtn; do
        # shellcheck disable=SC2086
        "$AUKLET" quantize "$M" "$D" --force -q $words >/dev/null
        "$AUKLET" generate "$D" --ids "$BATS_TEST_TMPDIR/ids" --max-tokens 2 >/dev/null
    done
}

@test "the same bytes for any number of threads and any level" {
    "$AUKLET" quantize "$M" "$D" -q
    for words in "--threads 1" "--threads 2" "--threads 3" "--threads 7" "--cpu scalar"; do
        # shellcheck disable=SC2086
        "$AUKLET" quantize "$M" "$D.again" --force -q $words
        [ "$(sums "$D.again")" = "$(sums "$D")" ]
    done
}

@test "shards are cut at --shard-size, and the model is the same" {
    "$AUKLET" quantize "$M" "$D" -q
    "$AUKLET" quantize "$M" "$D.shards" --shard-size 40KB -q
    [ "$(ls "$D.shards"/*.safetensors | wc -l)" -gt 2 ]
    [ "$("$AUKLET" tensors "$D.shards")" = "$("$AUKLET" tensors "$D")" ]
}

@test "shards and links are read like one file" {
    "$AUKLET" quantize "$M" "$D" -q
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_TEST_TMPDIR/shards" shards
    ln -s "$BATS_TEST_TMPDIR/shards" "$BATS_TEST_TMPDIR/link"
    "$AUKLET" quantize "$BATS_TEST_TMPDIR/link/" "$D.again/" -q
    cmp "$D/model.safetensors" "$D.again/model.safetensors"
}

@test "settings no format has are usage errors, before anything is written" {
    for words in "--bits 7" "--bits 1" "--bits 9" "--bits -4" "--group-size 16" "--group-size 48" \
        "--mode int4" "--mode mxfp4 --bits 8" "--mode nvfp4 --group-size 64" "--recipe mixed_9_9" \
        "--recipe mixed_4_8 --mode mxfp8" "--method awq" "--rounding gpu" "--mx-scale down"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" quantize "$M" "$D" $words
        usage_error
        [ ! -e "$D" ] && [ ! -e "$D.partial" ]
    done
}

@test "an existing destination is left alone" {
    mkdir "$D"
    echo mine >"$D/file"
    run --separate-stderr "$AUKLET" quantize "$M" "$D"
    refused "'$D' exists" "--force"
    [ "$(cat "$D/file")" = mine ]
    [ ! -e "$D.partial" ]
    echo mine >"$D.file"
    run --separate-stderr "$AUKLET" quantize "$M" "$D.file"
    refused "'$D.file' exists" "--force"
    ln -s nowhere "$D.link"
    run --separate-stderr "$AUKLET" quantize "$M" "$D.link"
    refused "'$D.link' exists" "--force"
}

@test "--force replaces it, and nothing but it" {
    mkdir "$D" "$BATS_TEST_TMPDIR/real"
    echo mine >"$D/file"
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --force
    [ "$status" -eq 0 ]
    [ ! -e "$D/file" ]
    [ -e "$D/model.safetensors" ]
    echo mine >"$BATS_TEST_TMPDIR/real/file"
    ln -s real "$BATS_TEST_TMPDIR/link"
    run --separate-stderr "$AUKLET" quantize "$M" "$BATS_TEST_TMPDIR/link" --force
    [ "$status" -eq 0 ]
    [ "$(cat "$BATS_TEST_TMPDIR/real/file")" = mine ] # the link was replaced, not what it names
    [ ! -e "$D.partial" ] && [ ! -e "$D.replaced" ]
}

@test "a failing run with --force leaves the old folder" {
    "$AUKLET" quantize "$M" "$D" -q
    before=$(sums "$D")
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_TEST_TMPDIR/bad" "tensor model.norm.weight=nan"
    run --separate-stderr "$AUKLET" quantize "$BATS_TEST_TMPDIR/bad" "$D" --force
    refused "model.norm.weight"
    [ "$(sums "$D")" = "$before" ]
}

@test "the source is never replaced" {
    cp -r "$M" "$BATS_TEST_TMPDIR/own"
    before=$(sums "$BATS_TEST_TMPDIR/own")
    ln -s own "$BATS_TEST_TMPDIR/link"
    for dst in own own/ link . ./own/../own; do
        cd "$BATS_TEST_TMPDIR"
        run --separate-stderr "$AUKLET" quantize own "$dst" --force
        refused
        [ "$(sums "$BATS_TEST_TMPDIR/own")" = "$before" ]
    done
}

@test "a folder that does not exist or may not be written" {
    run --separate-stderr "$AUKLET" quantize "$M" "$BATS_TEST_TMPDIR/absent/out"
    refused "'$BATS_TEST_TMPDIR/absent/out.partial'" "No such file"
    run --separate-stderr "$AUKLET" quantize "$M" "$M/config.json/out"
    refused "config.json/out" "Not a directory"
    run --separate-stderr "$AUKLET" quantize "$M" ""
    refused "no name"
    run --separate-stderr "$AUKLET" quantize "$M" /proc/auklet-out
    refused "/proc/auklet-out"
    [ "$(id -u)" -ne 0 ] || return 0 # root may write anywhere
    mkdir "$BATS_TEST_TMPDIR/closed"
    chmod 555 "$BATS_TEST_TMPDIR/closed"
    run --separate-stderr "$AUKLET" quantize "$M" "$BATS_TEST_TMPDIR/closed/out"
    refused "closed/out" "Permission denied"
}

@test "a disk without room: said before anything is written" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to mount a small disk"
    mkdir "$BATS_TEST_TMPDIR/disk"
    mount -t tmpfs -o size=2m none "$BATS_TEST_TMPDIR/disk" 2>/dev/null || skip "cannot mount here"
    run --separate-stderr "$AUKLET" quantize "$M" "$BATS_TEST_TMPDIR/disk/out"
    left=$(ls -A "$BATS_TEST_TMPDIR/disk")
    umount "$BATS_TEST_TMPDIR/disk"
    refused "'$BATS_TEST_TMPDIR/disk/out' needs" "free" "make room or choose another disk"
    [ -z "$left" ]
}

@test "a disk that fills up on the way: one line, and no folder" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to mount a small disk"
    python3 -B "$ROOT/tests/cli/model.py" "$BATS_TEST_TMPDIR/big"
    # a copied file that the check of the weights' size does not know about
    head -c 80000000 /dev/zero | tr '\0' ' ' | cat <(printf '{') - <(printf '}') >"$BATS_TEST_TMPDIR/big/more.json"
    mkdir "$BATS_TEST_TMPDIR/disk"
    mount -t tmpfs -o size=70m none "$BATS_TEST_TMPDIR/disk" 2>/dev/null || skip "cannot mount here"
    run --separate-stderr "$AUKLET" quantize "$BATS_TEST_TMPDIR/big" "$BATS_TEST_TMPDIR/disk/out"
    named=$(ls -A "$BATS_TEST_TMPDIR/disk")
    umount "$BATS_TEST_TMPDIR/disk"
    refused "more.json" "No space left"
    case " $named " in *" out "*) false ;; esac
}

@test "a stale or foreign DST.partial is no obstacle" {
    "$AUKLET" quantize "$M" "$D.want" -q
    mkdir "$D.partial"
    echo x >"$D.partial/model.safetensors"
    printf 'something else\n7\n' >"$D.partial/.auklet-state"
    mkdir "$D.partial/sub"
    "$AUKLET" quantize "$M" "$D" -q
    [ "$(sums "$D")" = "$(sums "$D.want")" ]
    rm -rf "$D"
    echo "a file" >"$D.partial"
    "$AUKLET" quantize "$M" "$D" -q
    [ "$(sums "$D")" = "$(sums "$D.want")" ]
    rm -rf "$D"
    mkdir "$BATS_TEST_TMPDIR/precious"
    echo mine >"$BATS_TEST_TMPDIR/precious/file"
    ln -s precious "$D.partial"
    "$AUKLET" quantize "$M" "$D" -q
    [ "$(sums "$D")" = "$(sums "$D.want")" ]
    [ "$(cat "$BATS_TEST_TMPDIR/precious/file")" = mine ]
}

@test "what another setting left unfinished is not taken up" {
    "$AUKLET" quantize "$M" "$D.want" --bits 8 -q
    # an unfinished run: everything but the last step
    "$AUKLET" quantize "$M" "$D" -q
    mv "$D" "$D.partial"
    "$AUKLET" quantize "$M" "$D" --bits 8 -q
    [ "$(sums "$D")" = "$(sums "$D.want")" ]
}

@test "of two runs to one destination one ends, and the folder is whole" {
    "$AUKLET" quantize "$M" "$D.want" -q
    mkdir "$D.partial"
    exec 9<"$D.partial"
    flock -n 9 || skip "no locks here"
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --bits 8
    refused "'$D' is being written by another process"
    [ ! -e "$D" ]
    exec 9<&-
    for i in 1 2 3 4 5; do
        "$AUKLET" quantize "$M" "$D.$i" -q 2>/dev/null &
        "$AUKLET" quantize "$M" "$D.$i" -q 2>/dev/null || true
        wait || true
        [ "$(sums "$D.$i")" = "$(sums "$D.want")" ]
    done
}

@test "killed at any moment and begun again: the same bytes" {
    "$AUKLET" quantize "$M" "$D.want" -q
    for ms in 001 002 004 006 008 010 015 020 030; do
        rm -rf "$D" "$D.partial"
        timeout -s KILL 0.$ms "$AUKLET" quantize "$M" "$D" -q --threads 1 || true
        [ -e "$D" ] || "$AUKLET" quantize "$M" "$D" -q
        [ "$(sums "$D")" = "$(sums "$D.want")" ]
        [ ! -e "$D.partial" ]
    done
}

@test "progress is on stderr when asked for, and only then" {
    run --separate-stderr "$AUKLET" quantize "$M" "$D" --progress=always
    [ "$status" -eq 0 ]
    has "$stderr" "%"
    has "$stderr" "/s"
    case $output in *%*) false ;; esac
    for words in "" "--progress=never" "-q --progress=always"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$AUKLET" quantize "$M" "$D" --force $words
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
    done
}
