#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A chat server that answers by rules, in every dialect the clients speak: the control of the
client tests.  A client that fails here fails by itself, not because of our server.

    rules.py --rules FILE --log FILE

Prints its port and lives as long as its standard input is open.  FILE is what `auklet serve
--script` reads: a JSON object a line, {"text": what the model writes, with its markers, "match": a
text or a list of texts that the prompt must hold, "repeat": true}, of which the first that fits is
played.  Here they are looked for in the request's JSON, so they must be free of signs that JSON
escapes, and every line may be used again.
"""
import argparse
import json
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
import foreign  # noqa: E402


def parsed(say):
    """Thinking, text and calls of the model's raw text."""
    thinking, _, rest = say.partition("<|END_THINKING|>")
    if not rest and "<|END_THINKING|>" not in say:
        thinking, rest = "", say
    actions = re.findall(r"<\|START_ACTION\|>(.*?)<\|END_ACTION\|>", rest, re.S)
    rest = re.sub(r"<\|START_ACTION\|>.*?<\|END_ACTION\|>", "", rest, flags=re.S)
    text = re.sub(r"<\|(START|END)_(TEXT|RESPONSE)\|>|<\|END_OF_TURN_TOKEN\|>", "", rest)
    calls = [{"name": c["tool_name"], "arguments": c["parameters"]}
             for a in actions for c in json.loads(a)]
    return {"thinking": thinking, "text": text, "calls": calls}


def blocks_of(answer):
    """Anthropic's content of a whole answer."""
    out = []
    if answer["thinking"]:
        out.append({"type": "thinking", "thinking": answer["thinking"], "signature": "s"})
    if answer["text"]:
        out.append({"type": "text", "text": answer["text"]})
    return out + [{"type": "tool_use", "id": "toolu_%d" % i, "name": c["name"],
                   "input": c["arguments"]} for i, c in enumerate(answer["calls"])]


class Handler(foreign.Handler):
    rules = []

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        self.path = self.path.split("?")[0]
        self.headers_seen = {k.lower(): v for k, v in self.headers.items()}
        super().do_POST()

    def pick(self, request):
        text = json.dumps(request, ensure_ascii=False)
        for r in self.rules:
            match = r.get("match", [])
            if all(w in text for w in ([match] if isinstance(match, str) else match)):
                return r["text"]
        return "<|END_THINKING|><|START_TEXT|>Fine.<|END_TEXT|>"

    def answer(self, request, key):
        if self.path == "/v1/messages/count_tokens":
            return self.plain(200, {"input_tokens": len(json.dumps(request)) // 4})
        if self.path == "/api/show":
            return self.plain(200, {"details": {"family": "cohere2_moe"}, "model_info": {
                "general.architecture": "cohere2_moe", "cohere2_moe.context_length": 32768},
                "capabilities": ["completion", "tools", "thinking"]})
        answer = parsed(self.pick(request))
        self.entry["answer"] = answer
        dialect = {"/v1/chat/completions": "openai", "/api/chat": "ollama", "/v1/messages":
                   "anthropic", "/v1/responses": "responses"}.get(self.path)
        usage = (len(json.dumps(request)) // 4, 12)
        if dialect is None:
            return self.plain(404, {"error": {"message": "no such route"}})
        if dialect == "responses":
            return self.answer_responses(request, answer, usage)
        if request.get("stream", dialect == "ollama"):
            events = list(foreign.events_of(dialect, answer, usage, self.state))
            for _, e in events:
                self.complete(dialect, request, e)
            return self.stream(dialect, events)
        return self.plain(200, self.whole(dialect, request, answer, usage))

    @staticmethod
    def complete(dialect, request, event):
        """What foreign.py leaves out and real clients insist on."""
        block = event.get("content_block", {})
        if block.get("type") == "tool_use":  # an id that comes twice is one call to Claude Code
            block["id"] = "toolu_%d" % time.time_ns()
        for choice in event.get("choices", []):
            for call in choice["delta"].get("tool_calls", []):
                if "id" in call:
                    call["id"] = "call_%d" % time.time_ns()
        if dialect == "openai":
            event.update(id="chatcmpl-1", created=1, model=request["model"])
            event.setdefault("object", "chat.completion.chunk")
        elif dialect == "ollama":
            event.update(model=request["model"], created_at="2026-01-01T00:00:00Z")
        elif event.get("type") == "message_start":
            event["message"].update(id="msg_1", model=request["model"], stop_reason=None,
                                    stop_sequence=None)

    @staticmethod
    def whole(dialect, request, answer, usage):
        finish = "tool_calls" if answer["calls"] else "stop"
        if dialect == "openai":
            message = {"role": "assistant", "content": answer["text"] or None}
            if answer["calls"]:
                message["tool_calls"] = [
                    {"id": "call_x%d" % i, "type": "function", "function": {
                        "name": c["name"], "arguments": json.dumps(c["arguments"])}}
                    for i, c in enumerate(answer["calls"])]
            return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1,
                    "model": request["model"],
                    "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                    "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1],
                              "total_tokens": sum(usage)}}
        if dialect == "ollama":
            return {"model": request["model"], "created_at": "2026-01-01T00:00:00Z", "message": {
                "role": "assistant", "content": answer["text"], "thinking": answer["thinking"],
                "tool_calls": [{"function": c} for c in answer["calls"]] or None}, "done": True,
                "done_reason": "stop", "total_duration": 3, "load_duration": 1,
                "prompt_eval_count": usage[0], "prompt_eval_duration": 1, "eval_count": usage[1],
                "eval_duration": 1}
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": request["model"],
                "content": blocks_of(answer), "stop_sequence": None,
                "stop_reason": "tool_use" if answer["calls"] else "end_turn",
                "usage": {"input_tokens": usage[0], "output_tokens": usage[1]}}

    def answer_responses(self, request, answer, usage):
        custom = {t["name"] for t in request.get("tools") or [] if t.get("type") == "custom"}
        items = []
        if answer["text"]:
            items.append({"type": "message", "id": "msg_%d" % time.time_ns(), "role": "assistant",
                          "status": "completed", "content": [
                              {"type": "output_text", "text": answer["text"], "annotations": []}]})
        for i, c in enumerate(answer["calls"]):
            ids = {"id": "fc_%d" % (time.time_ns() + i), "call_id": "call_%d" % (time.time_ns() + i),
                   "name": c["name"], "status": "completed"}
            items.append(dict(ids, type="custom_tool_call", input=c["arguments"]["input"])
                         if c["name"] in custom else
                         dict(ids, type="function_call", arguments=json.dumps(c["arguments"])))
        response = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
                    "model": request["model"], "output": items, "parallel_tool_calls": True,
                    "tool_choice": "auto", "tools": [], "usage": {
                        "input_tokens": usage[0], "output_tokens": usage[1],
                        "total_tokens": sum(usage), "input_tokens_details": {"cached_tokens": 0},
                        "output_tokens_details": {"reasoning_tokens": 0}}}
        if not request.get("stream"):
            return self.plain(200, response)
        events = [("response.created", {"response": dict(response, status="in_progress", output=[],
                                                         usage=None)})]
        for i, item in enumerate(items):
            events.append(("response.output_item.added", {"output_index": i, "item": dict(
                item, status="in_progress", **({"content": []} if "content" in item else {}))}))
            if item["type"] == "message":
                where = {"output_index": i, "content_index": 0, "item_id": item["id"]}
                part = item["content"][0]
                events += [("response.content_part.added", dict(where, part=dict(part, text=""))),
                           ("response.output_text.delta", dict(where, delta=part["text"])),
                           ("response.output_text.done", dict(where, text=part["text"])),
                           ("response.content_part.done", dict(where, part=part))]
            events.append(("response.output_item.done", {"output_index": i, "item": item}))
        events.append(("response.completed", {"response": response}))
        return self.stream("anthropic", [
            (name, dict(e, type=name, sequence_number=n)) for n, (name, e) in enumerate(events)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rules", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--fault", action="append", default=[])
    args = parser.parse_args()
    args.answers = args.replay = None
    Handler.rules = [json.loads(line) for line in open(args.rules) if line.strip()]
    Handler.state = foreign.State(args)
    open(args.log, "a").close()
    server = foreign.Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
