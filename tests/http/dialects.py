"""The same question in every dialect: the same tool name, arguments, finish reason and usage.  And
stop strings, cached beginnings, drain.  `dialects.py PORT GROUP`; standard library only."""
import json
import os
import re
import signal
import sys
import threading
import time
import urllib.request

PORT = int(sys.argv[1])
TOOL = {"name": "get_weather", "description": "d",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


def post(path, body, raw=False):
    r = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", json.dumps(body).encode(),
                               {"Content-Type": "application/json"})
    with urllib.request.urlopen(r, timeout=60) as f:
        data = f.read().decode()
    return data if raw else json.loads(data)


def same(name, got, want):
    if got != want:
        sys.exit(f"{name}: {got!r} is not {want!r}")
    print(f"ok {name}")


def tools():
    q = [{"role": "user", "content": "weather?"}]
    fn = [{"type": "function", "function": TOOL}]
    a = post("/v1/chat/completions", {"model": "m", "messages": q, "tools": fn})
    o = post("/api/chat", {"model": "m", "messages": q, "tools": fn, "stream": False})
    m = post("/v1/messages", {"model": "m", "max_tokens": 500, "messages": q, "tools": [
        {"name": TOOL["name"], "description": "d", "input_schema": TOOL["parameters"]}]})
    r = post("/v1/responses", {"model": "m", "input": "weather?", "tools": [dict(TOOL, type="function")]})
    calls = [
        [(c["function"]["name"], json.loads(c["function"]["arguments"]))
         for c in a["choices"][0]["message"]["tool_calls"]],
        [(c["function"]["name"], c["function"]["arguments"]) for c in o["message"]["tool_calls"]],
        [(c["name"], c["input"]) for c in m["content"] if c["type"] == "tool_use"],
        [(c["name"], json.loads(c["arguments"])) for c in r["output"] if c["type"] == "function_call"]]
    for c in calls:
        same("calls", c, [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"})])
    same("finish", (a["choices"][0]["finish_reason"], o["done_reason"], m["stop_reason"], r["status"]),
         ("tool_calls", "stop", "tool_use", "completed"))
    usage = [(a["usage"]["prompt_tokens"], a["usage"]["completion_tokens"]),
             (o["prompt_eval_count"], o["eval_count"]),
             (m["usage"]["input_tokens"] + m["usage"]["cache_read_input_tokens"],
              m["usage"]["output_tokens"]),
             (r["usage"]["input_tokens"], r["usage"]["output_tokens"])]
    same("usage", usage, [usage[0]] * 4)
    count = post("/v1/messages/count_tokens", {"model": "m", "messages": q, "tools": [
        {"name": TOOL["name"], "description": "d", "input_schema": TOOL["parameters"]}]})
    same("count_tokens", count["input_tokens"], usage[2][0])


def stops():
    q = [{"role": "user", "content": "greet"}]
    a = post("/v1/chat/completions", {"model": "m", "messages": q, "stop": ["STOP", "zzz"]})
    same("openai", (a["choices"][0]["message"]["content"], a["choices"][0]["finish_reason"]),
         ("Hello ", "stop"))
    m = post("/v1/messages", {"model": "m", "max_tokens": 99, "messages": q, "stop_sequences": ["STOP"]})
    same("anthropic", (m["content"][-1]["text"], m["stop_reason"], m["stop_sequence"]),
         ("Hello ", "stop_sequence", "STOP"))
    s = post("/v1/chat/completions", {"model": "m", "messages": q, "stream": True, "stop": "P ther"}, True)
    text = "".join(json.loads(x)["choices"][0]["delta"].get("content") or ""
                   for x in re.findall(r"data: (\{.*\})", s))
    same("a stop string across tokens, streamed", text, "Hello STO")


def cache():
    """The second turn of a conversation finds the first, thinking left out by the client."""
    q = [{"role": "user", "content": "Write a function that adds two numbers."}]
    a = post("/v1/chat/completions", {"model": "m", "messages": q, "temperature": 0})
    text = a["choices"][0]["message"]["content"]
    q += [{"role": "assistant", "content": text + "\n"}, {"role": "user", "content": "Another one."}]
    b = post("/v1/chat/completions", {"model": "m", "messages": q, "temperature": 0, "max_tokens": 3})
    first = a["usage"]["prompt_tokens"] + a["usage"]["completion_tokens"]
    cached = b["usage"]["prompt_tokens_details"]["cached_tokens"]
    if cached < 0.95 * (first - 1):
        sys.exit(f"{cached} cached of {first}")
    print(f"ok the second turn: {cached} cached of {b['usage']['prompt_tokens']}")
    if len(sys.argv) > 3:
        return
    q[0]["content"] = "Write a function that adds three numbers."
    post("/v1/chat/completions", {"model": "m", "messages": q, "temperature": 0, "max_tokens": 3})
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/debug/cache") as f:
        miss = json.load(f)["requests"][0]["cache_miss_at"]
    if not re.match(r"token \d+ \(message 0, user", miss):
        sys.exit(f"the miss is not explained: {miss!r}")
    print(f"ok {miss}")


def choice():
    """tool_choice is obeyed whatever the model would like; arguments fit the tool's schema."""
    fn = [{"type": "function", "function": TOOL},
          {"type": "function", "function": {"name": "roll", "description": "d", "parameters": {
              "type": "object", "required": ["sides"], "additionalProperties": False,
              "properties": {"sides": {"type": "integer", "minimum": 2, "maximum": 20},
                             "kind": {"enum": ["fair", "loaded"]}}}}}]
    for i in range(6):
        q = {"model": "m", "seed": i, "tools": fn, "max_tokens": 400,
             "messages": [{"role": "user", "content": f"Write a function that adds {i}."}]}
        for want in ("required", {"type": "function", "function": {"name": "roll"}}):
            m = post("/v1/chat/completions", dict(q, tool_choice=want, reasoning_effort="none"))
            m = m["choices"][0]
            if m["finish_reason"] == "length":
                continue
            calls = m["message"]["tool_calls"]
            for c in calls:
                args = json.loads(c["function"]["arguments"])
                if c["function"]["name"] == "roll" and not 2 <= args["sides"] <= 20:
                    sys.exit(f"arguments against the schema: {args}")
            if want != "required" and [c["function"]["name"] for c in calls] != ["roll"]:
                sys.exit(f"the named tool was not called: {calls}")
        m = post("/v1/chat/completions", dict(q, tool_choice="none"))["choices"][0]["message"]
        if m.get("tool_calls"):
            sys.exit("a call although tool_choice is none")
    print("ok tool_choice")


def formats():
    """JSON mode and a schema, in every dialect."""
    schema = {"type": "object", "required": ["n", "tag"], "additionalProperties": False,
              "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 99},
                             "tag": {"enum": ["a", "b"]}}}

    def fits(name, text, done):
        if not done:
            return
        v = json.loads(text)
        if set(v) != {"n", "tag"} or not 1 <= v["n"] <= 99 or v["tag"] not in "ab":
            sys.exit(f"{name}: {text}")
    for seed in range(4):
        q = [{"role": "user", "content": "Write a function that adds two numbers."}]
        a = post("/v1/chat/completions", {"model": "m", "messages": q, "seed": seed, "response_format": {
            "type": "json_schema", "json_schema": {"name": "x", "schema": schema}}})["choices"][0]
        fits("openai", a["message"]["content"], a["finish_reason"] == "stop")
        o = post("/api/chat", {"model": "m", "messages": q, "stream": False, "format": schema,
                               "options": {"seed": seed}})
        fits("ollama", o["message"]["content"], o["done_reason"] == "stop")
        r = post("/v1/responses", {"model": "m", "input": "Add.", "seed": seed, "text": {"format": {
            "type": "json_schema", "name": "x", "schema": schema}}})
        fits("responses", r["output"][-1].get("content", [{}])[0].get("text", ""),
             r["status"] == "completed")
        j = post("/v1/chat/completions", {"model": "m", "messages": q, "seed": seed, "max_tokens": 300,
                                          "response_format": {"type": "json_object"}})["choices"][0]
        if j["finish_reason"] == "stop" and not isinstance(json.loads(j["message"]["content"]), dict):
            sys.exit(f"JSON mode: {j}")
    print("ok formats")


def neighbours():
    """Greedy answers do not depend on what shares the batch."""
    ask = lambda n: {"model": "m", "temperature": 0, "max_tokens": 40,
                     "messages": [{"role": "user", "content": f"Write a function that adds {n}."}]}
    alone = [post("/v1/chat/completions", ask(n))["choices"] for n in range(6)]
    got = [None] * 6
    threads = [threading.Thread(target=lambda n=n: got.__setitem__(
        n, post("/v1/chat/completions", ask(n))["choices"])) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same("together as alone", got, alone)


def drain():
    """SIGTERM while four answers stream: each ends with its dialect's last word."""
    pid = int(sys.argv[3])
    q = [{"role": "user", "content": "count to ten"}]
    out = {}

    def one(path, body):
        out[path] = post(path, dict(body, stream=True), True)
    threads = [threading.Thread(target=one, args=a) for a in (
        ("/v1/chat/completions", {"model": "m", "messages": q}),
        ("/v1/messages", {"model": "m", "max_tokens": 400, "messages": q}),
        ("/api/chat", {"model": "m", "messages": q}),
        ("/v1/responses", {"model": "m", "input": "count to ten"}))]
    for t in threads:
        t.start()
    time.sleep(0.4)
    os.kill(pid, signal.SIGTERM)
    for t in threads:
        t.join()
    ends = {"/v1/chat/completions": "data: [DONE]", "/v1/messages": '"message_stop"',
            "/api/chat": '"done":true', "/v1/responses": "event: response.completed"}
    for path, end in ends.items():
        if end not in out[path][-3000:]:
            sys.exit(f"{path} ends with {out[path][-300:]!r}")
    print("ok drain")


globals()[sys.argv[2]]()
