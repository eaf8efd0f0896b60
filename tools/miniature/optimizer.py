"""Muon for the weight matrices (momentum, orthogonalised by Newton-Schulz), AdamW for the rest."""
import math

import torch

MATRIX_RATE, OTHER_RATE, MATRIX_DECAY = 0.02, 0.003, 0.02


def orthogonalize(g, steps=5):
    """g: [count, rows, columns] with rows <= columns; all singular values move towards 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    x = x / (x.flatten(1).float().norm(dim=1).bfloat16()[:, None, None] + 1e-7)
    for _ in range(steps):
        s = torch.bmm(x, x.transpose(1, 2))
        x = a * x + torch.bmm(b * s + c * torch.bmm(s, s), x)
    return x.float()


class Optimizer:
    def __init__(self, model):
        self.groups, self.others, self.step_count = {}, [], 0
        for name, p in model.named_parameters():
            if p.dim() < 2 or name == "embed_tokens" or name.endswith("mlp.gate.weight"):
                self.others.append(p)
            else:
                parts = 2 if name.endswith("w13") else 1         # gate and up are separate matrices
                shape = (p.shape[-2] // parts, p.shape[-1])
                self.groups.setdefault(shape, []).append(p)
        self.momentum = {s: [torch.zeros_like(p) for p in ps] for s, ps in self.groups.items()}
        self.first = [torch.zeros_like(p) for p in self.others]
        self.second = [torch.zeros_like(p) for p in self.others]

    def state_dict(self):
        return {"momentum": self.momentum, "first": self.first, "second": self.second, "step": self.step_count}

    def load_state_dict(self, d):
        self.momentum, self.first, self.second, self.step_count = d["momentum"], d["first"], d["second"], d["step"]

    @torch.no_grad()
    def step(self, rate):
        self.step_count += 1
        for shape, params in self.groups.items():
            self.matrices(shape, params, rate)
        self.adam(rate)

    def matrices(self, shape, params, rate):
        grads = []
        for p, m in zip(params, self.momentum[shape]):
            m.lerp_(p.grad, 0.05)
            grads.append(torch.lerp(p.grad, m, 0.95).reshape(-1, *shape))
            p.grad = None
        g = torch.cat(grads)
        tall = shape[0] > shape[1]
        u = orthogonalize(g.transpose(1, 2) if tall else g)
        u = (u.transpose(1, 2) if tall else u) * math.sqrt(max(1.0, shape[0] / shape[1]))
        at, lr = 0, MATRIX_RATE * rate
        for p, part in zip(params, grads):
            n = part.shape[0]
            p.mul_(1 - lr * MATRIX_DECAY).add_(u[at:at + n].reshape(p.shape), alpha=-lr)
            at += n

    def adam(self, rate, b1=0.9, b2=0.95):
        c1, c2 = 1 - b1 ** self.step_count, 1 - b2 ** self.step_count
        for p, m, v in zip(self.others, self.first, self.second):
            m.lerp_(p.grad, 1 - b1)
            v.lerp_(p.grad.square(), 1 - b2)
            p.addcdiv_(m / c1, (v / c2).sqrt() + 1e-8, value=-OTHER_RATE * rate)
            p.grad = None
