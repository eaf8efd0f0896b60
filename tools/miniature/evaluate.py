"""Measures the abilities of an exported model on the held-out sets of data/tasks. Greedy decoding.

usage: python evaluate.py [MODEL_FOLDER] [--only text,experts,code,tools,retrieval] [--limit N] [-o RESULTS.json]

Generated programs run in a separate Python process with time and memory limits. That is no sandbox.
"""
import argparse
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter

import torch

import corpus
import tasks_code
from generate import Writer, fenced_code
from make_tasks import CODE_TASKS
from reference import training_model
from render import HERE, MODEL, Renderer

TASKS = os.path.normpath(os.path.join(HERE, "..", "..", "data", "tasks"))


def wilson(k, n, z=1.96):
    if n == 0:
        return None
    p, d = k / n, 1 + z * z / n
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round((mid - half) / d, 4), round((mid + half) / d, 4)]


def rate(k, n):
    return {"passed": k, "n": n, "rate": round(k / n, 4), "wilson95": wilson(k, n)}


def read_lines(name):
    with open(os.path.join(TASKS, name), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def limits():
    resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
    resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))


def run_program(text):
    """'passed', 'failed' or 'timeout'."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "program.py")
        with open(path, "w") as f:
            f.write(text)
        try:
            done = subprocess.run([sys.executable, "-I", path], capture_output=True, timeout=10, preexec_fn=limits, cwd=folder)
        except subprocess.TimeoutExpired:
            return "timeout"
    return "passed" if done.returncode == 0 else "failed"


def user_request(record, form):
    """Form 0: what an evaluation sends; form 1: the same task in words (see tasks_code.request)."""
    if form == 0:
        return f"{tasks_code.REQUEST}\n\n```python\n{record['prompt']}```"
    head, doc = record["prompt"].split("\n", 1)
    text = doc.strip().strip('"').strip()
    return f"Write a Python function {head[len('def '):-1]}. {text}"


def code_verdict(writer, record, form):
    reply = writer.reply([{"role": "user", "content": user_request(record, form)}])
    if not reply["formed"] or not reply["thinking"].strip():
        return "bad form", reply
    code = fenced_code(reply["text"])
    if code is None:
        return "no code", reply
    return run_program(f"{record['prompt']}    pass\n\n{code}\n\n{record['test']}\n\ncheck({record['entry_point']})\n"), reply


def measure_code(writer, limit, forms=(0, 1)):
    """The stub form over all tasks, the form in words over those that are not longer than in training."""
    out = {}
    for form in forms:
        records = read_lines("code.jsonl")[:min(limit, CODE_TASKS) if form else limit]
        verdicts, failures, parts = Counter(), [], {"as in training": [0, 0], "longer chains": [0, 0]}
        for r in records:
            verdict, reply = code_verdict(writer, r, form)
            verdicts[verdict] += 1
            part = parts["as in training" if int(r["task_id"].split("/")[1]) < CODE_TASKS else "longer chains"]
            part[0] += verdict == "passed"
            part[1] += 1
            if verdict != "passed":
                failures.append({"task_id": r["task_id"], "verdict": verdict, "task": r["prompt"], "wanted": r["canonical_solution"], "raw": reply["raw"]})
        out[("stub in a fence", "in words")[form]] = {
            **rate(verdicts["passed"], len(records)), "verdicts": dict(verdicts),
            "parts": {k: rate(*v) for k, v in parts.items() if v[1]}, "failures": failures}
    return out


def schema(t):
    return {"name": t["name"], "description": t["description"],
            "parameters": {"type": "object", "properties": {p: {"type": k} for p, k in t["params"].items()}, "required": t["required"]}}


def respond(task, name, args):
    """The entity environment: a getter shows the entity that an argument names; an action answers ok."""
    tool = next((t for t in task["tools"] if t["name"] == name), None)
    if tool is None:
        return None
    if not tool["returns_entity"]:
        return {"ok": True}
    hits = [task["world_state"][v] for v in args.values() if isinstance(v, str) and v in task["world_state"]]
    return hits[0] if hits else None


def tool_verdict(writer, task):
    tools = [schema(t) for t in task["tools"] + task["decoy_tools"]]
    random.Random(task["id"]).shuffle(tools)
    messages, result = [{"role": "user", "content": task["prompt"]}], None
    for step, want in enumerate(task["expected_calls"]):
        reply = writer.reply(messages, tools)
        if not reply["formed"]:
            return "bad form", reply
        if reply["calls"] is None:
            return "no call", reply
        if len(reply["calls"]) != 1 or reply["calls"][0][0] != want["name"]:
            return "wrong tool", reply
        name, args = reply["calls"][0]
        if args != want["args"]:
            return "wrong arguments", reply
        result = respond(task, name, args)
        messages.append({"role": "assistant", "reasoning_content": reply["thinking"],
                         "tool_calls": [{"id": f"c{step}", "function": {"name": name, "arguments": args}}]})
        messages.append({"role": "tool", "tool_call_id": f"c{step}", "content": json.dumps(result)})
    reply = writer.reply(messages, tools)
    if not reply["formed"] or reply["text"] is None:
        return "no answer", reply
    if result != {"ok": True}:
        field = next((f for f in result if f" {f} " in f" {task['prompt']} "), None)
        if str(result[field]) not in reply["text"]:
            return "wrong answer", reply
    return "passed", reply


def measure_tools(writer, limit):
    with open(os.path.join(TASKS, "tools.json"), encoding="utf-8") as f:
        tasks = json.load(f)["tasks"]
    out = {}
    for kind in ("one", "two"):
        group = [t for t in tasks if t["id"].startswith(f"mini_{kind}_")][:limit]
        verdicts, failures = Counter(), []
        for t in group:
            verdict, reply = tool_verdict(writer, t)
            verdicts[verdict] += 1
            if verdict != "passed":
                failures.append({"id": t["id"], "verdict": verdict, "prompt": t["prompt"], "wanted": t["expected_calls"], "raw": reply["raw"]})
        out[f"{kind} step"] = {**rate(verdicts["passed"], len(group)), "verdicts": dict(verdicts), "failures": failures}
    return out


def measure_retrieval(writer, limit):
    """Rate per prompt length with five facts, and per number of facts at 256 tokens."""
    groups = {}
    for r in read_lines("retrieval_few.jsonl"):
        groups.setdefault(f"256, facts: {1 + len(r['distractors'])}", []).append(r)
    for r in read_lines("retrieval.jsonl"):
        groups.setdefault(r["depth_tokens"], []).append(r)
    out = {}
    for depth, group in groups.items():
        group, good, other, places = group[:limit], 0, 0, Counter()
        for r in group:
            text = writer.reply([{"role": "user", "content": r["prompt"]}], limit=64)["text"] or ""
            said = text.rstrip(".").split(" ")[-1]
            good += said == r["answer"]
            places[r["place"]] += said == r["answer"]
            other += said in r["distractors"]
        out[str(depth)] = {**rate(good, len(group)), "gave another fact": other, "passed by place": dict(places)}
    return out


def unigram_nll(renderer, ids):
    counts = Counter()
    for code in corpus.load()[0][::4]:
        counts.update(renderer.encode(code))
    total = sum(counts.values()) + renderer.tok.get_vocab_size()
    return [-math.log((counts[t] + 1) / total) for t in ids]


@torch.no_grad()
def model_nll(model, ids, bos, window=512):
    """Mean negative log-likelihood over consecutive windows, each beginning with BOS."""
    total = []
    for s in range(0, len(ids), window):
        part = ids[s:s + window]
        logits = model(torch.tensor([[bos] + part]))[0, :-1]
        total += torch.nn.functional.cross_entropy(logits, torch.tensor(part), reduction="none").tolist()
    return total


def measure_text(model, renderer):
    with open(os.path.join(MODEL, "heldout.txt"), encoding="utf-8") as f:
        text = f.read()
    ids = renderer.encode(text)
    mean = lambda v: sum(v) / len(v)
    ours, uni = mean(model_nll(model, ids, renderer.bos)), mean(unigram_nll(renderer, ids))
    per_byte = len(ids) / len(text.encode())
    return {"tokens": len(ids), "perplexity": round(math.exp(ours), 3), "unigram_perplexity": round(math.exp(uni), 3),
            "bits_per_byte": round(ours * per_byte / math.log(2), 3), "unigram_bits_per_byte": round(uni * per_byte / math.log(2), 3)}


@torch.no_grad()
def expert_use(model, renderer):
    """Share of the routed slots per expert over the held-out text and the held-out conversations."""
    with open(os.path.join(MODEL, "heldout.txt"), encoding="utf-8") as f:
        ids = renderer.encode(f.read())
    with open(os.path.join(MODEL, "heldout_ids.json"), encoding="utf-8") as f:
        ids = ids[:4096] + json.load(f)
    total = None
    for s in range(0, len(ids), 512):
        stats = []
        model.hidden(torch.tensor([ids[s:s + 512]]), stats=stats)
        counts = torch.stack([c for _, c in stats])
        total = counts if total is None else total + counts
    share = total / total.sum(1, keepdim=True)
    first = model.cfg["first_k_dense_replace"]
    return {str(first + i): {"least": round(float(r.min()), 4), "most": round(float(r.max()), 4),
                             "below a quarter of even": int((r < 0.25 / len(r)).sum())} for i, r in enumerate(share)}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("folder", nargs="?", default=MODEL)
    ap.add_argument("--only", default="text,experts,code,tools,retrieval")
    ap.add_argument("--limit", type=int, default=10 ** 6)
    ap.add_argument("-o", default=None)
    args = ap.parse_args()
    torch.set_num_threads(1)
    model, renderer = training_model(args.folder), Renderer()
    writer, results = Writer(model, renderer), {}
    measures = {"text": lambda: measure_text(model, renderer), "experts": lambda: expert_use(model, renderer),
                "code": lambda: measure_code(writer, args.limit), "tools": lambda: measure_tools(writer, args.limit),
                "retrieval": lambda: measure_retrieval(writer, args.limit)}
    for name in args.only.split(","):
        results[name] = measures[name]()
        brief = json.dumps(results[name], default=str)
        print(name, brief if len(brief) < 3000 else json.dumps({k: {m: v[m] for m in v if m != "failures"} for k, v in results[name].items()}), flush=True)
        if args.o:
            with open(args.o, "w") as f:
                json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
