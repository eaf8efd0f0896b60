#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helpers

setup() {
    M=$BATS_TEST_TMPDIR/model
    python3 -B "$ROOT/tests/cli/model.py" "$M"
}

@test "one line per tensor, sorted by name, with the keys of the contract" {
    run --separate-stderr "$AUKLET" tensors "$M"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "${#lines[@]}" -eq 28 ]
    [ "$(jq -r .name <<<"$output")" = "$(jq -r .name <<<"$output" | sort)" ]
    jq -e -s 'map(keys == ["bytes", "dtype", "name", "sha256", "shape"] and
        (.sha256 | test("^[0-9a-f]{64}$")) and .dtype == "BF16") | all' <<<"$output"
    jq -e -s 'map(.bytes == 2 * (.shape | reduce .[] as $d (1; . * $d))) | all' <<<"$output"
}

@test "the hashes are those of the bytes" {
    want=$(python3 - "$M/model.safetensors" <<'PY'
import hashlib, json, struct, sys
data = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", data[:8])[0]
for name, t in sorted(json.loads(data[8:8 + n]).items()):
    a, b = t["data_offsets"]
    print(name, hashlib.sha256(data[8 + n + a:8 + n + b]).hexdigest())
PY
    )
    [ "$("$AUKLET" tensors "$M" | jq -r '.name + " " + .sha256')" = "$want" ]
}

@test "shards are listed as one model" {
    want=$("$AUKLET" tensors "$M")
    python3 -B "$ROOT/tests/cli/model.py" "$M.shards" shards
    [ "$("$AUKLET" tensors "$M.shards")" = "$want" ]
    ln -s "$M" "$M.link"
    [ "$("$AUKLET" tensors "$M.link/")" = "$want" ]
    cd "$M"
    [ "$("$AUKLET" tensors .)" = "$want" ]
}

@test "weights alone are enough: no config.json, no tokenizer" {
    rm "$M/config.json" "$M/tokenizer.json"
    run --separate-stderr "$AUKLET" tensors "$M"
    [ "$status" -eq 0 ]
}

@test "the recorded checkpoints have their recorded hashes" {
    need_shared golden/mlx/conversions
    for name in affine-default mixed_4_8; do
        dir=$SHARED/golden/mlx/conversions/src-b/$name
        want=$(jq -r '.tensors | to_entries | sort_by(.key)[] | .key + " " + .value.sha256' "$dir/manifest.json")
        [ "$("$AUKLET" tensors "$dir/folder" | jq -r '.name + " " + .sha256')" = "$want" ]
    done
}
