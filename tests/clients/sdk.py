#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The openai, anthropic and ollama packages against our server, in every mode they are used in.

    sdk.py AUKLET [CHECK]...

Most checks let the miniature answer by itself: what is tested is the form, which must hold
whatever the model says.  Those that need certain words play a script behind the same server.
"""
import json
import os
import random
import sys
import time
import urllib.request

import anthropic
import jsonschema
import ollama
import openai

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Server, rule, run_checks, say  # noqa: E402

MODEL = "north-mini-code"
TOOL = {"type": "function", "function": {
    "name": "set_light", "description": "Switches a light", "parameters": {
        "type": "object", "properties": {"room": {"type": "string", "enum": ["hall", "kitchen"]},
                                         "on": {"type": "boolean"}},
        "required": ["room", "on"], "additionalProperties": False}}}
OTHER = {"type": "function", "function": {
    "name": "read_clock", "description": "The time", "parameters": {
        "type": "object", "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}},
        "required": ["zone"], "additionalProperties": False}}}
SCHEMAS = {t["function"]["name"]: t["function"]["parameters"] for t in (TOOL, OTHER)}
PROMPTS = ["Switch the light on.", "What time is it?", "Hello!", "Write a loop in C.", "Why?",
           "Light off in the hall", "2 + 2", "Translate: Haus", "Read the clock.", "Say nothing."]
PLAIN = {"chat_template_kwargs": {"enable_thinking": False}}
auklet = os.path.abspath(sys.argv[1])
live = None  # the server whose model answers


def oai(server=None):
    return openai.OpenAI(base_url=(server or live).url + "/v1", api_key="local", max_retries=0, timeout=120)


def claude(server=None):
    return anthropic.Anthropic(base_url=(server or live).url, api_key="local", max_retries=0, timeout=120)


def llama(server=None):
    return ollama.Client(host=(server or live).url)


def clean(text):
    assert "<|" not in (text or ""), text


def get(server, path):
    return json.load(urllib.request.urlopen(server.url + path))


# ---- ollama -----------------------------------------------------------------------------------

def ollama_chat_stream_think():
    thinking = content = ""
    last = None
    for chunk in llama().chat(MODEL, [{"role": "user", "content": "Add 2 and 3."}], stream=True,
                              think=True, options={"num_predict": 80, "seed": 1}):
        thinking += chunk.message.thinking or ""
        content += chunk.message.content or ""
        last = chunk
    assert thinking and last.done
    clean(thinking), clean(content)
    for key in ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration",
                "eval_count", "eval_duration"):
        assert getattr(last, key) > 0, key
    return "%d tokens" % last.eval_count


def ollama_chat_no_think():
    r = llama().chat(MODEL, [{"role": "user", "content": "Hi"}], think=False, options={"num_predict": 20})
    assert not r.message.thinking
    clean(r.message.content)


def ollama_generate_and_context():
    r = llama().generate(MODEL, "int main", options={"num_predict": 8})
    assert r.done and r.context, "context is empty"
    chunks = list(llama().generate(MODEL, "int main", raw=True, stream=True, options={"num_predict": 8}))
    assert chunks[-1].done


def ollama_about():
    c = llama()
    names = [m.model for m in c.list().models]
    assert names and any(MODEL in n or n for n in names)
    shown, running = c.show(names[0]), c.ps().models
    assert shown.modelinfo is not None and "tools" in shown.capabilities
    assert running and running[0].context_length > 0
    assert running[0].context_length == get(live, "/props")["default_generation_settings"]["n_ctx"]


def random_schema(rng, depth=0):
    kind = rng.choice(["object", "integer", "boolean", "enum", "string", "array", "number"] if depth < 2 else
                      ["integer", "boolean", "enum", "string"])
    if depth == 0 or kind == "object":
        names = rng.sample(["name", "size", "ok", "kind", "tags", "x"], rng.randint(1, 3))
        return {"type": "object", "properties": {n: random_schema(rng, depth + 1) for n in names},
                "required": names, "additionalProperties": False}
    if kind == "enum":
        return {"enum": rng.sample(["red", "green", "blue", 1, 2.5, None, True], 3)}
    if kind == "array":
        return {"type": "array", "items": random_schema(rng, depth + 1), "minItems": 0, "maxItems": 3}
    if kind == "string":
        return {"type": "string", "maxLength": rng.randint(1, 12)}
    if kind == "integer":
        return {"type": "integer", "minimum": -9, "maximum": 99}
    return {"type": kind}


def ollama_format_schema():
    rng = random.Random(7)
    for i in range(20):
        schema = random_schema(rng)
        r = llama().chat(MODEL, [{"role": "user", "content": "Describe thing %d." % i}], format=schema,
                         think=False, options={"seed": i, "num_predict": 1500})
        assert r.done_reason == "stop", (r.done_reason, schema, r.message.content[-200:])
        jsonschema.validate(json.loads(r.message.content), schema)
    return "20 of 20 schemas"


def ollama_errors():
    for call in (lambda: llama().embed(MODEL, "x"), lambda: llama().show("nobody/else"),
                 lambda: llama().chat(MODEL, [{"role": "user", "content": "x", "images": [b"\x89PNG\r\n\x1a\n"]}])):
        try:
            call()
        except ollama.ResponseError as e:
            assert 400 <= e.status_code < 502 and e.error, e
            continue
        raise AssertionError("no error")


# ---- openai: chat -----------------------------------------------------------------------------

def openai_stream_usage_and_cache():
    long = "Please keep these rules in mind. " * 40
    messages = [{"role": "system", "content": long}, {"role": "user", "content": "Hi"}]
    text, usage = "", None
    for chunk in oai().chat.completions.create(model=MODEL, messages=messages, stream=True, max_tokens=60,
                                               stream_options={"include_usage": True}):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
        usage = chunk.usage or usage
    assert usage.completion_tokens > 0 and usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    clean(text)
    again = oai().chat.completions.create(
        model=MODEL, max_tokens=8, messages=messages + [{"role": "assistant", "content": text or "."},
                                                        {"role": "user", "content": "More"}])
    cached = again.usage.prompt_tokens_details.cached_tokens
    assert cached >= 0.95 * (usage.prompt_tokens - 8), (cached, usage.prompt_tokens)
    return "%d of %d tokens from the cache" % (cached, again.usage.prompt_tokens)


def check_calls(message, names):
    assert message.tool_calls
    for c in message.tool_calls:
        assert c.function.name in names, c
        jsonschema.validate(json.loads(c.function.arguments), SCHEMAS[c.function.name])


def openai_tool_choice():
    for i, prompt in enumerate(PROMPTS):
        def ask(choice):
            r = oai().chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": prompt}], tools=[TOOL, OTHER],
                tool_choice=choice, max_tokens=400, seed=i, parallel_tool_calls=False, extra_body=PLAIN)
            clean(r.choices[0].message.content)
            return r.choices[0]
        r = ask("required")
        assert r.finish_reason == "tool_calls", r
        check_calls(r.message, SCHEMAS)
        r = ask({"type": "function", "function": {"name": "read_clock"}})
        check_calls(r.message, ["read_clock"])
        assert not ask("none").message.tool_calls
        r = ask("auto")
        if r.message.tool_calls:
            check_calls(r.message, SCHEMAS)
    return "40 of 40 obeyed"


def openai_parallel_tools_reversed():
    calls = [("set_light", {"room": "hall", "on": True}), ("read_clock", {"zone": "UTC"})]
    with Server(auklet, [rule(say("The hall is lit at noon."), "RESULT-CLOCK"), rule(say(calls=calls))]) as s:
        messages = [{"role": "user", "content": "Light and time, please."}]
        r = oai(s).chat.completions.create(model=MODEL, messages=messages, tools=[TOOL, OTHER])
        m = r.choices[0].message
        assert [(c.function.name, json.loads(c.function.arguments)) for c in m.tool_calls] == calls, m
        assert len({c.id for c in m.tool_calls}) == 2
        messages += [m.model_dump(exclude_none=True),
                     {"role": "tool", "tool_call_id": m.tool_calls[1].id, "content": "RESULT-CLOCK 12:00"},
                     {"role": "tool", "tool_call_id": m.tool_calls[0].id, "content": "RESULT-LIGHT on"}]
        body = json.dumps({"messages": messages, "tools": [TOOL, OTHER]}).encode()
        prompt = json.load(urllib.request.urlopen(s.url + "/apply-template", body))["prompt"]
        first, second = prompt.index("RESULT-LIGHT"), prompt.index("RESULT-CLOCK")
        assert first != second
        r = oai(s).chat.completions.create(model=MODEL, messages=messages, tools=[TOOL, OTHER])
        assert r.choices[0].message.content == "The hall is lit at noon."


def openai_json_schema_and_parse():
    import pydantic

    class Light(pydantic.BaseModel):
        room: str = pydantic.Field(max_length=8)
        on: bool
    r = oai().chat.completions.parse(model=MODEL, messages=[{"role": "user", "content": "The hall light?"}],
                                     response_format=Light, max_tokens=600, seed=3, extra_body=PLAIN)
    assert isinstance(r.choices[0].message.parsed, Light), r
    r = oai().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "JSON please"}],
                                      response_format={"type": "json_object"}, max_tokens=1500, temperature=0,
                                      extra_body=PLAIN)
    if r.choices[0].finish_reason == "stop":
        json.loads(r.choices[0].message.content)


def openai_tool_stream():
    calls = [("set_light", {"room": "kitchen", "on": False})]
    with Server(auklet, [rule(say(calls=calls))]) as s:
        name, arguments, finish = "", "", None
        with oai(s).chat.completions.stream(model=MODEL, messages=[{"role": "user", "content": "Dark"}],
                                            tools=[dict(TOOL, function=dict(TOOL["function"], strict=True))]) as stream:
            for event in stream:
                pass
            m = stream.get_final_completion().choices[0]
        name, arguments, finish = (m.message.tool_calls[0].function.name, m.message.tool_calls[0].function.arguments,
                                   m.finish_reason)
        assert (name, json.loads(arguments), finish) == (*calls[0], "tool_calls")


def openai_completions_models():
    r = oai().completions.create(model=MODEL, prompt="int main", max_tokens=5)
    assert r.choices[0].finish_reason in ("length", "stop") and r.usage.completion_tokens <= 5
    models = oai().models.list().data
    assert models and oai().models.retrieve(models[0].id).id == models[0].id
    try:
        oai().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x"}], logprobs=True)
    except openai.BadRequestError as e:
        assert "logprobs" in e.message
    else:
        raise AssertionError("logprobs were promised")
    r = oai().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x"}], max_tokens=2)
    assert r.choices[0].finish_reason == "length" and r.model == MODEL


def openai_errors():
    for call, kind in ((lambda: oai().embeddings.create(model=MODEL, input="x"), openai.APIStatusError),
                       (lambda: oai().models.retrieve("nobody"), openai.NotFoundError),
                       (lambda: oai().chat.completions.create(model=MODEL, messages=[{
                           "role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]),
                        openai.BadRequestError),
                       (lambda: oai().chat.completions.create(model=MODEL, messages=[{
                           "role": "user", "content": "word " * 300000}]), openai.BadRequestError)):
        try:
            call()
        except kind as e:
            assert e.body is not None and e.message, e
            last = e
            continue
        raise AssertionError("no error")
    assert last.code == "context_length_exceeded" and "maximum context length" in last.message, last


def openai_leaves_early():
    stream = oai().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Count."}],
                                           stream=True, max_tokens=4000, temperature=1.2)
    for i, _ in enumerate(stream):
        if i == 3:
            break
    stream.close()
    end = time.monotonic() + 2
    while any(s["is_processing"] for s in get(live, "/slots")):
        assert time.monotonic() < end, "the slot is still at work"
        time.sleep(0.02)


# ---- openai: responses ------------------------------------------------------------------------

def responses_stream():
    numbers, types = [], []
    with oai().responses.stream(model=MODEL, input="Say hello.", max_output_tokens=200) as stream:
        for event in stream:
            numbers.append(event.sequence_number), types.append(event.type)
        final = event.response
    assert numbers == list(range(len(numbers))), numbers[:20]
    assert types[0] == "response.created" and types[-1] in ("response.completed", "response.incomplete")
    assert final.usage.input_tokens > 0 and final.usage.input_tokens_details.cached_tokens >= 0
    assert final.usage.output_tokens_details.reasoning_tokens >= 0
    clean(final.output_text)
    return "%d events" % len(numbers)


def responses_incomplete():
    r = oai().responses.create(model=MODEL, input="Count to a thousand.", max_output_tokens=5)
    assert r.status == "incomplete" and r.incomplete_details.reason == "max_output_tokens", r.status
    assert r.usage.output_tokens == 5


def responses_tools():
    calls = [("set_light", {"room": "hall", "on": True})]
    flat = dict(TOOL["function"], type="function", strict=True)
    with Server(auklet, [rule(say("Lit."), "RESULT-LIGHT"), rule(say(calls=calls))]) as s:
        r = oai(s).responses.create(model=MODEL, input="Light the hall.", tools=[flat])
        call = next(i for i in r.output if i.type == "function_call")
        assert (call.name, json.loads(call.arguments)) == calls[0] and r.status == "completed"
        r = oai(s).responses.create(model=MODEL, tools=[flat], input=[
            {"role": "user", "content": "Light the hall."}, *[i.model_dump(exclude_none=True) for i in r.output],
            {"type": "function_call_output", "call_id": call.call_id, "output": "RESULT-LIGHT"}])
        assert r.output_text == "Lit."


# ---- anthropic --------------------------------------------------------------------------------

ANTHROPIC_TOOL = {"name": "set_light", "description": "Switches a light",
                  "input_schema": TOOL["function"]["parameters"]}


def anthropic_stream_tools_thinking():
    calls = [("set_light", {"room": "hall", "on": True})]
    request = {"model": MODEL, "max_tokens": 4096, "tools": [ANTHROPIC_TOOL],
               "messages": [{"role": "user", "content": "Light the hall."}],
               "thinking": {"type": "enabled", "budget_tokens": 1024}}
    with Server(auklet, [rule(say(calls=calls))]) as s:
        with claude(s).messages.stream(**request) as stream:
            kinds = [e.type for e in stream]
            m = stream.get_final_message()
        assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
        assert [b.type for b in m.content] == ["thinking", "tool_use"], m.content
        assert m.content[0].signature and (m.content[1].name, m.content[1].input) == calls[0]
        assert m.stop_reason == "tool_use"


def anthropic_count_tokens():
    request = {"model": MODEL, "tools": [ANTHROPIC_TOOL], "system": "Be brief. " * 30,
               "messages": [{"role": "user", "content": "Light the hall."}]}
    for _ in range(2):  # the second time from the cache
        counted = claude().messages.count_tokens(**request).input_tokens
        u = claude().messages.create(max_tokens=5, **request).usage
        assert counted == u.input_tokens + (u.cache_read_input_tokens or 0), (counted, u)
    assert u.cache_read_input_tokens > 0
    return "%d tokens, %d from the cache" % (counted, u.cache_read_input_tokens)


def anthropic_plain_and_errors():
    m = claude().messages.create(model=MODEL, max_tokens=3, messages=[{"role": "user", "content": "x"}])
    assert m.stop_reason in ("max_tokens", "end_turn") and m.usage.output_tokens <= 3
    try:
        claude().messages.create(model=MODEL, max_tokens=3, messages=[{"role": "user", "content": "word " * 300000}])
    except anthropic.BadRequestError as e:
        assert "prompt is too long" in e.message and e.body["type"] == "error", e
        return
    raise AssertionError("no error")


# ---- the same in every dialect ----------------------------------------------------------------

def anthropic_reads(message):
    use = next(b for b in message.content if b.type == "tool_use")
    u = message.usage
    return (use.name, dict(use.input), message.stop_reason == "tool_use",
            u.input_tokens + (u.cache_read_input_tokens or 0), u.output_tokens)


def same_in_every_dialect():
    calls = [("set_light", {"room": "kitchen", "on": True})]
    ask = [{"role": "user", "content": "Light the kitchen."}]
    with Server(auklet, [rule(say(calls=calls))]) as s:
        r = oai(s).chat.completions.create(model=MODEL, messages=ask, tools=[TOOL], temperature=0)
        c = r.choices[0].message.tool_calls[0].function
        seen = {"openai": (c.name, json.loads(c.arguments), r.choices[0].finish_reason == "tool_calls",
                           r.usage.prompt_tokens, r.usage.completion_tokens)}
        r = oai(s).responses.create(model=MODEL, input=ask, tools=[dict(TOOL["function"], type="function")])
        c = next(i for i in r.output if i.type == "function_call")
        seen["responses"] = (c.name, json.loads(c.arguments), r.status == "completed", r.usage.input_tokens,
                             r.usage.output_tokens)
        r = claude(s).messages.create(model=MODEL, max_tokens=500, messages=ask, tools=[ANTHROPIC_TOOL])
        seen["anthropic"] = anthropic_reads(r)
        # by hand: the ollama package leaves additionalProperties out of a tool
        body = json.dumps({"model": MODEL, "messages": ask, "tools": [TOOL], "stream": False}).encode()
        r = json.load(urllib.request.urlopen(s.url + "/api/chat", body))
        c = r["message"]["tool_calls"][0]["function"]
        seen["ollama"] = (c["name"], c["arguments"], r["done_reason"] in ("stop", "tool_calls"),
                          r["prompt_eval_count"], r["eval_count"])
    assert len({json.dumps(v) for v in seen.values()}) == 1, seen
    return "%d + %d tokens" % seen["openai"][3:]


CHECKS = [ollama_chat_stream_think, ollama_chat_no_think, ollama_generate_and_context, ollama_about,
          ollama_format_schema, ollama_errors, openai_stream_usage_and_cache, openai_tool_choice,
          openai_parallel_tools_reversed, openai_json_schema_and_parse, openai_tool_stream,
          openai_completions_models, openai_errors, openai_leaves_early, responses_stream,
          responses_incomplete, responses_tools, anthropic_stream_tools_thinking, anthropic_count_tokens,
          anthropic_plain_and_errors, same_in_every_dialect]

if __name__ == "__main__":
    with Server(auklet) as live:
        status = run_checks(CHECKS, sys.argv[2:])
    sys.exit(status)
