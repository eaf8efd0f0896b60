"""The textbook GPTQ in float64 with numpy and LAPACK, on what bench_gptq left in FOLDER: time and held-out error.

usage: OPENBLAS_NUM_THREADS=1 python bench/gptq_numpy.py FOLDER

As arXiv 2210.17323 and the reference code have it: damping of 1 % of the mean diagonal, upper Cholesky factor of the
inverse, blocks of 64 columns, min/max grids of the compensated columns rounded to bfloat16. Hessian included.
"""
import sys
import time

import numpy as np

BITS, GROUP = 4, 64


def bf16(x):
    u = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(np.float64)


def grid(w):
    top = 2 ** BITS - 1
    lo, hi = w.min(1), np.maximum(w.max(1), 0)
    s = np.maximum((hi - lo) / top, 1e-7)
    side = np.abs(lo) > np.abs(hi)
    s = np.where(side, s, -s)
    edge = np.where(side, lo, hi)
    q0 = np.rint(edge / s)
    return bf16(np.where(q0 != 0, edge / np.where(q0 == 0, 1, q0), s)), bf16(np.where(q0 != 0, edge, 0))


def gptq(w, x):
    h = x.T @ x
    n = len(h)
    h[np.diag_indices(n)] += 0.01 * np.mean(np.diag(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    w, out = w.copy(), np.empty_like(w)
    for a in range(0, n, GROUP):
        s, b = grid(w[:, a:a + GROUP])
        block, errors = w[:, a:a + GROUP], np.empty((len(w), GROUP))
        for k in range(GROUP):
            q = np.clip(np.rint((block[:, k] - b) / s), 0, 2 ** BITS - 1)
            out[:, a + k] = s * q + b
            errors[:, k] = (block[:, k] - out[:, a + k]) / u[a + k, a + k]
            block[:, k:] -= np.outer(errors[:, k], u[a + k, a + k:a + GROUP])
        w[:, a + GROUP:] -= errors @ u[a:a + GROUP, a + GROUP:]
    return out


def main():
    w, x, held = (np.load(f"{sys.argv[1]}/{n}.npy").astype(np.float64) for n in ("w", "x", "held"))
    for name, parts in (("gate and up as one matrix", 1), ("each as a layer of its own", 2)):
        began, cpu = time.perf_counter(), time.process_time()
        q = np.concatenate([gptq(p, x) for p in np.split(w, parts)])
        print(f"textbook float64, {name}: {time.perf_counter() - began:.2f} s wall, "
              f"{time.process_time() - cpu:.2f} s of processor, held-out error {np.sum(((w - q) @ held.T) ** 2):.6g}")


if __name__ == "__main__":
    main()
