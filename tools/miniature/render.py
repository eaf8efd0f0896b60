"""The chat template and the token rows made with it."""
import json
import os

import jinja2
from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.environ.get("MINIATURE_MODEL") or os.path.normpath(os.path.join(HERE, "..", "..", "data", "miniature"))


def load_template(path=os.path.join(MODEL, "chat_template.jinja")):
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.filters["tojson"] = lambda v: json.dumps(v, ensure_ascii=False)
    with open(path, encoding="utf-8") as f:
        return env.from_string(f.read())


class Renderer:
    """Text and ids of conversations; weights of the training loss per token."""

    def __init__(self, tokenizer=os.path.join(MODEL, "tokenizer.json")):
        self.template = load_template()
        self.tok = Tokenizer.from_file(tokenizer)
        self.id = self.tok.token_to_id
        self.bos, self.pad, self.eot = self.id("<BOS_TOKEN>"), self.id("<PAD>"), self.id("<|END_OF_TURN_TOKEN|>")
        self.chatbot, self.user = self.id("<|CHATBOT_TOKEN|>"), self.id("<|USER_TOKEN|>")

    def text(self, messages, tools=None, prompt=False):
        return self.template.render(messages=messages, tools=tools or [], add_generation_prompt=prompt)

    def encode(self, text):
        return self.tok.encode(text, add_special_tokens=False).ids

    def prompt_ids(self, messages, tools=None):
        return self.encode(self.text(messages, tools, prompt=True))

    def weights(self, ids):
        """1 for what the assistant says, very little for the user's text, the platform turn and tool results:
        most of that is random and cannot be predicted."""
        out, current = [], 0.005
        for t in ids:
            if t == self.chatbot:
                out.append(0.005)
                current = 1.0
                continue
            out.append(current)
            if t == self.user:
                current = 0.02
            elif t == self.eot:
                current = 0.005
        return out
