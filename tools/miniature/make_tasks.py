"""Writes the demo task sets and the held-out texts, all from held-out instances and with a fixed seed.

usage: python make_tasks.py [TASKS_FOLDER [MODEL_FOLDER]]

TASKS_FOLDER  code.jsonl       HumanEval's file format (task_id, prompt, entry_point, canonical_solution, test)
                               (the last LONG_TASKS are longer chains of steps than any in the training data)
              tools.json       a tool collection of one-step and two-step tasks, environment "entity"
              retrieval.jsonl  one of five facts in padding at several prompt lengths
              retrieval_few.jsonl  the same with one or two facts, 256 tokens
MODEL_FOLDER  heldout.txt      Python source of held-out files, then function texts of held-out tasks
              heldout_ids.json ids of rendered held-out conversations, control tokens included
"""
import json
import os
import random
import sys

import check_code
import corpus
import tasks_code
import tasks_facts
import tasks_tools
from render import HERE, MODEL, Renderer
from words import held_out

SEED = 424242
CODE_TASKS, LONG_TASKS, TOOL_TASKS, PER_DEPTH, FACTS = 200, 60, 80, 50, 5
DEPTHS = (256, 384, 512, 768, 1024, 1536, 2048)


def held_out_instances(rng, maker, count):
    """Different held-out instances: no key twice."""
    seen, out = set(), []
    while len(out) < count:
        inst = maker(rng)
        if inst["held_out"] and inst["key"] not in seen:
            seen.add(inst["key"])
            out.append(inst)
    return out


def code_tasks(rng, count, maker=tasks_code.make):
    """Held-out instances; those whose reference fails on most inputs cannot be tested and are left out."""
    made = held_out_instances(rng, maker, count + count // 4)
    out = [inst for inst in made if len(check_code.cases(random.Random(1), inst)) >= 5][:count]
    assert len(out) == count
    return out


def code_records(rng, count, first, maker):
    return [check_code.humaneval_record(rng, inst, f"Miniature/{first + i}") for i, inst in enumerate(code_tasks(rng, count, maker))]


def long_chain(rng):
    return tasks_code.make(rng, tasks_code.long_chains)


def tool_entry(t, action):
    p = t["parameters"]
    return {"name": t["name"], "description": t["description"], "params": {k: v["type"] for k, v in p["properties"].items()},
            "required": p["required"], "returns_entity": not action}


def world(rng, inst):
    """The entity asked for and two others of its kind, or nothing for a single action."""
    if inst["results"][0] == {"ok": True}:
        return {}
    state = {inst["results"][0]["id"]: inst["results"][0]}
    kind = next(k for k, (_, getters, _) in tasks_tools.ENTITIES.items() if inst["calls"][0][0] in getters)
    while len(state) < 3:
        ident, fields = tasks_tools.entity(rng, kind)
        state.setdefault(ident, {"id": ident, **fields})
    return dict(sorted(state.items()))


def tool_task(rng, inst, number):
    needed = {t["name"] for t in inst["needed"]}
    offered = [tool_entry(t, t["name"] in tasks_tools.ACTIONS) for t in tasks_tools.pick_tools(rng, [inst], extra=2)]
    kind = "one" if inst["steps"] == 1 else "two"
    return {"id": f"mini_{kind}_{number}", "category": "agent_loop", "max_steps": 4, "max_recovery": 2, "prompt": inst["prompt"],
            "world_state": world(rng, inst), "tools": [t for t in offered if t["name"] in needed],
            "decoy_tools": [t for t in offered if t["name"] not in needed],
            "expected_calls": [{"type": "call", "name": n, "args": a} for n, a in inst["calls"]],
            "must_not_call": [], "faults": []}


def tool_collection(rng):
    tasks = []
    for steps in (1, 2):
        made = held_out_instances(rng, lambda r: tasks_tools.make(r, steps), TOOL_TASKS)
        tasks += [tool_task(rng, inst, i) for i, inst in enumerate(made)]
    return {"name": "miniature-tools", "description": "One-step and two-step tool tasks for the miniature model.",
            "domain": "miniature", "tier": "easy", "pass_k": 1,
            "axes": {"min_required_steps": 1, "decoy_tools": 2, "hidden_prereqs": 0, "conflicting_constraints": 0,
                     "adversarial_context": False, "region_variance": False},
            "generated": True, "environment": "entity", "generator": f"tools/miniature/make_tasks.py, seed {SEED}", "tasks": tasks}


def retrieval_task(rng, renderer, depth, number, count=FACTS):
    """A prompt whose rendering has about `depth` tokens; the fact asked for lies at depth number/(n-1) of the text."""
    places = [(number % 5) / 4] + [rng.random() for _ in range(count - 1)]
    while True:
        sentences = 1
        state = rng.getstate()
        while True:
            rng.setstate(state)
            facts, text = tasks_facts.make(rng, sentences, count, places)
            content = f"{text}\n\n{tasks_facts.question(facts[0])}"
            size = len(renderer.prompt_ids([{"role": "user", "content": content}]))
            if size >= depth - 12:
                break
            sentences += max(1, (depth - size) // 20)
        if tasks_facts.is_held_out(facts[0]):
            break
    return {"task_id": f"MiniatureFact/{depth}/{number}", "depth_tokens": depth, "prompt_tokens": size, "place": places[0],
            "prompt": content, "answer": facts[0][2], "distractors": [f[2] for f in facts[1:]]}


def few_facts(renderer, depth=256):
    """The easy end of retrieval: a single fact, and one other of the same form."""
    out = []
    for count in (1, 2):
        rng = random.Random(77 + count)
        out += [dict(retrieval_task(rng, renderer, depth, i, count), task_id=f"MiniatureFew/{count}/{i}") for i in range(PER_DEPTH)]
    return out


def held_out_text(rng):
    """About 30 KB: source of held-out files, then solved held-out tasks as plain source."""
    _, source = corpus.load()
    parts, size = [], 0
    for code in rng.sample(source, len(source)):
        if size > 24000:
            break
        parts.append(code)
        size += len(code)
    for inst in code_tasks(rng, 40):
        parts.append(tasks_code.stub(inst) + tasks_code.body_text(inst))
    return "\n\n".join(p.rstrip("\n") + "\n" for p in parts)


def held_out_ids(rng, renderer, count=4096):
    ids = []
    while len(ids) < count:
        code = held_out_instances(rng, tasks_code.make, 1)[0]
        ids += renderer.encode(renderer.text(tasks_code.chat(rng, code)))
        tool = held_out_instances(rng, lambda r: tasks_tools.make(r, r.choice((1, 2))), 1)[0]
        ids += renderer.encode(renderer.text(tasks_tools.episode(rng, tool), tasks_tools.pick_tools(rng, [tool], 2)))
    return ids[:count]


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def json_lines(items):
    return "".join(json.dumps(i) + "\n" for i in items)


def main():
    tasks = sys.argv[1] if len(sys.argv) > 1 else os.path.normpath(os.path.join(HERE, "..", "..", "data", "tasks"))
    model = sys.argv[2] if len(sys.argv) > 2 else MODEL
    renderer = Renderer()
    code = code_records(random.Random(SEED), CODE_TASKS, 0, tasks_code.make)
    code += code_records(random.Random(SEED + 5), LONG_TASKS, CODE_TASKS, long_chain)
    write(os.path.join(tasks, "code.jsonl"), json_lines(code))
    write(os.path.join(tasks, "tools.json"), json.dumps(tool_collection(random.Random(SEED + 1)), indent=1) + "\n")
    rng = random.Random(SEED + 2)
    facts = [retrieval_task(rng, renderer, d, i) for d in DEPTHS for i in range(PER_DEPTH)]
    write(os.path.join(tasks, "retrieval_few.jsonl"), json_lines(few_facts(renderer)))
    write(os.path.join(tasks, "retrieval.jsonl"), json_lines(facts))
    write(os.path.join(model, "heldout.txt"), held_out_text(random.Random(SEED + 3)))
    write(os.path.join(model, "heldout_ids.json"), json.dumps(held_out_ids(random.Random(SEED + 4), renderer)) + "\n")


if __name__ == "__main__":
    main()
