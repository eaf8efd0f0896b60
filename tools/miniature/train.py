"""Trains the miniature model on a CPU. Stops after a time budget; a stopped run goes on from its checkpoint.

usage: python train.py WORK_FOLDER [--size miniature|bed] [--minutes 75] [--threads 1]

WORK_FOLDER gets checkpoint.pt (weights, optimizer, step, seconds) and log.jsonl. The learning rate follows the
share of the time budget that is used, so a slower machine sees fewer batches but the same schedule.
"""
import argparse
import json
import os
import time

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")

import torch
import torch.nn.functional as F

from model import SIZES, Miniature, make_config
from optimizer import Optimizer
from render import Renderer
from rows import LOSS_SCALE, Rows

SEED = 20261
BALANCE = 0.002


def special_ids(renderer):
    return {t: renderer.id(t) for t in ("<BOS_TOKEN>", "<PAD>", "<|END_OF_TURN_TOKEN|>")}


def schedule(step, share):
    warm = min(1.0, (step + 1) / 80)
    return warm * max(0.01, min(1.0, (1.0 - share) / 0.75))


def balance_loss(stats, experts):
    """Mild pressure against dead experts; small enough that natural differences stay."""
    total = 0.0
    for logits, counts in stats:
        used = counts.float() / counts.sum()
        total = total + experts * (used * torch.softmax(logits, -1).mean(0)).sum()
    return total / len(stats)


def batch_loss(model, ids, weights):
    stats = []
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(ids[:, :-1], stats=stats)
    ce = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    w = weights[:, 1:].flatten()
    task = (ce * w).sum() / w.sum()
    said = w == w.max()
    return task, balance_loss(stats, model.cfg["num_experts"]), ce[said].mean().item(), stats


def save(path, model, opt, step, seconds):
    state = {"model": model.state_dict(), "opt": opt.state_dict(), "step": step, "seconds": seconds, "config": model.cfg}
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("work")
    ap.add_argument("--size", choices=SIZES, default="miniature")
    ap.add_argument("--minutes", type=float, default=75)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--save-every", type=float, default=240)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    os.makedirs(args.work, exist_ok=True)
    renderer = Renderer()
    rows = Rows(renderer, SEED)
    model = Miniature(make_config(renderer.tok.get_vocab_size(), special_ids(renderer), args.size))
    model.init_weights(SEED)
    opt = Optimizer(model)
    step, seconds, path = 0, 0.0, os.path.join(args.work, "checkpoint.pt")
    if os.path.exists(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        opt.load_state_dict(state["opt"])
        step, seconds = state["step"], state["seconds"]
    budget, begun, seconds0, saved = args.minutes * 60, time.time(), seconds, time.time()
    log, seen = open(os.path.join(args.work, "log.jsonl"), "a"), {}
    tokens = 0
    while seconds < budget:
        kind, ids, weights = rows.batch(step)
        task, balance, said, stats = batch_loss(model, torch.from_numpy(ids), torch.from_numpy(weights))
        (task * LOSS_SCALE.get(kind, 1.0) + BALANCE * balance).backward()
        rate = schedule(step, seconds / budget)
        opt.step(rate)
        step, tokens = step + 1, tokens + ids[:, 1:].size
        seconds = seconds0 + time.time() - begun
        seen.setdefault(kind, []).append(said)
        if step % 50 == 0:
            use = [[round(c, 4) for c in sorted((n.float() / n.sum()).tolist())] for _, n in stats]
            line = {"step": step, "seconds": round(seconds), "rate": round(rate, 4), "balance": round(balance.item(), 3),
                    "tokens_per_s": round(tokens / (time.time() - begun)),
                    "loss": {k: round(sum(v) / len(v), 4) for k, v in sorted(seen.items())},
                    "least": [u[0] for u in use], "most": [u[-1] for u in use]}
            log.write(json.dumps(line) + "\n")
            log.flush()
            seen = {}
        if time.time() - saved > args.save_every:
            save(path, model, opt, step, seconds)
            saved = time.time()
    save(path, model, opt, step, seconds)


if __name__ == "__main__":
    main()
