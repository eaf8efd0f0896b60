#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A scripted model behind a chat server: foreign.py's three dialects, answered by a policy.

    scripted.py --log FILE --policy NAME[:ARGUMENT] [--fault NAME=VALUE]... [--stamps FILE]
    scripted.py --log FILE --policy FILE.py:FUNCTION[:ARGUMENT] ...

Prints its port and lives as long as its standard input is open.  A policy is a function

    policy(request, n, argument) -> {"text", "thinking", "calls": [{"name", "arguments"}], "finish",
                                     "faults": {...}, "status": 500, "retry_after": "0"}

of the request's body, its number from 0 and the text after the policy's name.  "faults" are
foreign.py's for this one answer (stall, stall_at, cut, error, malformed, no_end, tear, ends ...);
"status" answers with that HTTP status instead; "disconnect": true closes without an answer.

The prompt's tokens are its words and signs; what a prompt shares with the one of the last eight
requests it shares most with counts as cached (--fault no_cache=1: nothing does, and nothing is
said about it; max_ctx=N is the window, of which the answer is a part).  --stamps FILE gets a JSON
line per answer: time.monotonic_ns() as each chunk was handed to the socket.
"""
import argparse
import importlib.util
import json
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import foreign  # noqa: E402


def text_of(content):
    if isinstance(content, list):
        return "".join(p.get("text", "") for p in content if isinstance(p, dict))
    return content or ""


def prompt_of(request):
    """The prompt as one text, tools first, whatever the dialect."""
    parts = [json.dumps(request.get("tools") or []), text_of(request.get("system"))]
    for m in request.get("messages", []):
        parts += [m.get("role", ""), text_of(m.get("content")), json.dumps(m.get("tool_calls") or [])]
    return "\n".join(parts)


def last_user(request):
    for m in reversed(request.get("messages", [])):
        if m.get("role") == "user":
            return text_of(m.get("content"))
    return ""


def tokens_of(text):
    return re.findall(r"\w+|[^\w\s]", text)


# ---- policies: what an audit is asked ----------------------------------------------------------

TASKS = [
    (r"Set the temperature of room (\S+) to (-?\d+) degrees Celsius\.", "set_temperature",
     lambda g: {"room": g[0], "celsius": int(g[1])}),
    (r"Book room (\S+) on (\w+) for (\d+) people\.", "book_room",
     lambda g: {"room": g[0], "day": g[1], "people": int(g[2])}),
    (r"Send a parcel of ([\d.]+) kg to (\w+) in (\w+)\.", "send_parcel",
     lambda g: {"recipient": g[1], "city": g[2], "weight_kg": float(g[0])}),
    (r"Open a ticket for device (\S+) with priority (\w+)\.", "open_ticket",
     lambda g: {"device": g[0], "priority": g[1]}),
    (r"Move (\d+) (\w+) from (\w+) to (\w+)\.", "move_stock",
     lambda g: {"item": g[1], "quantity": int(g[0]), "source": g[2], "target": g[3]}),
    (r"Set an alarm for (\d\d:\d\d) with the label (\w+)\.", "set_alarm",
     lambda g: {"time": g[0], "label": g[1]}),
]


def perfect(request, n, argument):
    """Finds the fact that is asked for, or makes the call."""
    text = last_user(request)
    asked = re.findall(r"Which number opens locker (\S+)\?", text)
    if asked:
        found = re.findall(r"Locker %s opens with (\d+)\." % re.escape(asked[-1]), text)
        return {"text": found[0] if len(found) == 1 else "nothing"}
    for pattern, name, arguments in TASKS:
        found = re.findall(pattern, text)
        if found:
            return {"calls": [{"name": name, "arguments": arguments(found[-1])}]}
    return {"text": "I do not know what is asked."}


def deep(request):
    return len(tokens_of(prompt_of(request)))


def wrong(request, n, argument):
    """The nearest distractor's number; the right tool with one argument changed."""
    answer = perfect(request, n, argument)
    for call in answer.get("calls", []):
        key = sorted(call["arguments"])[0]
        call["arguments"][key] = "somewhere"
        return answer
    text = last_user(request)
    asked = re.findall(r"Which number opens locker (\S+)\?", text)[-1]
    others = [v for k, v in re.findall(r"Locker (\S+) opens with (\d+)\.", text)
              if k != asked and k[:2] == asked[:2]]
    return {"text": others[0] if others else "nothing"}


def prose(request, n, argument):
    return {"text": "I have looked at the document with care and I am confident that it is all fine."}


def silent(request, n, argument):
    return {"text": ""}


def garbage(request, n, argument):
    return {"text": "}{[\x01 \u202e %%d \ufffd <|END| {\"name\": {\"args\" 0x1F"}


def shotgun(request, n, argument):
    """Every number of the document, and every tool: whoever counts a hit anywhere is fooled."""
    text = last_user(request)
    return {"text": " ".join(re.findall(r"opens with (\d+)\.", text)),
            "calls": [{"name": t["function"]["name"] if "function" in t else t["name"],
                       "arguments": {}} for t in request.get("tools") or []]}


def looper(request, n, argument):
    return {"text": "it is it is " * 40, "finish": "length"}


def truncated(request, n, argument):
    """Thinks until the limit, and names the right number on the way."""
    answer = perfect(request, n, argument)
    return {"thinking": "It could be %s." % json.dumps(answer), "text": "", "finish": "length"}


def abstainer(request, n, argument):
    return {"text": "I cannot help with that."}


def erroring(request, n, argument):
    return {"status": 500}


def foreign_dialect(request, n, argument):
    """The right call, written as text in Hermes' form."""
    answer = perfect(request, n, argument)
    return {"text": "".join("<tool_call>%s</tool_call>" % json.dumps(c) for c in answer["calls"])} \
        if answer.get("calls") else answer


def cliff(request, n, argument):
    """Perfect up to ARGUMENT tokens of prompt, wrong beyond it."""
    return (perfect if deep(request) <= int(argument) else wrong)(request, n, "")


def dip(request, n, argument):
    """Wrong from A to B tokens of prompt, perfect on either side: ARGUMENT is A-B."""
    a, b = map(int, argument.split("-"))
    return (wrong if a <= deep(request) <= b else perfect)(request, n, "")


def thinker(request, n, argument):
    answer = perfect(request, n, argument)
    answer["thinking"] = "Let me see. " * 20
    return answer


def words(request, n, argument):
    """ARGUMENT words, one a chunk."""
    return {"text": " ".join("w%d" % i for i in range(int(argument or 64)))}


def vanish(request, n, argument):
    """Perfect for ARGUMENT requests, then the server is gone."""
    return perfect(request, n, "") if n < int(argument) else {"disconnect": True}


def by_name(request, n, argument):
    """The policy that the model is called after: one server for many."""
    name, _, rest = request.get("model", "").partition("@")
    return globals()[name](request, n, rest)


def load_policy(text):
    name, _, rest = text.partition(":")
    if name.endswith(".py"):
        function, _, argument = rest.partition(":")
        spec = importlib.util.spec_from_file_location("policy", name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, function), argument
    return globals()[name], rest


# ---- the server --------------------------------------------------------------------------------

class Overlay:
    """A state with further faults for one answer."""

    def __init__(self, state, faults):
        self.base, self.faults = state, dict(state.faults, **{k: str(v) for k, v in faults.items()})

    def fault(self, name, default=0.0):
        return type(default)(self.faults.get(name, default))

    def __getattr__(self, name):
        return getattr(self.base, name)


class Handler(foreign.Handler):
    policy, argument, stamps, recent = None, "", None, []

    def cached(self, tokens):
        """Tokens shared with an earlier prompt, at most all but one."""
        best = 0
        with self.state.lock:
            for old in self.recent:
                n = 0
                while n < len(old) and n < len(tokens) - 1 and old[n] == tokens[n]:
                    n += 1
                best = max(best, n)
            self.recent.append(tokens)
            del self.recent[:-8]
        return best

    def answer(self, request, key):
        self.state = type(self).state  # a kept connection may still hold the last answer's
        state, n = self.state, self.state.next()
        dialect = {"/v1/chat/completions": "openai", "/api/chat": "ollama",
                   "/v1/messages": "anthropic"}.get(self.path)
        if dialect is None:
            return self.plain(404, {"error": {"message": "no such route"}})
        if state.fault("key", "") and key != state.fault("key", ""):
            return self.plain(401, {"error": {"message": "wrong key"}})
        tokens = tokens_of(prompt_of(request))
        most = request.get("max_tokens") or request.get("options", {}).get("num_predict") or 0
        self.entry["tokens"] = len(tokens)
        if state.fault("max_ctx") and len(tokens) + most > state.fault("max_ctx"):
            return self.plain(400, {"error": {
                "message": "this model's maximum context length is %d tokens" % state.fault("max_ctx"),
                "code": "context_length_exceeded"}})
        answer = self.policy(request, n, self.argument)
        self.entry["answer"] = {k: answer[k] for k in ("text", "calls", "finish") if k in answer}
        if answer.get("disconnect"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if answer.get("status"):
            return self.plain(answer["status"], {"error": {"message": answer.get("message", "no")}},
                              [("Retry-After", str(answer.get("retry_after", "0")))])
        self.state = Overlay(state, answer.get("faults", {}))
        said = len(tokens_of(answer.get("text", "") + answer.get("thinking", "") +
                             json.dumps(answer.get("calls", []))))
        if answer.get("count") or self.state.fault("count"):  # one token a chunk
            said = len(foreign.pieces(answer.get("thinking", ""))) + \
                len(foreign.pieces(answer.get("text", "")))
        events = list(foreign.events_of(dialect, answer, (len(tokens), said), self.state))
        if not self.state.fault("no_cache"):
            self.say_cached(dialect, events, self.cached(tokens))
        if self.stamps:
            self.times = []
        self.stream(dialect, events)
        if self.stamps:
            with state.lock, open(self.stamps, "a") as f:
                f.write(json.dumps(self.times) + "\n")
        return None

    @staticmethod
    def say_cached(dialect, events, cached):
        for _, e in events:
            usage = e.get("usage")
            if dialect == "openai" and usage:
                usage["prompt_tokens_details"] = {"cached_tokens": cached}
            elif dialect == "anthropic" and e.get("type") == "message_start":
                usage = e["message"]["usage"]
                usage["cache_read_input_tokens"] = cached
                usage["input_tokens"] -= cached

    def send(self, data):
        if self.stamps:
            self.times.append(time.monotonic_ns())
        super().send(data)

    def do_GET(self):
        self.entry = {}
        if self.path == "/v1/models" and self.state.fault("max_ctx"):
            return self.plain(200, {"object": "list", "data": [{
                "id": "m", "object": "model", "owned_by": "vllm",
                "max_model_len": int(self.state.fault("max_ctx"))}]})
        return super().do_GET()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--policy", required=True)
    parser.add_argument("--stamps")
    parser.add_argument("--fault", action="append", default=[])
    args = parser.parse_args()
    args.answers = args.replay = None
    open(args.log, "w").close()
    Handler.state = foreign.State(args)
    policy, Handler.argument = load_policy(args.policy)
    Handler.policy = staticmethod(policy)
    Handler.stamps = args.stamps
    server = foreign.Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
