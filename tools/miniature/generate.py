"""Greedy decoding with the training code's own model, and the released output grammar taken apart."""
import json
import re

import torch

from model import Cache


class Writer:
    def __init__(self, model, renderer):
        self.model, self.r = model, renderer

    @torch.no_grad()
    def greedy(self, prompt, limit=320):
        """New ids up to and including the end of turn."""
        cache, ids, out = Cache(), torch.tensor([prompt]), []
        start = 0
        while len(out) < limit:
            h = self.model.hidden(ids, cache, start)[:, -1]
            start += ids.shape[1]
            best = int((h @ self.model.embed_tokens.t()).argmax())
            out.append(best)
            if best == self.r.eot:
                break
            ids = torch.tensor([[best]])
        return out

    def reply(self, messages, tools=None, limit=320):
        out = self.greedy(self.r.prompt_ids(messages, tools), limit)
        return parse(self.r.tok.decode(out, skip_special_tokens=False))


FORM = re.compile(r"(?P<thinking>.*?)<\|END_THINKING\|>(?:<\|START_TEXT\|>(?P<text>.*)<\|END_TEXT\|>"
                  r"|<\|START_ACTION\|>(?P<action>.*)<\|END_ACTION\|>)<\|END_OF_TURN_TOKEN\|>", re.S)


def parse(output):
    """thinking, text or calls of one turn; `formed` tells whether the turn follows the grammar exactly."""
    m = FORM.fullmatch(output)
    if not m:
        return {"formed": False, "thinking": "", "text": None, "calls": None, "raw": output}
    calls = None
    if m["action"] is not None:
        try:
            calls = [(c["tool_name"], c["parameters"]) for c in json.loads(m["action"])]
        except (ValueError, KeyError, TypeError):
            return {"formed": False, "thinking": m["thinking"], "text": None, "calls": None, "raw": output}
    return {"formed": True, "thinking": m["thinking"], "text": m["text"], "calls": calls, "raw": output}


FENCE = re.compile(r"```python\n(.*?)```", re.S)


def fenced_code(text):
    m = FENCE.search(text or "")
    return m[1] if m else None
