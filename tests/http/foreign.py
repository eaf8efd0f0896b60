#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A foreign chat server, for tests of everything that drives one: OpenAI's chat completions,
Ollama's /api/chat and Anthropic's messages on one port, scripted, and misbehaving on demand.

    foreign.py --log FILE [--answers FILE] [--replay FILE] [--fault NAME=VALUE]...

Prints its port.  --answers holds one JSON object a line, used in turn, the last one repeated:
{"thinking", "text", "calls": [{"name", "arguments"}], "finish": "stop"|"length"}; without it the
last message is echoed.  --replay sends the bytes of a recorded answer instead.  Each request is one
JSON line in FILE: path, key, body, status, chunks sent, began, first (time of the first chunk).

Faults: rate=N chunks a second; first=SECONDS before the first chunk; stall=SECONDS after stall_at=N
chunks; cut=N closes after N chunks; busy=N answers the first N requests 429 (busy_status=500 ...)
with retry_after=S; malformed=N breaks the JSON of chunk N; error=N sends an error as chunk N;
no_end=1 leaves out the terminal event; tear=BYTES sends the stream in pieces of so many bytes;
field=reasoning names OpenAI's field for thinking; markup=north or think puts thinking and calls
into the content; no_usage=1; ends=crlf; comments=1; ctx=N is the
window, longer prompts (in words) are refused; key=K is demanded.
"""
import argparse
import http.server
import json
import socket
import socketserver
import sys
import threading
import time


def pieces(text):
    """Words with the blank before them: what a token looks like."""
    out, word = [], ""
    for c in text:
        if c == " " and word:
            out.append(word)
            word = ""
        word += c
    return out + [word] if word else out


class State:
    def __init__(self, args):
        self.faults = dict(f.split("=", 1) for f in args.fault)
        self.answers = [json.loads(line) for line in open(args.answers)] if args.answers else None
        self.replay = open(args.replay, "rb").read() if args.replay else None
        self.log, self.lock, self.n = args.log, threading.Lock(), 0

    def fault(self, name, default=0.0):
        return type(default)(self.faults.get(name, default))

    def next(self):
        with self.lock:
            self.n += 1
            return self.n - 1

    def note(self, entry):
        with self.lock, open(self.log, "a") as f:
            f.write(json.dumps(entry) + "\n")


def events_of(dialect, answer, usage, state):
    """The JSON objects of a stream, each with its SSE event name."""
    thinking, text, calls = answer.get("thinking", ""), answer.get("text", ""), answer.get("calls", [])
    finish = answer.get("finish", "tool_calls" if calls else "stop")
    markup = state.fault("markup", "")
    if markup:
        north = markup == "north"
        opened = ("<|START_THINKING|>", "<|END_THINKING|>") if north else ("<think>", "</think>")
        text = (opened[0] + thinking + opened[1] if thinking else "") + (
            "<|START_TEXT|>%s<|END_TEXT|>" % text if north and text else text)
        if north and calls:
            text += "<|START_ACTION|>%s<|END_ACTION|>" % json.dumps([
                {"tool_call_id": str(i), "tool_name": c["name"], "parameters": c["arguments"]}
                for i, c in enumerate(calls)])
            calls = []
        thinking = ""
    if dialect == "openai":
        def chunk(delta, reason=None):
            return {"object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        yield None, chunk({"role": "assistant", "content": None})
        for p in pieces(thinking):
            yield None, chunk({state.fault("field", "reasoning_content"): p})
        for p in pieces(text):
            yield None, chunk({"content": p})
        for i, c in enumerate(calls):
            yield None, chunk({"tool_calls": [{"index": i, "id": "call_x%d" % i, "type": "function",
                                               "function": {"name": c["name"], "arguments": ""}}]})
            for p in pieces(json.dumps(c["arguments"])):
                yield None, chunk({"tool_calls": [{"index": i, "function": {"arguments": p}}]})
        if not state.fault("no_end"):
            yield None, chunk({}, finish)
        if not state.fault("no_usage"):
            yield None, {"choices": [], "usage": {
                "prompt_tokens": usage[0], "completion_tokens": usage[1],
                "total_tokens": sum(usage)}}
    elif dialect == "ollama":
        for key, source in (("thinking", thinking), ("content", text)):
            for p in pieces(source):
                m = {"role": "assistant", "content": ""}
                m[key] = p
                yield None, {"model": "m", "message": m, "done": False}
        if calls:
            yield None, {"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": [
                {"function": c} for c in calls]}, "done": False}
        if not state.fault("no_end"):
            yield None, {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True,
                         "done_reason": "length" if finish == "length" else "stop",
                         "total_duration": 4000000, "load_duration": 1000000,
                         "prompt_eval_count": usage[0], "prompt_eval_duration": 1000000,
                         "eval_count": usage[1], "eval_duration": 2000000}
    else:
        yield "message_start", {"type": "message_start", "message": {
            "type": "message", "role": "assistant", "content": [],
            "usage": {"input_tokens": usage[0], "output_tokens": 0}}}
        index = 0
        blocks = [("thinking", thinking), ("text", text)] + [("tool_use", c) for c in calls]
        for kind, source in blocks:
            if not source:
                continue
            start = {"type": kind, "id": "toolu_%d" % index, "name": source["name"], "input": {}} \
                if kind == "tool_use" else {"type": kind, kind: ""}
            yield "content_block_start", {"type": "content_block_start", "index": index,
                                          "content_block": start}
            key, delta = {"thinking": ("thinking", "thinking_delta"), "text": ("text", "text_delta"),
                          "tool_use": ("partial_json", "input_json_delta")}[kind]
            body = json.dumps(source["arguments"]) if kind == "tool_use" else source
            for p in pieces(body):
                yield "content_block_delta", {"type": "content_block_delta", "index": index,
                                              "delta": {"type": delta, key: p}}
            yield "content_block_stop", {"type": "content_block_stop", "index": index}
            index += 1
        if not state.fault("no_end"):
            stop = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[finish]
            yield "message_delta", {"type": "message_delta", "delta": {"stop_reason": stop},
                                    "usage": {"output_tokens": usage[1]}}
            yield "message_stop", {"type": "message_stop"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = None

    def log_message(self, *args):
        pass

    def plain(self, status, value, headers=()):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, v in headers:
            self.send_header(name, v)
        self.end_headers()
        self.wfile.write(body)
        self.entry["status"] = status

    def do_GET(self):
        self.entry = {}
        known = {"/v1/models": {"object": "list", "data": [{
            "id": "m", "object": "model", "owned_by": "vllm",
            "max_model_len": int(self.state.fault("ctx", 32768))}]},
            "/api/version": {"version": "0.33.0"}, "/api/ps": {"models": []},
            "/api/tags": {"models": [{"name": "m:latest"}]}, "/version": {"version": "0.11.0"}}
        value = known.get(self.path)
        self.plain(200 if value else 404, value or {"error": "not found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        key = self.headers.get("x-api-key") or (self.headers.get("Authorization") or "")[7:]
        self.entry = {"path": self.path, "key": key, "began": time.time(), "chunks": 0}
        try:
            self.entry["body"] = json.loads(body)
            self.answer(self.entry["body"], key)
        except (BrokenPipeError, ConnectionResetError):
            self.entry["left"] = True
            self.close_connection = True
        finally:
            self.state.note(self.entry)

    def answer(self, request, key):
        state, n = self.state, self.state.next()
        dialect = {"/v1/chat/completions": "openai", "/api/chat": "ollama",
                   "/v1/messages": "anthropic"}.get(self.path)
        if dialect is None:
            return self.plain(404, {"error": {"message": "no such route"}})
        if state.fault("key", "") and key != state.fault("key", ""):
            return self.plain(401, {"error": {"message": "wrong key"}})
        if n < state.fault("busy"):
            return self.plain(int(state.fault("busy_status", 429)), {"error": {"message": "busy"}},
                              [("Retry-After", state.fault("retry_after", "0"))])
        if state.replay:
            self.wfile.write(state.replay)
            self.close_connection = True
            return None
        prompt = json.dumps(request.get("messages", [])).split()
        if state.fault("ctx") and len(prompt) > state.fault("ctx"):
            return self.plain(400, {"error": {
                "message": "this model's maximum context length is %d tokens" % state.fault("ctx"),
                "code": "context_length_exceeded"}})
        n -= int(state.fault("busy"))
        if state.answers:
            answer = state.answers[min(n, len(state.answers) - 1)]
        else:
            answer = {"text": "echo: " + str(request["messages"][-1].get("content", ""))}
        words = sum(len(pieces(answer.get(k, ""))) for k in ("thinking", "text"))
        return self.stream(dialect, list(events_of(dialect, answer, (len(prompt), words), state)))

    def stream(self, dialect, events):
        state, end = self.state, b"\r\n" if self.state.fault("ends", "") == "crlf" else b"\n"
        kind = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.entry["status"] = 200
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        time.sleep(state.fault("first"))
        began = time.monotonic()
        for i, (name, value) in enumerate(events):
            if state.fault("rate"):  # against a clock, so that lateness does not add up
                time.sleep(max(0.0, began + i / state.fault("rate") - time.monotonic()))
            if state.fault("stall") and i == state.fault("stall_at"):
                time.sleep(state.fault("stall"))
            if state.fault("cut") and i == state.fault("cut"):
                self.close_connection = True
                return
            if state.fault("error") and i == state.fault("error"):
                value, name = {"error": {"message": "the model fell over", "code": 500}}, "error"
            data = json.dumps(value, ensure_ascii=False).encode()
            if state.fault("malformed") and i == state.fault("malformed"):
                data = data[:-2]
            if dialect == "ollama":
                data += end
            else:
                data = (b"event: " + name.encode() + end if name and dialect == "anthropic" else b"") + \
                    (b": keep-alive" + end if state.fault("comments") else b"") + \
                    b"data: " + data + end + end
            self.send(data)
            self.entry.setdefault("first", time.time())
            self.entry["chunks"] += 1
        if dialect == "openai" and not state.fault("no_end"):
            self.send(b"data: [DONE]" + end + end)
        self.wfile.write(b"0\r\n\r\n")

    def send(self, data):
        tear = int(self.state.fault("tear")) or len(data)
        for at in range(0, len(data), tear):
            piece = data[at:at + tear]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # a client that left


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--answers")
    parser.add_argument("--replay")
    parser.add_argument("--fault", action="append", default=[])
    args = parser.parse_args()
    open(args.log, "w").close()
    Handler.state = State(args)
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()  # lives as long as whoever started it keeps our stdin open


if __name__ == "__main__":
    main()
