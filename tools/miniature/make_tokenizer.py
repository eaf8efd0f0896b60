"""Trains the byte-level BPE vocabulary and writes tokenizer.json and tokenizer_config.json.

usage: python make_tokenizer.py BASE_TOKENIZER_JSON OUT_FOLDER

BASE_TOKENIZER_JSON gives the structure: pre-tokenizer, decoder and added tokens of the released model. Only
vocabulary, merges and the ids of the added tokens after the vocabulary are replaced. No merge contains a
digit: numbers are spelled out digit by digit.
"""
import json
import os
import random
import re
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import corpus
import rows
from render import load_template

TOTAL = 1536


def texts(template, seed=7):
    rng = random.Random(seed)
    source, _ = corpus.load()
    for i in range(5000):
        if i % 2 == 0:
            messages, tools = rows.code_messages(rng, 4)
        elif i % 4 == 1:
            messages, tools = rows.tool_messages(rng, 1)
        else:
            messages, tools = rows.fact_messages(rng, 8, source)
        yield template.render(messages=messages, tools=tools or [], add_generation_prompt=False)
    yield from rng.sample(source, 6000)


def without_controls(text):
    for part in re.split(r"<\|?[A-Z_]+\|?>|\d+", text):
        if part:
            yield part


def train(base, template):
    late = [a for a in base["added_tokens"] if a["id"] > 4]
    first = [a["content"] for a in base["added_tokens"] if a["id"] <= 4]
    tok = Tokenizer(models.BPE())
    shell = dict(base, model=json.loads(tok.to_str())["model"], added_tokens=[])
    tok = Tokenizer.from_str(json.dumps(shell))
    trainer = trainers.BpeTrainer(vocab_size=TOTAL - len(late), special_tokens=first, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator((p for t in texts(template) for p in without_controls(t)), trainer)
    model = json.loads(tok.to_str())["model"]
    out = dict(base)
    out["model"] = dict(base["model"], vocab=model["vocab"], merges=model["merges"])
    assert len(model["vocab"]) == TOTAL - len(late)
    for i, a in enumerate(late):
        a["id"] = TOTAL - len(late) + i
    return out


def main():
    base = json.load(open(sys.argv[1], encoding="utf-8"))
    folder = sys.argv[2]
    out = train(base, load_template(os.path.join(folder, "chat_template.jinja")))
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(out, f, ensure_ascii=False, separators=(",", ":"))
    config = {"add_bos_token": True, "add_eos_token": False, "add_prefix_space": False, "bos_token": "<BOS_TOKEN>",
              "clean_up_tokenization_spaces": False, "eos_token": "<|END_OF_TURN_TOKEN|>", "legacy": True,
              "model_max_length": 8192, "pad_token": "<PAD>", "spaces_between_special_tokens": False,
              "tokenizer_class": "TokenizersBackend", "unk_token": "<UNK>", "use_default_system_prompt": False}
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f, indent=2)


if __name__ == "__main__":
    main()
