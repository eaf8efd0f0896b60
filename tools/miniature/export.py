"""Writes a checkpoint of train.py as a bf16 folder in the released layout.

usage: python export.py WORK_FOLDER [OUT_FOLDER]

No lm_head tensor (the head is tied). Files are written under a temporary name and renamed.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file

from render import MODEL


def tensors(state, config):
    """Released tensor names from the training model's state."""
    out, width = {}, config["intermediate_size"]
    for name, t in state.items():
        if name in ("embed_tokens", "norm"):
            out[f"model.{name}.weight"] = t
        elif name.endswith("input_layernorm"):
            out[f"model.{name}.weight"] = t
        elif name.endswith("mlp.w13"):
            base = "model." + name[:-len("w13")]
            for e in range(t.shape[0]):
                out[f"{base}experts.{e}.gate_proj.weight"] = t[e, :width]
                out[f"{base}experts.{e}.up_proj.weight"] = t[e, width:]
        elif name.endswith("mlp.w2"):
            base = "model." + name[:-len("w2")]
            for e in range(t.shape[0]):
                out[f"{base}experts.{e}.down_proj.weight"] = t[e]
        else:
            out["model." + name] = t
    return {n: t.to(torch.bfloat16).contiguous() for n, t in out.items()}


def write_json(path, value):
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2)
        f.write("\n")
    os.replace(path + ".tmp", path)


def export(state, config, folder):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.safetensors")
    save_file(tensors(state, config), path + ".tmp", metadata={"format": "pt"})
    os.chmod(path + ".tmp", 0o644)
    os.replace(path + ".tmp", path)
    write_json(os.path.join(folder, "config.json"), config)
    generation = {k: config[k] for k in ("bos_token_id", "eos_token_id", "pad_token_id", "transformers_version")}
    write_json(os.path.join(folder, "generation_config.json"), {"_from_model_config": True, **generation})


def main():
    ck = torch.load(os.path.join(sys.argv[1], "checkpoint.pt"))
    folder = sys.argv[2] if len(sys.argv) > 2 else MODEL
    export(ck["model"], ck["config"], folder)
    print(f"step {ck['step']}, {ck['seconds']:.0f} s of training ->", folder)


if __name__ == "__main__":
    main()
