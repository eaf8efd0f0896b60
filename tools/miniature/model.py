"""The cohere2_moe architecture in plain PyTorch, written for fast training on a CPU.

Same arithmetic as transformers' Cohere2MoeForCausalLM in float32 (verify.py checks the logits): parallel
block, RMSNorm, interleaved RoPE on layer 0 and on sliding layers, no positions on the other full layers,
dense layer 0, sigmoid router without renormalisation, tied head.
"""
import functools
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


PAD = 64        # group sizes are rounded up to this: fewer distinct matrix shapes, so fewer kernels to build


class Gather(torch.autograd.Function):
    """Rows of x in expert order; the gradient is a gather too, because `places` undoes the sort."""

    @staticmethod
    def forward(ctx, x, rows, places, k):
        ctx.save_for_backward(places)
        ctx.k = k
        return x.index_select(0, rows)

    @staticmethod
    def backward(ctx, grad):
        (places,) = ctx.saved_tensors
        g = grad.index_select(0, places)
        return g.view(-1, ctx.k, g.shape[-1]).sum(1), None, None, None


class Ungather(torch.autograd.Function):
    """Back from expert order to token order."""

    @staticmethod
    def forward(ctx, y, places):
        ctx.save_for_backward(places)
        ctx.rows = y.shape[0]
        return y.index_select(0, places)

    @staticmethod
    def backward(ctx, grad):
        (places,) = ctx.saved_tensors
        out = grad.new_zeros(ctx.rows, grad.shape[1])
        return out.index_copy_(0, places, grad), None


def expert_layout(flat, top, experts):
    """Where each (token, slot) goes when rows are grouped by expert, groups padded to a multiple of PAD."""
    counts = torch.bincount(flat, minlength=experts)
    padded = (counts + PAD - 1) // PAD * PAD
    ends, padded_ends = counts.cumsum(0), padded.cumsum(0)
    order = flat.argsort(stable=True)
    shift = (padded_ends - padded) - (ends - counts)
    at = torch.arange(flat.numel()) + shift[flat[order]]
    places = torch.empty_like(order)
    places[order] = at
    rows = torch.zeros(int(padded_ends[-1]), dtype=torch.long)
    rows[at] = order // top
    return rows, places, [0] + padded_ends.tolist(), counts


class ExpertMLP(torch.autograd.Function):
    """silu(gate) * up, then down, for rows grouped by expert; `bounds` are the group borders."""

    @staticmethod
    def forward(ctx, x, w13, w2, bounds):
        ctx.kinds = x.dtype, w13.dtype
        if torch.is_autocast_enabled("cpu"):
            x, w13, w2 = x.bfloat16(), w13.bfloat16(), w2.bfloat16()
        width = w2.shape[2]
        gu = x.new_empty(x.shape[0], 2 * width)
        for e in range(w2.shape[0]):
            s, t = bounds[e], bounds[e + 1]
            if t > s:
                torch.mm(x[s:t], w13[e].t(), out=gu[s:t])
        gate, up = gu[:, :width], gu[:, width:]
        sig = torch.sigmoid(gate)
        act = gate * sig
        hid = act * up
        y = x.new_empty(x.shape[0], w2.shape[1])
        for e in range(w2.shape[0]):
            s, t = bounds[e], bounds[e + 1]
            if t > s:
                torch.mm(hid[s:t], w2[e].t(), out=y[s:t])
        ctx.save_for_backward(x, w13, w2, gu, sig, act, hid)
        ctx.bounds = bounds
        return y

    @staticmethod
    def backward(ctx, gy):
        x, w13, w2, gu, sig, act, hid = ctx.saved_tensors
        bounds, width = ctx.bounds, w2.shape[2]
        gy = gy.to(x.dtype)
        gw13, gw2 = torch.zeros_like(w13), torch.zeros_like(w2)
        ghid = torch.empty_like(hid)
        groups = [(e, bounds[e], bounds[e + 1]) for e in range(w2.shape[0]) if bounds[e + 1] > bounds[e]]
        for e, s, t in groups:
            torch.mm(gy[s:t], w2[e], out=ghid[s:t])
            torch.mm(gy[s:t].t(), hid[s:t], out=gw2[e])
        ggu = torch.empty_like(gu)
        ggu[:, width:] = ghid * act
        gate, up = gu[:, :width], gu[:, width:]
        ggu[:, :width] = ghid * up * (sig + act * (1 - sig))
        gx = torch.empty_like(x)
        for e, s, t in groups:
            torch.mm(ggu[s:t], w13[e], out=gx[s:t])
            torch.mm(ggu[s:t].t(), x[s:t], out=gw13[e])
        return gx.to(ctx.kinds[0]), gw13.to(ctx.kinds[1]), gw2.to(ctx.kinds[1]), None


def rms_norm(x, weight, eps):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


def rope_tables(length, dim, theta):
    inv = theta ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * inv[None]
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    """x: [batch, heads, length, dim]; neighbouring pairs are rotated."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), -1).flatten(-2)


BLOCK = 128
NEVER = -1e9


def plain_attention(q, k, v, mask):
    r = q.shape[1] // k.shape[1]
    bias = mask.bias(q.shape[2], k.shape[2])
    return F.scaled_dot_product_attention(q, k.repeat_interleave(r, 1), v.repeat_interleave(r, 1), attn_mask=bias)


def softmax(scores, like):
    return torch.softmax(scores, -1, dtype=torch.float32).to(like.dtype)


@functools.lru_cache(16)
def causal_bias(length, total, dtype):
    seen = torch.ones(length, total, dtype=torch.bool).tril(total - length)
    return torch.zeros(length, total, dtype=dtype).masked_fill(~seen, NEVER)


@functools.lru_cache(16)
def window_bias(blocks, dtype):
    i, j = torch.arange(BLOCK)[:, None] + BLOCK, torch.arange(2 * BLOCK)[None]
    seen = ((j <= i) & (i - j < BLOCK)).expand(blocks, 1, BLOCK, 2 * BLOCK).clone()
    seen[0, :, :, :BLOCK] = False
    return torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, NEVER)


def half(*tensors):
    kind = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
    return [t.to(kind) for t in tensors]


def causal_attention(q, k, v):
    """Full attention in query blocks, so that about half of the score matrix is never computed."""
    q, k, v = half(q / math.sqrt(q.shape[-1]), k, v)
    b, h, l, d = q.shape
    kv, r, out = k.shape[1], h // k.shape[1], []
    k, v = k.reshape(b * kv, l, d), v.reshape(b * kv, l, d)
    q = q.reshape(b * kv, r, l, d)
    for s in range(0, l, BLOCK):
        t = s + BLOCK
        score = torch.bmm(q[:, :, s:t].reshape(b * kv, r * BLOCK, d), k[:, :t].transpose(1, 2))
        score = score.view(b * kv, r, BLOCK, t) + causal_bias(BLOCK, t, score.dtype)
        p = softmax(score, v).view(b * kv, r * BLOCK, t)
        out.append(torch.bmm(p, v[:, :t]).view(b * kv, r, BLOCK, d))
    return torch.cat(out, 2).view(b, h, l, d)


def window_attention(q, k, v):
    """Sliding window of exactly BLOCK keys: every query block sees its own keys and those of the block before."""
    q, k, v = half(q / math.sqrt(q.shape[-1]), k, v)
    b, h, l, d = q.shape
    kv, r, n = k.shape[1], h // k.shape[1], l // BLOCK

    def two_blocks(x):
        x = x.reshape(b, kv, n, BLOCK, d)
        return torch.cat((F.pad(x[:, :, :-1], (0, 0, 0, 0, 1, 0)), x), 3).view(b * kv * n, 2 * BLOCK, d)

    qb = q.reshape(b, kv, r, n, BLOCK, d).transpose(2, 3).reshape(b * kv * n, r * BLOCK, d)
    kb, vb = two_blocks(k), two_blocks(v)
    score = torch.bmm(qb, kb.transpose(1, 2)).view(b * kv, n, r, BLOCK, 2 * BLOCK)
    score = score + window_bias(n, score.dtype)
    p = softmax(score, v).view(b * kv * n, r * BLOCK, 2 * BLOCK)
    out = torch.bmm(p, vb).view(b, kv, n, r, BLOCK, d)
    return out.transpose(2, 3).reshape(b, h, l, d)


class Mask:
    """What a layer may see: everything before, or the last `window` positions including its own."""

    def __init__(self, window=None):
        self.window = window

    def bias(self, length, total):
        q = torch.arange(total - length, total)[:, None]
        k = torch.arange(total)[None]
        ok = k <= q
        if self.window is not None:
            ok &= q - k < self.window
        return torch.zeros(length, total).masked_fill(~ok, float("-inf"))


class Attention(nn.Module):
    def __init__(self, cfg, layer):
        super().__init__()
        self.heads, self.kv = cfg["num_attention_heads"], cfg["num_key_value_heads"]
        self.dim, hidden = cfg["head_dim"], cfg["hidden_size"]
        self.sliding = cfg["layer_types"][layer] == "sliding_attention"
        self.rope = self.sliding or layer == 0
        self.q_proj = nn.Linear(hidden, self.heads * self.dim, bias=False)
        self.k_proj = nn.Linear(hidden, self.kv * self.dim, bias=False)
        self.v_proj = nn.Linear(hidden, self.kv * self.dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.dim, hidden, bias=False)

    def forward(self, n, tables, mask, cache=None, start=0):
        b, l, _ = n.shape
        q = self.q_proj(n).view(b, l, self.heads, self.dim).transpose(1, 2)
        k = self.k_proj(n).view(b, l, self.kv, self.dim).transpose(1, 2)
        v = self.v_proj(n).view(b, l, self.kv, self.dim).transpose(1, 2)
        if self.rope:
            cos, sin = tables[0][start:start + l], tables[1][start:start + l]
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            k, v = cache.extend(self, k, v)
        if cache is not None or l % BLOCK:
            a = plain_attention(q, k, v, mask)
        elif self.sliding and mask.window == BLOCK:
            a = window_attention(q, k, v)
        else:
            a = causal_attention(q, k, v)
        return self.o_proj(a.transpose(1, 2).reshape(b, l, self.heads * self.dim))


class DenseMLP(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_proj = nn.Linear(hidden, width, bias=False)
        self.up_proj = nn.Linear(hidden, width, bias=False)
        self.down_proj = nn.Linear(width, hidden, bias=False)

    def forward(self, n, stats=None):
        return self.down_proj(F.silu(self.gate_proj(n)) * self.up_proj(n))


class SparseMLP(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        hidden, width = cfg["hidden_size"], cfg["intermediate_size"]
        self.experts, self.top = cfg["num_experts"], cfg["num_experts_per_tok"]
        self.gate = nn.Linear(hidden, self.experts, bias=False)
        self.w13 = nn.Parameter(torch.empty(self.experts, 2 * width, hidden))
        self.w2 = nn.Parameter(torch.empty(self.experts, hidden, width))

    def forward(self, n, stats=None):
        x = n.reshape(-1, n.shape[-1])
        with torch.autocast("cpu", enabled=False):
            logits = self.gate(x.float())
        top, chosen = logits.topk(self.top, -1)
        rows, places, bounds, counts = expert_layout(chosen.reshape(-1), self.top, self.experts)
        y = ExpertMLP.apply(Gather.apply(x, rows, places, self.top), self.w13, self.w2, bounds)
        y = Ungather.apply(y, places)
        y = y.view(-1, self.top, x.shape[-1])
        out = torch.bmm(torch.sigmoid(top)[:, None], y)[:, 0]
        if stats is not None:
            stats.append((logits, counts))
        return out.view(n.shape)


class Block(nn.Module):
    def __init__(self, cfg, layer):
        super().__init__()
        self.eps = cfg["rms_norm_eps"]
        self.input_layernorm = nn.Parameter(torch.ones(cfg["hidden_size"]))
        self.self_attn = Attention(cfg, layer)
        if layer < cfg["first_k_dense_replace"]:
            self.mlp = DenseMLP(cfg["hidden_size"], cfg["prefix_dense_intermediate_size"])
        else:
            self.mlp = SparseMLP(cfg)

    def forward(self, h, tables, mask, cache, start, stats):
        n = rms_norm(h, self.input_layernorm, self.eps)
        return h + self.self_attn(n, tables, mask, cache, start) + self.mlp(n, stats)


class Cache:
    """Keys and values of every layer (all positions; sliding layers are cut by the mask)."""

    def __init__(self):
        self.kv = {}

    def extend(self, layer, k, v):
        if layer in self.kv:
            k0, v0 = self.kv[layer]
            k, v = torch.cat((k0, k), 2), torch.cat((v0, v), 2)
        self.kv[layer] = (k, v)
        return k, v


class Miniature(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.embed_tokens = nn.Parameter(torch.empty(cfg["vocab_size"], cfg["hidden_size"]))
        self.layers = nn.ModuleList(Block(cfg, i) for i in range(cfg["num_hidden_layers"]))
        self.norm = nn.Parameter(torch.ones(cfg["hidden_size"]))
        self.tables = rope_tables(8192, cfg["head_dim"], cfg["rope_theta"])
        self.window, self.everything = Mask(cfg["sliding_window"]), Mask()

    def init_weights(self, seed):
        gen = torch.Generator().manual_seed(seed)
        out_scale = 1 / math.sqrt(2 * len(self.layers))
        for name, p in self.named_parameters():
            if p.dim() < 2:
                continue
            std = 0.5 / math.sqrt(p.shape[-1])
            if name == "embed_tokens":
                std = 0.03
            elif name.endswith(("o_proj.weight", "down_proj.weight", "w2")):
                std *= out_scale
            with torch.no_grad():
                p.normal_(0, std, generator=gen)

    def hidden(self, ids, cache=None, start=0, stats=None):
        h = F.embedding(ids, self.embed_tokens)
        for block in self.layers:
            m = self.window if block.self_attn.sliding else self.everything
            h = block(h, self.tables, m, cache, start, stats)
        return rms_norm(h, self.norm, self.cfg["rms_norm_eps"])

    def forward(self, ids, cache=None, start=0, stats=None):
        return self.hidden(ids, cache, start, stats) @ self.embed_tokens.t() * self.cfg["logit_scale"]


# name -> hidden size, layers, heads, experts, width of an expert, width of the dense layer
SIZES = {"miniature": (192, 6, 4, 20, 64, 512), "bed": (256, 8, 4, 32, 128, 768)}


def make_config(vocab, special, size="miniature"):
    """config.json in the released form, except that tie_word_embeddings is true instead of null: transformers
    5.24 refuses null, and this folder should load there as it is."""
    hidden, layers, heads, experts, width, dense = SIZES[size]
    return {
        "architectures": ["Cohere2MoeForCausalLM"],
        "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": special["<BOS_TOKEN>"], "dtype": "bfloat16",
        "eos_token_id": special["<|END_OF_TURN_TOKEN|>"],
        "expert_selection_fn": "sigmoid", "first_k_dense_replace": 1,
        "head_dim": 64, "hidden_act": "silu", "hidden_size": hidden, "initializer_range": 0.02,
        "intermediate_size": width, "layer_norm_eps": 1e-05,
        "layer_types": ["full_attention" if i % 4 == 0 else "sliding_attention" for i in range(layers)],
        "logit_scale": 1.0, "max_position_embeddings": 8192, "model_type": "cohere2_moe",
        "norm_topk_prob": False, "num_attention_heads": heads, "num_experts": experts,
        "num_experts_per_tok": 4, "num_hidden_layers": layers, "num_key_value_heads": 2,
        "num_shared_experts": 0, "pad_token_id": special["<PAD>"], "position_embedding_type": "rope_gptj",
        "prefix_dense_intermediate_size": dense, "prefix_dense_sliding_window_pattern": 1,
        "rms_norm_eps": 1e-06, "rope_theta": 50000, "rotary_pct": 1.0,
        "shared_expert_combination_strategy": "average", "sliding_window": 128, "sliding_window_pattern": 4,
        "tie_word_embeddings": True, "transformers_version": "5.8.0", "use_cache": True,
        "use_parallel_block": True, "use_qk_norm": False, "vocab_size": vocab,
    }
