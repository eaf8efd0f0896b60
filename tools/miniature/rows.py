"""Training rows: token ids and loss weights of packed conversations and of plain Python source.

A row of chats is one rendered conversation with several independent tasks, so that the constant platform turn
is paid once; its first task is exactly what a single prompt looks like. Every batch depends on its number only.
"""
import random

import numpy as np

import corpus
import tasks_code
import tasks_facts
import tasks_tools
from tasks_facts import is_held_out

# kind -> (share of the batches, row length, rows in a batch)
BATCHES = {"code": (50, 512, 6), "tools": (20, 640, 5), "facts": (12, 512, 6), "longfacts": (4, 1024, 3), "source": (12, 512, 6)}
# the loss of Python source is scaled down: it never gets small, and would drown the tasks that can be learned exactly
LOSS_SCALE = {"source": 0.25}


def training_instance(rng, maker, *args):
    while True:
        inst = maker(rng, *args)
        if not inst["held_out"]:
            return inst


def code_messages(rng, count):
    out = []
    for _ in range(count):
        out += tasks_code.chat(rng, training_instance(rng, tasks_code.make))
    return out, None


def tool_messages(rng, count):
    steps = [rng.choice((1, 2)) for _ in range(count)]
    instances = [training_instance(rng, tasks_tools.make, s) for s in steps]
    out, used = [], 0
    for inst in instances:
        out += tasks_tools.episode(rng, inst, used)
        used += len(inst["calls"])
    return out, tasks_tools.pick_tools(rng, instances)


def fact_messages(rng, sentences, source):
    while True:
        facts, text = tasks_facts.make(rng, sentences, rng.randint(2, 7))
        if not any(map(is_held_out, facts)):
            break
    if rng.random() < 0.2:                       # other padding: Python source around the facts
        half = rng.choice(source)[:sentences * 30]
        text = f"{half}\n{text[:sentences * 40]}\n" + " ".join(map(tasks_facts.fact_text, facts))
    asked = rng.sample(facts, min(len(facts), rng.randint(2, 5)))
    out = []
    for i, f in enumerate(asked):
        q = tasks_facts.question(f)
        out += [{"role": "user", "content": f"{text}\n\n{q}" if i == 0 else q}, tasks_facts.answer(f)]
    return out, None


class Rows:
    def __init__(self, renderer, seed):
        self.r, self.seed = renderer, seed
        self.source, _ = corpus.load()
        self.shares = {k: v[0] for k, v in BATCHES.items()}

    def chat_row(self, rng, kind, length):
        if kind == "code":
            messages, tools = code_messages(rng, 6)
        elif kind == "tools":
            messages, tools = tool_messages(rng, rng.choice((1, 2)))
        else:
            most = 26 if length <= 512 else 62
            messages, tools = fact_messages(rng, rng.randint(most // 2 if length > 512 else 2, most), self.source)
        ids = self.r.encode(self.r.text(messages, tools))
        return ids, self.r.weights(ids)

    def source_row(self, rng, length):
        ids = [self.r.bos]
        while len(ids) < length:
            ids += self.r.encode(rng.choice(self.source) + "\n\n")
        return ids, [0.0] + [0.6] * (len(ids) - 1)

    def make_row(self, rng, kind, length):
        if kind == "source":
            return self.source_row(rng, length)
        return self.chat_row(rng, kind, length)

    def batch(self, number):
        """(kind, ids, weights) of the batch with this number."""
        rng = random.Random(f"{self.seed}-{number}")
        kind = rng.choices(list(self.shares), list(self.shares.values()))[0]
        _, length, rows = BATCHES[kind]
        ids = np.full((rows, length + 1), self.r.pad, np.int64)
        weights = np.zeros((rows, length + 1), np.float32)
        for i in range(rows):
            row, w = self.make_row(rng, kind, length)
            n = min(len(row), length + 1)
            ids[i, :n], weights[i, :n] = row[:n], w[:n]
        return kind, ids, weights
