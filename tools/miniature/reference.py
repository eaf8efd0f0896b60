"""The exported model in transformers' own class, and back in the training code."""
import json
import os

import torch
from safetensors.torch import load_file

from model import Miniature
from render import MODEL


def load_config(folder=MODEL):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        return json.load(f)


def transformers_model(folder=MODEL):
    """Cohere2MoeForCausalLM in float32, eager attention, eager experts."""
    from transformers import Cohere2MoeForCausalLM
    model, info = Cohere2MoeForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    model.set_attn_implementation("eager")
    model.set_experts_implementation("eager")
    return model.eval()


def training_model(folder=MODEL):
    """The same weights in model.Miniature, float32."""
    config, state = load_config(folder), {}
    raw = {n[len("model."):]: t.float() for n, t in load_file(os.path.join(folder, "model.safetensors")).items()}
    experts = range(config["num_experts"])
    for n, t in raw.items():
        if ".experts." not in n:
            short = n in ("embed_tokens.weight", "norm.weight") or n.endswith("input_layernorm.weight")
            state[n[:-len(".weight")] if short else n] = t
    for i in range(config["first_k_dense_replace"], config["num_hidden_layers"]):
        base = f"layers.{i}.mlp."
        get = lambda e, k: raw[f"{base}experts.{e}.{k}_proj.weight"]
        state[base + "w13"] = torch.stack([torch.cat((get(e, "gate"), get(e, "up"))) for e in experts])
        state[base + "w2"] = torch.stack([get(e, "down") for e in experts])
    model = Miniature(config)
    model.load_state_dict(state)
    return model.eval()
