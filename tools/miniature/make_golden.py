"""Greedy answers of the exported model by transformers' Cohere2MoeForCausalLM in float32.

usage: python make_golden.py [MODEL_FOLDER]

Writes golden.jsonl: text and ids of a prompt, up to 64 greedy ids, the distance of the two largest logits at each
of them, and a fingerprint of the first distribution (eight largest logits, mean, root mean square).
"""
import json
import os
import random
import sys

import torch

import corpus
import tasks_code
import tasks_facts
import tasks_tools
from make_tasks import held_out_instances, retrieval_task
from reference import transformers_model
from render import MODEL, Renderer

SEED, STEPS = 909, 64


def prompts(renderer):
    """(name, rendered text) of twelve held-out prompts."""
    rng, out = random.Random(SEED), []
    chat = lambda messages, tools=None: renderer.text(messages, tools, prompt=True)
    for form, inst in zip((0, 0, 1, 2), held_out_instances(rng, tasks_code.make, 4)):
        out.append((f"code, form {form}", chat([{"role": "user", "content": tasks_code.request(rng, inst, form)}])))
    inst = held_out_instances(rng, lambda r: tasks_tools.make(r, 2), 1)[0]
    tools, episode = tasks_tools.pick_tools(rng, [inst], 2), tasks_tools.episode(rng, inst)
    out.append(("tools, first call", chat(episode[:1], tools)))
    out.append(("tools, second call", chat(episode[:3], tools)))
    out.append(("tools, answer", chat(episode[:5], tools)))
    for depth in (256, 700):
        out.append((f"retrieval at {depth}", chat([{"role": "user", "content": retrieval_task(rng, renderer, depth, 1)["prompt"]}])))
    source = corpus.load()[1]
    for code in rng.sample(source, 2):
        out.append(("Python source", "<BOS_TOKEN>" + code[:len(code) // 2]))
    out.append(("thinking off", renderer.template.render(messages=[{"role": "user", "content": "Say hello."}], tools=[],
                                                         add_generation_prompt=True, reasoning=False)))
    return out


def greedy(model, ids, end):
    """New ids, margins, and the first row of logits."""
    out, new, margins, first = model(input_ids=torch.tensor([ids]), use_cache=True), [], [], None
    while True:
        row = out.logits[0, -1].float()
        first = row if first is None else first
        two = row.topk(2).values
        new.append(int((row == two[0]).nonzero()[0]))
        margins.append(round(float(two[0] - two[1]), 5))
        if len(new) == STEPS or new[-1] == end:
            return new, margins, first
        out = model(input_ids=torch.tensor([[new[-1]]]), cache=out.cache, use_cache=True)


def main():
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    folder = sys.argv[1] if len(sys.argv) > 1 else MODEL
    renderer, model = Renderer(), transformers_model(folder)
    with open(os.path.join(folder, "golden.jsonl.tmp"), "w", encoding="utf-8") as f:
        for name, text in prompts(renderer):
            ids = renderer.encode(text)
            new, margins, first = greedy(model, ids, renderer.eot)
            top = first.topk(8)
            full = model(input_ids=torch.tensor([ids + new]), use_cache=False).logits[0, len(ids) - 1:-1].argmax(-1).tolist()
            assert full == new, name
            line = {"name": name, "ids": ids, "greedy": new, "margins": margins,
                    "first": {"top_ids": top.indices.tolist(), "top_logits": [round(v, 5) for v in top.values.tolist()],
                              "mean": round(float(first.mean()), 6), "rms": round(float(first.square().mean().sqrt()), 6)},
                    "text": text, "greedy_text": renderer.tok.decode(new, skip_special_tokens=False)}
            f.write(json.dumps(line) + "\n")
    os.replace(os.path.join(folder, "golden.jsonl.tmp"), os.path.join(folder, "golden.jsonl"))


if __name__ == "__main__":
    main()
