#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every kind of bad input: exit 1, one line on stderr that names the file and the tensor or key,
# nothing on stdout, and nothing under the name of the result.

load helpers

setup() {
    M=$BATS_TEST_TMPDIR/model
    OUT=$BATS_TEST_TMPDIR/out
    IDS=$BATS_TEST_TMPDIR/ids.json
    echo '[2, 5, 7]' >"$IDS"
}

make_model() {
    python3 -B "$ROOT/tests/cli/model.py" "$M" "$@"
}

# refused WORD...: the last command failed with one line that holds each word.
refused() {
    if [ "$status" -ne 1 ] || [ -n "$output" ] || [ "${#stderr_lines[@]}" -ne 1 ]; then
        printf 'status %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "$stderr"
        return 1
    fi
    has "$stderr" "auklet: "
    for word in "$@"; do
        has "$stderr" "$word"
    done
}

# The same failure from a command that lists, one that runs and one that writes.
refused_by_all() {
    run --separate-stderr "$AUKLET" tensors "$M"
    refused "$@"
    refused_by_model "$@"
}

refused_by_model() {
    refused_by_generate "$@"
    refused_by_quantize "$@"
}

refused_by_generate() {
    run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS" --max-tokens 1 --greedy
    refused "$@"
}

refused_by_quantize() {
    run --separate-stderr "$AUKLET" quantize "$M" "$OUT"
    refused "$@"
    [ ! -e "$OUT" ]
}

# ---- the undamaged model: what these tests start from loads ------------------------------------

@test "the model these tests damage is a good one" {
    make_model
    run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS" --max-tokens 1 --greedy
    [ "$status" -eq 0 ]
    run --separate-stderr "$AUKLET" run "$M" hi --max-tokens 1
    [ "$status" -eq 0 ]
    run --separate-stderr "$AUKLET" quantize "$M" "$OUT"
    [ "$status" -eq 0 ]
}

# ---- safetensors headers -----------------------------------------------------------------------

header_is_refused() {
    make_model "header $1"
    shift
    refused_by_all "model.safetensors'" "$@"
}

@test "overlapping tensors" { header_is_refused overlap "down_proj.weight'" "overlaps"; }
@test "a negative shape" { header_is_refused negative-shape "'model.embed_tokens.weight'" "negative"; }
@test "a negative offset" { header_is_refused negative-offset "'model.embed_tokens.weight'" "data_offsets"; }
@test "an overflowing shape" { header_is_refused overflow "'model.embed_tokens.weight'" "overflowing"; }
@test "a number beyond 64 bits" { header_is_refused overflow-64 "too big"; }
@test "an offset near the end of 64 bits" { header_is_refused offset-huge "'model.embed_tokens.weight'" "truncated, fetch it again"; }
@test "an unknown dtype" { header_is_refused dtype "'model.embed_tokens.weight'" "dtype"; }
@test "too many dimensions" { header_is_refused rank "'model.embed_tokens.weight'" "dimensions"; }
@test "a tensor without offsets" { header_is_refused no-offsets "'x'" "data_offsets"; }
@test "a tensor that is there twice" { header_is_refused duplicate "duplicate" "model.norm.weight"; }
@test "a header that is not JSON" { header_is_refused not-json "not valid JSON"; }
@test "a header that is an array" { header_is_refused array "not a JSON object"; }
@test "a header nested 100,000 deep" { header_is_refused deep "deeper than"; }
@test "metadata that are not strings" { header_is_refused metadata "__metadata__"; }

@test "a hole in the data" {
    make_model "header hole" "bytes model.safetensors=append 64"
    refused_by_all "model.safetensors'" "'model.norm.weight'" "hole"
}

@test "bytes after the last tensor" {
    make_model "bytes model.safetensors=append 3"
    refused_by_all "model.safetensors'" "3 bytes that belong to no tensor"
}

@test "a file cut short, anywhere" {
    for n in 1 100000 369000; do
        rm -rf "$M"
        make_model "bytes model.safetensors=cut $n"
        refused_by_generate "model.safetensors'" "truncated, fetch it again"
    done
    refused_by_all "model.safetensors'" "truncated, fetch it again"
}

@test "a file cut within its header, or empty, or something else" {
    make_model 'bytes model.safetensors=\xff\0\0\0\0\0\0\0{}'
    refused_by_all "model.safetensors'" "no safetensors header"
    rm -rf "$M"
    make_model "bytes model.safetensors=empty"
    refused_by_all "model.safetensors'" "no safetensors header"
    rm -rf "$M"
    make_model 'bytes model.safetensors=version https://git-lfs.github.com/spec/v1\n'
    refused_by_all "model.safetensors'" "no safetensors header"
    rm -rf "$M"
    make_model 'bytes model.safetensors=\xff\xff\xff\xff\xff\xff\xff\xff'
    refused_by_all "model.safetensors'" "no safetensors header"
}

@test "a folder where the weights should be" {
    make_model "bytes model.safetensors=folder"
    refused_by_all "model.safetensors'" "not a file"
}

@test "a link to nowhere where the weights should be" {
    make_model "bytes model.safetensors=link"
    refused_by_all "model.safetensors"
}

@test "no weights at all" {
    make_model "bytes model.safetensors=gone"
    refused_by_all "'$M'" "*.safetensors"
}

# ---- shards and their index --------------------------------------------------------------------

@test "a missing shard" {
    make_model shards "bytes model-00002-of-00002.safetensors=gone"
    refused_by_all "'$M'" "'model-00002-of-00002.safetensors'" "fetch it again"
}

@test "an index that names a file outside the folder" {
    for file in ../model/model-00001-of-00002.safetensors /etc/passwd .. .hidden sub/x.safetensors; do
        rm -rf "$M"
        make_model shards "index model.norm.weight=$file"
        refused_by_generate "index.json'" "'model.norm.weight'" "names no file of this folder"
    done
    refused_by_all "index.json'" "'model.norm.weight'" "names no file of this folder"
}

@test "an index that names the wrong shard" {
    make_model shards "index model.norm.weight=model-00001-of-00002.safetensors"
    refused_by_all "index.json'" "'model.norm.weight'" "'model-00001-of-00002.safetensors'"
}

@test "an index that is empty, not JSON or without a map" {
    for text in "empty" "{" "[]" "{}" '{"weight_map": {}}' '{"weight_map": 3}'; do
        rm -rf "$M"
        make_model shards "bytes model.safetensors.index.json=$text"
        refused_by_generate "model.safetensors.index.json'"
    done
}

@test "the same tensor in two files" {
    make_model shards "bytes model.safetensors.index.json=gone"
    cp "$M/model-00001-of-00002.safetensors" "$M/another.safetensors"
    refused_by_all "another.safetensors'" "is in both"
}

# ---- tensors against config.json ---------------------------------------------------------------

@test "a missing tensor" {
    for name in model.norm.weight model.layers.0.self_attn.q_proj.weight \
        model.layers.1.mlp.experts.3.up_proj.weight model.embed_tokens.weight; do
        rm -rf "$M"
        make_model "tensor $name=-"
        refused_by_model "'$M'" "$name'" "missing" "fetch"
    done
}

@test "a tensor of the wrong shape" {
    make_model "tensor model.layers.0.self_attn.q_proj.weight=shape [32, 128]"
    refused_by_model "model.safetensors'" "'model.layers.0.self_attn.q_proj.weight'" "[32, 128]" "[64, 64]"
    rm -rf "$M"
    make_model "tensor model.layers.0.input_layernorm.weight=shape [1, 64]"
    refused_by_model "model.safetensors'" "'model.layers.0.input_layernorm.weight'"
    rm -rf "$M"
    make_model "tensor model.layers.1.mlp.experts.2.down_proj.weight=shape [4096]"
    refused_by_model "model.safetensors'" "'model.layers.1.mlp.experts.2.down_proj.weight'" "[4096]"
}

@test "a configuration of other sizes than the tensors" {
    for change in hidden_size=128 vocab_size=1600 head_dim=64 num_attention_heads=4 \
        num_key_value_heads=2 prefix_dense_intermediate_size=128 intermediate_size=32; do
        rm -rf "$M"
        make_model "config $change"
        refused_by_generate "model.safetensors'" "tensor 'model." "config.json wants"
    done
    refused_by_quantize "model.safetensors'" "tensor 'model." "config.json wants"
}

@test "a configuration of fewer or more experts or layers than the tensors" {
    make_model "config num_experts=3"
    refused_by_model "'model.layers.1.mlp."
    rm -rf "$M"
    make_model "config num_experts=5"
    refused_by_model "model.layers.1.mlp."
    rm -rf "$M"
    make_model "config first_k_dense_replace=2"
    refused_by_model "model.layers.1.mlp."
    rm -rf "$M"
    make_model "config num_hidden_layers=3" 'config layer_types=["full_attention", "full_attention", "full_attention"]'
    refused_by_model "model.layers.2."
}

@test "an unknown tensor" {
    make_model "tensor model.norm.weight=+model.extra.weight"
    refused_by_model "model.safetensors'" "'model.extra.weight'"
}

@test "a tensor of a dtype that holds no weights" {
    make_model "tensor model.norm.weight=dtype I16"
    refused_by_model "model.safetensors'" "'model.norm.weight'" "I16"
    rm -rf "$M"
    make_model "tensor model.layers.0.self_attn.q_proj.weight=dtype U16"
    refused_by_model "model.safetensors'" "'model.layers.0.self_attn.q_proj.weight'" "U16"
}

@test "NaN and infinity when quantizing, in any kind of tensor" {
    for what in model.embed_tokens.weight=nan model.norm.weight=nan model.norm.weight=inf \
        model.layers.1.mlp.experts.3.down_proj.weight=-inf; do
        rm -rf "$M"
        make_model "tensor $what"
        refused_by_quantize "model.safetensors'" "${what%=*}'"
    done
}

# ---- config.json -------------------------------------------------------------------------------

@test "each required key of config.json" {
    for key in logit_scale norm_topk_prob num_shared_experts rms_norm_eps first_k_dense_replace \
        layer_types hidden_size num_hidden_layers vocab_size num_attention_heads head_dim \
        num_key_value_heads sliding_window intermediate_size max_position_embeddings num_experts \
        num_experts_per_tok prefix_dense_intermediate_size rope_theta; do
        rm -rf "$M"
        make_model "config -$key"
        refused_by_generate "config.json'" "'$key'" "take the released config.json"
    done
    refused_by_quantize "config.json'" "'$key'"
    run --separate-stderr "$AUKLET" plan "$M"
    refused "config.json'" "'$key'"
}

@test "required keys that are null" {
    for key in logit_scale norm_topk_prob rms_norm_eps num_shared_experts layer_types; do
        rm -rf "$M"
        make_model "config $key=null"
        refused_by_generate "config.json'" "'$key'"
    done
}

@test "the config of another architecture" {
    make_model 'config model_type="cohere2"'
    refused_by_model "config.json'" "'cohere2'" "want 'cohere2_moe'"
    rm -rf "$M"
    make_model "config -model_type"
    refused_by_model "config.json'" "model_type" "want 'cohere2_moe'"
    for change in attention_bias=true use_qk_norm=true use_parallel_block=false \
        hidden_act=\"gelu\" expert_selection_fn=\"softmax\" num_shared_experts=1 \
        'rope_scaling={"type": "yarn"}' rotary_pct=0.5; do
        rm -rf "$M"
        make_model "config $change"
        refused_by_generate "config.json'" "${change%%=*}"
    done
}

@test "huge and wrong numbers in config.json" {
    for change in hidden_size=9223372036854775807 num_hidden_layers=2147483647 vocab_size=-1 \
        num_experts=0 num_experts_per_tok=1000000 head_dim=31 hidden_size=64.0 \
        'hidden_size="64"' 'logit_scale=1e300' 'rms_norm_eps=0' sliding_window=0 \
        max_position_embeddings=1000000000000; do
        rm -rf "$M"
        make_model "config $change"
        refused_by_generate "config.json'" "${change%%=*}"
    done
}

@test "layer types that do not match" {
    make_model 'config layer_types=["full_attention"]'
    refused_by_model "config.json'" "'layer_types'" "1 entries for 2 layers"
    rm -rf "$M"
    make_model 'config layer_types=["full_attention", "linear_attention"]'
    refused_by_model "config.json'" "layer_types[1]" "'linear_attention'"
}

@test "config.json missing, empty, a folder, a link to nowhere, not JSON, not UTF-8, nested deep" {
    for what in gone empty folder link "{" "[]" '\xff\xfe{}' '{"model_type": "\xff"}'; do
        rm -rf "$M"
        make_model "bytes config.json=$what"
        refused_by_model "config.json"
    done
    rm -rf "$M"
    make_model
    python3 -c 'print("[" * 100000)' >"$M/config.json"
    refused_by_model "config.json'" "deeper than 256 levels"
    printf '{"a": %s}' "$(python3 -c 'print("[" * 256 + "]" * 256)')" >"$M/config.json"
    refused_by_model "config.json'" "deeper than 256 levels"
}

@test "a key that is there twice in config.json" {
    make_model
    sed -i 's/"logit_scale": 1.0,/"logit_scale": 1.0, "logit_scale": 0.0625,/' "$M/config.json"
    refused_by_model "config.json'" "duplicate" "logit_scale"
}

@test "a configuration that promises a quantization the tensors do not have" {
    make_model 'config quantization={"bits": 7, "group_size": 64}'
    run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS" --max-tokens 1 --greedy
    refused "config.json'" "7 bits"
    rm -rf "$M"
    make_model 'config quantization_config={"quant_method": "gptq"}'
    run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS" --max-tokens 1 --greedy
    refused "config.json'" "'gptq'" "use the bf16 checkpoint"
}

@test "quantizing what is quantized already" {
    make_model
    "$AUKLET" quantize "$M" "$OUT" -q
    run --separate-stderr "$AUKLET" quantize "$OUT" "$OUT.again"
    refused "quantized already" "bf16"
    [ ! -e "$OUT.again" ]
}

# ---- generation_config.json, tokenizer.json ----------------------------------------------------

@test "a generation_config.json that is not JSON" {
    make_model "bytes generation_config.json={"
    run --separate-stderr "$AUKLET" run "$M" hi
    refused "generation_config.json'" "not valid JSON"
}

tokenizer_is_refused() {
    make_model "tokenizer $1"
    run --separate-stderr "$AUKLET" run "$M" hi --max-tokens 1
    refused "$2" "$3"
}

@test "a tokenizer with an unsupported pre-tokenizer" {
    tokenizer_is_refused whitespace "tokenizer.json'" "pre_tokenizer"
}
@test "a tokenizer with another unsupported pre-tokenizer" {
    tokenizer_is_refused metaspace "tokenizer.json'" "pre_tokenizer"
}
@test "a tokenizer without a pre-tokenizer" {
    tokenizer_is_refused no-pre-tokenizer "tokenizer.json'" "pre_tokenizer"
}
@test "a tokenizer with an unsupported normalizer" {
    tokenizer_is_refused normalizer "tokenizer.json'" "normalizer"
}
@test "a tokenizer of another model" { tokenizer_is_refused wordpiece "tokenizer.json'" "BPE"; }
@test "a tokenizer with more ids than the embedding has rows" {
    tokenizer_is_refused more-ids "1576 ids" "1536 rows"
}
@test "no tokenizer" { tokenizer_is_refused none "tokenizer.json'" "No such file"; }

@test "tokenizer.json empty, a folder, not JSON, nested deep" {
    for what in empty folder "{" "[]" "null"; do
        rm -rf "$M"
        make_model "bytes tokenizer.json=$what"
        run --separate-stderr "$AUKLET" run "$M" hi --max-tokens 1
        refused "tokenizer.json'"
        run --separate-stderr "$AUKLET" tokenize "$M" <<<'{"text": "a"}'
        refused "tokenizer.json'"
    done
    python3 -c 'print("[" * 100000)' >"$BATS_TEST_TMPDIR/deep.json"
    run --separate-stderr "$AUKLET" tokenize "$BATS_TEST_TMPDIR/deep.json" <<<'{"text": "a"}'
    refused "deep.json'"
}

@test "a chat template that is not North's is said, and North's is used" {
    make_model 'bytes chat_template.jinja={{ messages }}'
    run --separate-stderr "$AUKLET" run "$M" hi --max-tokens 1
    [ "$status" -eq 0 ]
    has "$stderr" "has no chat_template.jinja of North's form"
}

# ---- prompts and ids ---------------------------------------------------------------------------

@test "a prompt longer than the context" {
    make_model
    run --separate-stderr "$AUKLET" run "$M" hello --ctx 20
    refused "the context 20" "raise --ctx (up to 4096) or shorten the prompt"
    python3 -c 'print("word " * 20000)' >"$BATS_TEST_TMPDIR/long"
    run --separate-stderr "$AUKLET" run "$M" <"$BATS_TEST_TMPDIR/long"
    refused "the context 4096" "shorten the prompt"
}

@test "a context beyond the model's" {
    make_model
    run --separate-stderr "$AUKLET" run "$M" hello --ctx 5000
    refused "5000" "4096"
    run --separate-stderr "$AUKLET" plan "$M" --ctx 5000
    refused "5000" "4096"
}

@test "a prompt that is not UTF-8, or empty" {
    make_model
    run --separate-stderr "$AUKLET" run "$M" $'caf\xe9'
    refused "not UTF-8"
    printf 'caf\xe9' >"$BATS_TEST_TMPDIR/latin1"
    run --separate-stderr "$AUKLET" run "$M" <"$BATS_TEST_TMPDIR/latin1"
    refused "not UTF-8"
    run --separate-stderr "$AUKLET" run "$M" hi --system $'\xff'
    refused "not UTF-8"
    run --separate-stderr "$AUKLET" run "$M" </dev/null
    refused "standard input is empty"
}

@test "ids that are none" {
    make_model
    for text in '[]' '{}' '3' '[1.5]' '["2"]' '[-1]' '[4294967296]' '[2, null]' '' '[2' '[1536]'; do
        printf '%s' "$text" >"$IDS"
        run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS" --max-tokens 1 --greedy
        refused
        run --separate-stderr "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT.npy"
        refused
        [ ! -e "$OUT.npy" ] && [ ! -e "$OUT.npy.tmp" ]
    done
    run --separate-stderr "$AUKLET" generate "$M" --ids "$BATS_TEST_TMPDIR" --max-tokens 1 --greedy
    refused "'$BATS_TEST_TMPDIR'"
    run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS.gone" --max-tokens 1 --greedy
    refused "'$IDS.gone'"
}

@test "more ids than the context" {
    make_model
    python3 -c 'print([2] * 5000)' >"$IDS"
    run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS" --max-tokens 1 --greedy
    refused "5001" "4096"
    run --separate-stderr "$AUKLET" logits "$M" --ids "$IDS" -o "$OUT.npy"
    refused "5000" "4096"
    [ ! -e "$OUT.npy" ]
    python3 -c 'print([2] * 4096)' >"$IDS"
    run --separate-stderr "$AUKLET" generate "$M" --ids "$IDS" --max-tokens 2147483647 --greedy
    refused
}

@test "lines of the text stages that are not what they want" {
    make_model
    for line in '{' '[]' '{}' '{"text": 3}' '{"text": "a"} {}' "$(printf '{"text": "\xff"}')"; do
        run --separate-stderr "$AUKLET" tokenize "$M" <<<"$line"
        refused "line 1"
    done
    for line in '{}' '{"ids": 3}' '{"ids": ["a"]}' '{"ids": [-1]}' '{"ids": [99999999999]}'; do
        run --separate-stderr "$AUKLET" detokenize "$M" <<<"$line"
        refused "line 1"
    done
    for line in '{}' '{"text": 3}' '{"chunks": [1]}' '{"chunks": {}}'; do
        run --separate-stderr "$AUKLET" parse "$M" <<<"$line"
        refused "line 1"
    done
    for line in '{}' '{"messages": 1}' '{"messages": [{"role": "king", "content": ""}]}'; do
        run --separate-stderr "$AUKLET" render "$M" <<<"$line"
        refused "line 1"
    done
}

@test "the number of the line that is wrong is said" {
    make_model
    run --separate-stderr "$AUKLET" tokenize "$M" < <(printf '{"text": "a"}\n\n{"text": "b"}\n{"text": 1}\n')
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 2 ]
    has "$stderr" "line 4"
}

# ---- where there is no model -------------------------------------------------------------------

@test "a model that is not there, a file, an empty folder" {
    mkdir "$BATS_TEST_TMPDIR/empty"
    for m in "$BATS_TEST_TMPDIR/absent" "$BATS_TEST_TMPDIR/empty" "$IDS"; do
        M=$m
        refused_by_all "$m"
        run --separate-stderr "$AUKLET" run "$M" hi
        refused "$m"
        run --separate-stderr "$AUKLET" plan "$M"
        refused "$m"
        run --separate-stderr "$AUKLET" compare "$M" "$M" --ids "$IDS"
        refused "$m"
    done
}

@test "a model that may not be read" {
    [ "$(id -u)" -ne 0 ] || skip "root may read everything"
    make_model
    chmod 000 "$M/model.safetensors"
    refused_by_all "model.safetensors'" "Permission denied"
    chmod 644 "$M/model.safetensors"
    chmod 000 "$M"
    refused_by_all "'$M" "Permission denied"
    chmod 755 "$M"
}
