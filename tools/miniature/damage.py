"""How much rounding hurts: affine round-to-nearest in groups of 64 at several widths, applied to every matrix
except routers, then held-out perplexity and the pass rate of the code tasks.

usage: python damage.py [MODEL_FOLDER] [--bits 8,6,4,3,2] [--limit N] [-o RESULTS.json]
"""
import argparse
import json

import torch

from evaluate import measure_code, measure_text
from generate import Writer
from reference import training_model
from render import MODEL, Renderer


def rounded(w, bits, group=64):
    """Scale and offset per group along the input dimension, both kept in float32."""
    g = w.reshape(-1, group)
    low, high = g.amin(1, keepdim=True), g.amax(1, keepdim=True)
    scale = ((high - low) / (2 ** bits - 1)).clamp_min(1e-10)
    return (((g - low) / scale).round() * scale + low).reshape(w.shape)


@torch.no_grad()
def quantize(model, bits):
    for name, p in model.named_parameters():
        if p.dim() >= 2 and not name.endswith("mlp.gate.weight"):
            p.copy_(rounded(p, bits))
    return model


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("folder", nargs="?", default=MODEL)
    ap.add_argument("--bits", default="8,6,4,3,2")
    ap.add_argument("--limit", type=int, default=200)
    ap.add_argument("-o", default=None)
    args = ap.parse_args()
    torch.set_num_threads(1)
    renderer, results = Renderer(), {}
    for bits in [16] + [int(b) for b in args.bits.split(",")]:
        model = training_model(args.folder)
        if bits < 16:
            quantize(model, bits)
        code = measure_code(Writer(model, renderer), args.limit, forms=(0,))["stub in a fence"]
        code.pop("failures")
        results[bits] = {"text": measure_text(model, renderer), "code": code}
        print(bits, json.dumps(results[bits]), flush=True)
        if args.o:
            with open(args.o, "w") as f:
                json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
