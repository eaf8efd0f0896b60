#!/usr/bin/env python3
"""Writes a made-up bf16 checkpoint with the tensor shapes of North-Mini-Code-1.0, for benchmarks.

usage: make_checkpoint.py OUT_FOLDER --layers N [--seed S] [--experts 128] [--vocab 262144]
                          [--files FOLDER] [--shard-bytes 1250000000]

N layers: the first dense, the others with 128 experts; about 1.1 GB for the embedding and 1.25 GB
per sparse layer.  Layout, names, dtypes and config.json are those of the released model (one tensor
per expert), the values Gaussian with standard deviation 0.02: each tensor is a stretch of one block
of random numbers, begun elsewhere, so that writing is as fast as the disk.  --files copies what
else a folder needs (tokenizer.json, tokenizer_config.json ...) from another model folder.
needs: numpy
"""
import argparse
import json
import os
import shutil

import numpy as np

HIDDEN, HEADS, KV, HEAD_DIM, DENSE, EXPERT = 2048, 32, 4, 128, 3072, 768
BLOCK = 1 << 25  # random numbers made


def config(args):
    return {
        "architectures": ["Cohere2MoeForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 2, "dtype": "bfloat16", "eos_token_id": 255001,
        "expert_selection_fn": "sigmoid", "first_k_dense_replace": 1, "head_dim": HEAD_DIM,
        "hidden_act": "silu", "hidden_size": HIDDEN, "initializer_range": 0.02,
        "intermediate_size": EXPERT, "layer_norm_eps": 1e-05,
        "layer_types": ["full_attention" if i % 4 == 0 else "sliding_attention"
                        for i in range(args.layers)],
        "logit_scale": 1.0, "max_position_embeddings": 500000, "model_type": "cohere2_moe",
        "norm_topk_prob": False, "num_attention_heads": HEADS, "num_experts": args.experts,
        "num_experts_per_tok": 8, "num_hidden_layers": args.layers, "num_key_value_heads": KV,
        "num_shared_experts": 0, "pad_token_id": 0, "position_embedding_type": "rope_gptj",
        "prefix_dense_intermediate_size": DENSE, "prefix_dense_sliding_window_pattern": 1,
        "rms_norm_eps": 1e-06, "rope_theta": 50000, "rotary_pct": 1.0,
        "shared_expert_combination_strategy": "average", "sliding_window": 4096,
        "sliding_window_pattern": 4, "tie_word_embeddings": True, "transformers_version": "5.8.0",
        "use_cache": True, "use_parallel_block": True, "use_qk_norm": False,
        "vocab_size": args.vocab,
    }


def tensors(args):
    """(name, shape) in an order that keeps a layer together."""
    yield "model.embed_tokens.weight", (args.vocab, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)
    for i in range(args.layers):
        p = "model.layers.%d." % i
        yield p + "input_layernorm.weight", (HIDDEN,)
        yield p + "self_attn.q_proj.weight", (HEADS * HEAD_DIM, HIDDEN)
        yield p + "self_attn.k_proj.weight", (KV * HEAD_DIM, HIDDEN)
        yield p + "self_attn.v_proj.weight", (KV * HEAD_DIM, HIDDEN)
        yield p + "self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD_DIM)
        if i == 0:
            yield p + "mlp.gate_proj.weight", (DENSE, HIDDEN)
            yield p + "mlp.up_proj.weight", (DENSE, HIDDEN)
            yield p + "mlp.down_proj.weight", (HIDDEN, DENSE)
            continue
        yield p + "mlp.gate.weight", (args.experts, HIDDEN)
        for e in range(args.experts):
            x = p + "mlp.experts.%d." % e
            yield x + "gate_proj.weight", (EXPERT, HIDDEN)
            yield x + "up_proj.weight", (EXPERT, HIDDEN)
            yield x + "down_proj.weight", (HIDDEN, EXPERT)


def shards_of(args):
    groups, size = [[]], 0
    for name, shape in tensors(args):
        n = 2 * int(np.prod(shape, dtype=np.int64))
        if groups[-1] and size + n > args.shard_bytes:
            groups.append([])
            size = 0
        groups[-1].append((name, shape, n))
        size += n
    return groups


def random_block(seed):
    x = np.random.default_rng(seed).standard_normal(BLOCK, dtype=np.float32) * np.float32(0.02)
    u = x.view(np.uint32)
    bf16 = ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)
    return memoryview(np.concatenate([bf16, bf16]).tobytes())


def write_tensor(f, block, start, n):
    """n bytes of the block, from `start` on and around."""
    while n > 0:
        k = min(n, 2 * BLOCK)
        f.write(block[start:start + k])
        n -= k


def write_shard(path, group, block, rng):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, n in group:
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + n]}
        at += n
    h = json.dumps(header, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    with open(path, "wb") as f:
        f.write(len(h).to_bytes(8, "little") + h)
        for _, _, n in group:
            write_tensor(f, block, 2 * int(rng.integers(0, BLOCK)), n)


def dump(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--experts", type=int, default=128)
    parser.add_argument("--vocab", type=int, default=262144)
    parser.add_argument("--files")
    parser.add_argument("--shard-bytes", type=int, default=1250000000)
    args = parser.parse_args()
    os.makedirs(args.out)
    groups, index, total = shards_of(args), {}, 0
    block, rng = random_block(args.seed), np.random.default_rng(args.seed + 1)
    for i, group in enumerate(groups):
        name = "model-%05d-of-%05d.safetensors" % (i + 1, len(groups))
        write_shard(os.path.join(args.out, name), group, block, rng)
        index.update({t: name for t, _, _ in group})
        total += sum(n for _, _, n in group)
    dump(os.path.join(args.out, "model.safetensors.index.json"),
         {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))})
    dump(os.path.join(args.out, "config.json"), config(args))
    dump(os.path.join(args.out, "generation_config.json"), {"bos_token_id": 2, "eos_token_id": 255001})
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if args.files and os.path.exists(os.path.join(args.files, name)):
            shutil.copy(os.path.join(args.files, name), args.out)
    print("%s: %.2f GB, %d tensors, %d shards" % (args.out, total / 1e9, len(index), len(groups)))


if __name__ == "__main__":
    main()
