"""Calibration tokens of the miniature's own kind: rows the training loop would draw from other batch numbers.

usage: python calibration.py OUT.jsonl [--batches 60]

Training instances only (never a held-out key, file or task), as JSON lines of {"ids": [...]} for
`auklet quantize --calib`. Batch numbers begin where no training run ended.
"""
import argparse
import json

from render import Renderer
from rows import Rows
from train import SEED

FIRST = 10_000_000


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("out")
    ap.add_argument("--batches", type=int, default=60)
    args = ap.parse_args()
    renderer = Renderer()
    rows, lines, tokens = Rows(renderer, SEED), [], 0
    for number in range(FIRST, FIRST + args.batches):
        _, ids, weights = rows.batch(number)
        for row, w in zip(ids, weights):
            n = max(i for i, t in enumerate(row) if t != renderer.pad) + 1
            lines.append(json.dumps({"ids": row[:n].tolist()}))
            tokens += n
    with open(args.out, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    print(f"{len(lines)} sequences, {tokens} tokens -> {args.out}")


if __name__ == "__main__":
    main()
