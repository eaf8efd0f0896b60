#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a very small model folder that loads, or one that is damaged in the ways named.

usage: model.py DIR [CHANGE]...

    config KEY=JSON, -KEY     a key of config.json set or taken away
    tensor NAME=WHAT          WHAT: -, nan, inf, -inf, shape [..], dtype X, or a copy under it: +OTHER
    header WHAT               of model.safetensors, as text: see HEADERS below
    bytes FILE=WHAT           of a finished file: cut N, empty, gone, folder, link, append N, TEXT
    shards                    two shards and an index
    index NAME=FILE           an entry of the index (after shards); NAME=- takes it away
    tokenizer WHAT            of tokenizer.json: see TOKENIZERS below; none: no such file

Each CHANGE is one argument; later ones see what earlier ones did.  Needs Python 3 alone.
"""
import json
import os
import random
import shutil
import struct
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
VOCAB, HIDDEN, LAYERS, EXPERTS = 1536, 64, 2, 4

CONFIG = {
    "architectures": ["Cohere2MoeForCausalLM"], "attention_bias": False, "bos_token_id": 2,
    "eos_token_id": 3, "expert_selection_fn": "sigmoid", "first_k_dense_replace": 1,
    "head_dim": 32, "hidden_act": "silu", "hidden_size": HIDDEN, "intermediate_size": 64,
    "layer_types": ["full_attention", "sliding_attention"], "logit_scale": 1.0,
    "max_position_embeddings": 4096, "model_type": "cohere2_moe", "norm_topk_prob": False,
    "num_attention_heads": 2, "num_experts": EXPERTS, "num_experts_per_tok": 2,
    "num_hidden_layers": LAYERS, "num_key_value_heads": 1, "num_shared_experts": 0,
    "pad_token_id": 0, "prefix_dense_intermediate_size": 64, "rms_norm_eps": 1e-06,
    "rope_theta": 50000, "sliding_window": 16, "tie_word_embeddings": True,
    "use_parallel_block": True, "use_qk_norm": False, "vocab_size": VOCAB,
}


def shapes():
    yield "model.embed_tokens.weight", [VOCAB, HIDDEN]
    for i in range(LAYERS):
        p = "model.layers.%d." % i
        yield p + "input_layernorm.weight", [HIDDEN]
        for name, rows in (("q", 64), ("k", 32), ("v", 32), ("o", 64)):
            yield p + "self_attn.%s_proj.weight" % name, [rows, 64]
        if i == 0:
            for name in ("gate", "up", "down"):
                yield p + "mlp.%s_proj.weight" % name, [64, 64]
        else:
            yield p + "mlp.gate.weight", [EXPERTS, HIDDEN]
            for e in range(EXPERTS):
                for name in ("gate", "up", "down"):
                    yield p + "mlp.experts.%d.%s_proj.weight" % (e, name), [64, 64]
    yield "model.norm.weight", [HIDDEN]


# the upper byte of a bf16: either sign, one of four small exponents
SMALL = bytes((b & 0x81) | 0x3C for b in range(256))


def weights(rng, shape):
    n = 1
    for d in shape:
        n *= d
    data = bytearray(rng.randbytes(2 * n))
    data[1::2] = data[1::2].translate(SMALL)
    return bytes(data)


SPECIAL = {"nan": 0x7FC0, "inf": 0x7F80, "-inf": 0xFF80}


def change_tensor(tensors, text):
    name, what = text.split("=", 1)
    dtype, shape, data = tensors[name]
    if what == "-":
        del tensors[name]
    elif what in SPECIAL:
        at = len(data) // 4 * 2 + 10
        tensors[name] = (dtype, shape, data[:at] + struct.pack("<H", SPECIAL[what]) + data[at + 2:])
    elif what.startswith("shape "):
        tensors[name] = (dtype, json.loads(what[6:]), data)
    elif what.startswith("dtype "):
        tensors[name] = (what[6:], shape, data)
    elif what.startswith("+"):
        tensors[what[1:]] = (dtype, shape, data)
    else:
        sys.exit("unknown change of a tensor: " + what)


def entries(tensors):
    at = 0
    for name, (dtype, shape, data) in tensors.items():
        yield name, {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)


def set_first(head, key, value):
    first = next(iter(head))
    head[first] = {**head[first], key: value}
    return json.dumps(head)


def overlap(head):
    names = list(head)
    a, b = head[names[-2]], head[names[-1]]
    n = b["data_offsets"][1] - b["data_offsets"][0]
    b["data_offsets"] = [a["data_offsets"][0], a["data_offsets"][0] + n]
    return json.dumps(head)


def hole(head):
    last = head[list(head)[-1]]
    last["data_offsets"] = [x + 64 for x in last["data_offsets"]]
    return json.dumps(head)


HEADERS = {
    "overlap": overlap,
    "hole": hole,
    "negative-shape": lambda h: set_first(h, "shape", [-VOCAB, -HIDDEN]),
    "negative-offset": lambda h: set_first(h, "data_offsets", [-8, 0]),
    "overflow": lambda h: set_first(h, "shape", [2 ** 62, 2 ** 62]),
    "overflow-64": lambda h: set_first(h, "shape", [10 ** 30]),
    "offset-huge": lambda h: set_first(h, "data_offsets", [0, 2 ** 63 - 1]),
    "dtype": lambda h: set_first(h, "dtype", "Q9"),
    "rank": lambda h: set_first(h, "shape", [1] * 9),
    "no-offsets": lambda h: json.dumps({**h, "x": {"dtype": "U8", "shape": [0]}}),
    "duplicate": lambda h: json.dumps(h)[:-1] + ", " + json.dumps({"model.norm.weight": h["model.norm.weight"]})[1:],
    "not-json": lambda h: json.dumps(h)[:-2],
    "array": lambda h: "[]",
    "deep": lambda h: "[" * 100000,
    "metadata": lambda h: json.dumps({"__metadata__": {"format": 1}, **h}),
}


def write_file(path, head, tensors):
    head = head.encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head)
        for _, _, data in tensors.values():
            f.write(data)


def write_shards(folder, tensors, index):
    names = list(tensors)
    halves = names[:len(names) // 2], names[len(names) // 2:]
    where = {}
    for i, half in enumerate(halves):
        file = "model-%05d-of-00002.safetensors" % (i + 1)
        part = {n: tensors[n] for n in half}
        write_file(os.path.join(folder, file), json.dumps(dict(entries(part))), part)
        where.update(dict.fromkeys(half, file))
    for name, file in index:
        where.pop(name, None)
        if file != "-":
            where[name] = file
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {}, "weight_map": where}, f)


def pre_tokenizer(t, value):
    t["pre_tokenizer"] = value


def more_ids(t):
    for i in range(40):
        t["added_tokens"].append({"id": VOCAB + i, "content": "<|EXTRA_%d|>" % i, "single_word": False, "lstrip": False,
                                  "rstrip": False, "normalized": False, "special": True})


TOKENIZERS = {
    "whitespace": lambda t: pre_tokenizer(t, {"type": "Whitespace"}),
    "metaspace": lambda t: pre_tokenizer(t, {"type": "Metaspace", "replacement": "_", "add_prefix_space": True}),
    "no-pre-tokenizer": lambda t: pre_tokenizer(t, None),
    "normalizer": lambda t: t.update(normalizer={"type": "Lowercase"}),
    "wordpiece": lambda t: t["model"].update(type="WordPiece"),
    "more-ids": more_ids,
}


def change_bytes(folder, text):
    name, what = text.split("=", 1)
    path = os.path.join(folder, name)
    if what in ("gone", "folder", "link"):
        if os.path.exists(path):
            os.remove(path)
        if what == "folder":
            os.mkdir(path)
        elif what == "link":
            os.symlink("nowhere", path)
        return
    data = b""
    if os.path.exists(path):
        with open(path, "rb") as f:
            data = f.read()
    if what.startswith("cut "):
        data = data[:-int(what[4:])]
    elif what.startswith("append "):
        data += bytes(int(what[7:]))
    elif what == "empty":
        data = b""
    else:
        data = what.encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1")
    with open(path, "wb") as f:
        f.write(data)


def main(folder, changes):
    rng = random.Random(1)
    config = dict(CONFIG)
    tensors = {name: ("BF16", shape, weights(rng, shape)) for name, shape in shapes()}
    edit_header, edit_tokenizer, after, index, shards, tokenizer = None, None, [], [], False, True
    for change in changes:
        kind, _, what = change.partition(" ")
        if kind == "config" and what.startswith("-"):
            del config[what[1:]]
        elif kind == "config":
            key, value = what.split("=", 1)
            config[key] = json.loads(value)
        elif kind == "tensor":
            change_tensor(tensors, what)
        elif kind == "header":
            edit_header = HEADERS[what]
        elif kind == "bytes":
            after.append(what)
        elif kind == "shards":
            shards = True
        elif kind == "index":
            index.append(what.split("=", 1))
        elif kind == "tokenizer" and what == "none":
            tokenizer = False
        elif kind == "tokenizer":
            edit_tokenizer = TOKENIZERS[what]
        else:
            sys.exit("unknown change: " + change)
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=2)
    if shards:
        write_shards(folder, tensors, index)
    else:
        head = dict(entries(tensors))
        write_file(os.path.join(folder, "model.safetensors"), edit_header(head) if edit_header else json.dumps(head), tensors)
    shutil.copy(os.path.join(ROOT, "data/miniature/chat_template.jinja"), folder)
    if tokenizer and edit_tokenizer is None:
        shutil.copy(os.path.join(ROOT, "data/miniature/tokenizer.json"), folder)
    elif tokenizer:
        with open(os.path.join(ROOT, "data/miniature/tokenizer.json"), encoding="utf-8") as f:
            t = json.load(f)
        edit_tokenizer(t)
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            json.dump(t, f)
    for change in after:
        change_bytes(folder, change)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
