"""The vendors' own SDKs against a running server: `serve_clients.py PORT MODEL [SCHEMAS ANSWERS]`.
Needs openai, anthropic, ollama, jsonschema."""
import json
import random
import sys

import anthropic
import jsonschema
import ollama
import openai

PORT, MODEL = int(sys.argv[1]), sys.argv[2]
SCHEMAS, ANSWERS = (int(x) for x in (sys.argv[3:] or (20, 1)))
URL = f"http://127.0.0.1:{PORT}"
oai = openai.OpenAI(base_url=URL + "/v1", api_key="local")
ant = anthropic.Anthropic(base_url=URL, api_key="local")
oll = ollama.Client(host=URL)
Q = "Write a function that adds two numbers."
PARAMETERS = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather.",
                                           "parameters": PARAMETERS}}]


def ok(name):
    print("ok", name, flush=True)


def ollama_modes():
    assert oll.list().models[0].model.startswith(MODEL)
    assert oll.ps().models[0].context_length > 0
    assert oll.show(MODEL).modelinfo["general.architecture"] == "cohere2_moe"
    thinking = content = ""
    for part in oll.chat(MODEL, [{"role": "user", "content": Q}], stream=True, think=True,
                         options={"temperature": 0}):
        thinking += part.message.thinking or ""
        content += part.message.content or ""
    assert thinking and content and "<|" not in content, (thinking, content)
    for v in (part.total_duration, part.load_duration, part.prompt_eval_count,
              part.prompt_eval_duration, part.eval_count, part.eval_duration):
        assert v > 0
    assert part.done_reason == "stop"
    g = oll.generate(MODEL, Q, options={"temperature": 0, "num_predict": 8})
    assert g.context and g.done_reason == "length"
    for wrong, status in ((lambda: oll.embed(MODEL, "x"), 400), (lambda: oll.show("nobody"), 404)):
        try:
            wrong()
            raise AssertionError("not refused")
        except ollama.ResponseError as e:
            assert e.status_code == status, e
    assert oll.pull(MODEL).status == "success"
    ok("ollama: list, ps, show, chat, generate, embed refused, pull")


def random_schema(r, depth=0):
    kind = r.choice(["string", "integer", "boolean", "enum", "number", "null"] +
                    ["object", "array", "anyOf"] * (depth < 2))
    if kind == "object":
        names = r.sample(["a", "b", "name", "x y", "\u00e9t\u00e9", "n"], r.randint(1, 3))
        return {"type": "object", "properties": {n: random_schema(r, depth + 1) for n in names},
                "required": r.sample(names, r.randint(0, len(names))), "additionalProperties": False}
    if kind == "array":
        lo = r.randint(0, 2)
        return {"type": "array", "items": random_schema(r, depth + 1), "minItems": lo,
                "maxItems": lo + r.randint(0, 2)}
    if kind == "anyOf":
        return {"anyOf": [random_schema(r, depth + 1), random_schema(r, depth + 1)]}
    if kind == "string":
        lo = r.randint(0, 3)
        return {"type": "string", "minLength": lo, "maxLength": lo + r.randint(0, 8)}
    if kind in ("integer", "number"):
        lo = r.randint(-50, 50)
        return {"type": kind, "minimum": lo, "maximum": lo + r.randint(1, 1000)}
    if kind == "enum":
        return {"enum": r.sample(["red", "green", 1, 12, 1.5, None, True, ["x"], "re"], 3)}
    return {"type": kind}


def schemas():
    r, cut = random.Random(7), 0
    for i in range(SCHEMAS):
        schema = {"type": "object", "properties": {"v": random_schema(r)}, "required": ["v"],
                  "additionalProperties": False}
        for k in range(ANSWERS):
            a = oll.chat(MODEL, [{"role": "user", "content": Q}], format=schema, think=False,
                         options={"seed": 100 * i + k, "num_predict": 600})
            if a.done_reason == "length":
                cut += 1
                continue
            try:
                jsonschema.validate(json.loads(a.message.content), schema)
            except Exception as e:
                raise SystemExit(f"{schema}\n{a.message.content!r}\n{e}")
    assert cut <= SCHEMAS * ANSWERS / 20, f"{cut} answers were cut"
    ok(f"{SCHEMAS} schemas x {ANSWERS} answers validate ({cut} cut by the limit)")


def openai_modes():
    assert oai.models.list().data[0].id == MODEL
    messages, text = [{"role": "user", "content": Q}], ""
    for chunk in oai.chat.completions.create(model=MODEL, messages=messages, stream=True,
                                             temperature=0, stream_options={"include_usage": True}):
        if chunk.choices and chunk.choices[0].delta.content:
            text += chunk.choices[0].delta.content
    assert text and chunk.usage.total_tokens > 0
    first = chunk.usage.total_tokens
    messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "Again."}]
    b = oai.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=4)
    assert b.usage.prompt_tokens_details.cached_tokens >= 0.95 * (first - 1)
    ok("openai: stream, usage, the second turn is cached")
    named = {"type": "function", "function": {"name": "get_weather"}}
    n = 0
    for i in range(10):
        q = [{"role": "user", "content": f"Weather in city {i}?"}]
        for choice in ("required", named, "none", "auto"):
            m = oai.chat.completions.create(model=MODEL, messages=q, tools=TOOLS, seed=i,
                                            tool_choice=choice, max_tokens=400).choices[0]
            calls = m.message.tool_calls or []
            assert choice != "none" or not calls
            if choice in ("required", named) and m.finish_reason != "length":
                assert calls
            for c in calls:
                jsonschema.validate(json.loads(c.function.arguments), PARAMETERS)
                n += 1
    ok(f"openai: tool_choice over 10 prompts, {n} calls with valid arguments")
    calls = [{"id": f"call_{c}", "type": "function", "function": {
        "name": "get_weather", "arguments": json.dumps({"city": c})}} for c in ("A", "B")]
    a = oai.chat.completions.create(model=MODEL, tools=TOOLS, max_tokens=8, messages=[
        {"role": "user", "content": "?"}, {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_B", "content": "for B"},
        {"role": "tool", "tool_call_id": "call_A", "content": "for A"}])
    assert a.usage.prompt_tokens > 0
    ok("openai: results of parallel calls in reverse order")
    with oai.responses.stream(model=MODEL, input=Q, temperature=0) as stream:
        numbers = [e.sequence_number for e in stream]
        final = stream.get_final_response()
    assert numbers == list(range(len(numbers))) and final.status == "completed" and final.output_text
    assert final.usage.input_tokens_details.cached_tokens >= 0
    cut = oai.responses.create(model=MODEL, input=Q, max_output_tokens=5)
    assert cut.status == "incomplete" and cut.incomplete_details.reason == "max_output_tokens"
    ok("openai: responses stream, gapless; incomplete")
    c = oai.completions.create(model=MODEL, prompt="def add(a, b):", max_tokens=5, temperature=0)
    assert c.choices[0].finish_reason in ("length", "stop")
    for bad, kind in ((dict(messages=[]), openai.BadRequestError),
                      (dict(messages=[{"role": "user", "content": "x " * 90000}]),
                       openai.BadRequestError)):
        try:
            oai.chat.completions.create(model=MODEL, **bad)
            raise AssertionError("not refused")
        except kind:
            pass
    ok("openai: completions, errors")


def anthropic_modes():
    tools = [{"name": "get_weather", "description": "Weather.", "input_schema": PARAMETERS}]
    ask = dict(model=MODEL, messages=[{"role": "user", "content": Q}], tools=tools)
    count = ant.messages.count_tokens(**ask).input_tokens
    with ant.messages.stream(max_tokens=600, thinking={"type": "enabled", "budget_tokens": 1024},
                             **ask) as s:
        text = "".join(s.text_stream)
        m = s.get_final_message()
    assert count == m.usage.input_tokens + (m.usage.cache_read_input_tokens or 0)
    assert any(b.type == "thinking" and b.thinking and b.signature for b in m.content), m.content
    assert text == "".join(b.text for b in m.content if b.type == "text")
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
        m = ant.messages.create(max_tokens=500, tool_choice=choice, **ask)
        assert m.stop_reason == "max_tokens" or m.content[-1].type == "tool_use"
    try:
        ant.messages.create(max_tokens=9, model=MODEL,
                            messages=[{"role": "user", "content": "x " * 90000}])
        raise AssertionError("not refused")
    except anthropic.BadRequestError as e:
        assert "prompt is too long" in str(e)
    ok("anthropic: stream with tools and thinking, count_tokens, tool_choice, overflow")


for part in (ollama_modes, openai_modes, anthropic_modes, schemas):
    part()
