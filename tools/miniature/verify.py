"""Compares the training code with transformers' Cohere2MoeForCausalLM on one exported folder.

usage: python verify.py [FOLDER]
"""
import sys

import torch

from reference import load_config, training_model, transformers_model
from render import MODEL


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else MODEL
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    config = load_config(folder)
    ours, theirs = training_model(folder), transformers_model(folder)
    gen = torch.Generator().manual_seed(5)
    for length in (1, 37, 128, 300, 512, 700, 1024):
        ids = torch.randint(5, config["vocab_size"], (1, length), generator=gen)
        ids[0, 0] = config["bos_token_id"]
        a, b = ours(ids)[0], theirs(input_ids=ids, use_cache=False).logits[0]
        diff, agree = (a - b).abs().max(), (a.argmax(-1) == b.argmax(-1)).float().mean()
        print(f"length {length}: largest difference {diff:.2e} of {b.abs().max():.2f}, same top token {agree:.4f}")
        assert diff < 2e-4 * max(1, b.abs().max()), "the training code does not compute the same model"


if __name__ == "__main__":
    main()
