"""Ability (a): small function tasks. Chains of steps over numbers, texts, lists and words, and single templates.

`make(rng)` gives one instance: a dict with key (what decides train or held-out), name, args, text, note, body.
"""
from steps import (AGGREGATES, arrangement, condition, fill, mapping, number_step, text_step, word_map, word_test)
from templates import TEMPLATES
from words import function_name, held_out

NUMBER_ARGS = ("n", "x", "value", "num", "amount", "k")
TEXT_ARGS = ("s", "text", "word", "line", "name", "phrase")
LIST_ARGS = ("items", "nums", "values", "data", "numbers", "xs")
WORD_ARGS = ("words", "names", "tokens", "strings", "labels")
REQUEST = "Complete the function. Reply with one Python code block holding the whole function with its imports and helpers."


def join_steps(phrases):
    if len(phrases) == 1:
        return phrases[0]
    return ", then ".join(phrases)


def chain(rng, arg, count, step, subject):
    """`count` steps in sequence on one variable."""
    picked = []
    while len(picked) < count:
        s = step(rng)
        if not picked or picked[-1][0] != s[0]:
            picked.append(s)
    codes = [fill(s[3], s[1], arg) for s in picked]
    said = join_steps([fill(rng.choice(s[2]), s[1], arg) for s in picked])
    if count == 1:
        body = [f"return {codes[0]}"]
    else:
        body = [f"{arg} = {c}" for c in codes] + [f"return {arg}"]
    return dict(key=(subject,) + tuple((s[0], s[1]) for s in picked), args=[arg], kinds=[subject],
                text=f"Take the {'number' if subject == 'int' else 'text'} {arg}, {said}, and return it.",
                note="; ".join(codes), body=body)


def numbers(rng):
    return chain(rng, rng.choice(NUMBER_ARGS), rng.choices((1, 2, 3, 4), (4, 5, 4, 2))[0], number_step, "int")


def texts(rng):
    return chain(rng, rng.choice(TEXT_ARGS), rng.choices((1, 2, 3, 4), (4, 4, 3, 1))[0], text_step, "str")


def long_chains(rng):
    """Longer chains than any in training; used for the task set only."""
    if rng.random() < 0.5:
        return chain(rng, rng.choice(NUMBER_ARGS), rng.randint(5, 8), number_step, "int")
    return chain(rng, rng.choice(TEXT_ARGS), rng.randint(5, 6), text_step, "str")


def list_steps(rng, arg, test, change, order):
    """Filter, map and arrange in this order, each with some probability; at least one of them."""
    steps = []
    if rng.random() < 0.65:
        t = test(rng)
        said = fill(rng.choice(t[2]), t[1])
        var = "w" if test is word_test else "v"
        noun = "words" if var == "w" else "numbers"
        wording = f"keep the {noun} {said}" if var == "w" else f"keep the numbers that are {said}"
        steps.append((("if",) + t[:2], wording, f"[{var} for {var} in {arg} if {fill(t[3], t[1])}]"))
    if rng.random() < 0.6 or not steps:
        m = change(rng)
        var = "w" if change is word_map else "v"
        steps.append((("map",) + m[:2], fill(rng.choice(m[2]), m[1]), f"[{fill(m[3], m[1])} for {var} in {arg}]"))
    if rng.random() < 0.35:
        o = order(rng)
        steps.append((("order",) + o[:2], fill(rng.choice(o[2]), o[1]), fill(o[3], o[1], arg)))
    return steps


def lists(rng):
    arg = rng.choice(LIST_ARGS)
    steps = list_steps(rng, arg, condition, mapping, arrangement)
    agg = rng.choices(AGGREGATES, (5, 3, 2, 2, 5, 1, 1))[0]
    last = fill(agg[2], 0, arg)
    said = join_steps([s[1] for s in steps]) + ", and " + rng.choice(agg[1])
    body = [f"{arg} = {s[2]}" for s in steps] + [f"return {last}"]
    note = "; ".join([s[2] for s in steps] + [last])
    return dict(key=("list", agg[0]) + tuple(s[0] for s in steps), args=[arg], kinds=["list"],
                text=f"From the list {arg}, {said}.", note=note, body=body)


def word_lists(rng):
    arg = rng.choice(WORD_ARGS)
    steps = list_steps(rng, arg, word_test, word_map, arrangement)
    numeric = any(s[0][:2] == ("map", "len") for s in steps)
    sep = rng.choice(("-", "_", ", ", " ", "+", "/", "|"))
    choices = [("len", "return the count", f"len({arg})"), ("list", "return the list", arg)]
    choices.append(("sum", "return the sum", f"sum({arg})") if numeric
                   else (("join", sep), f"join them with '{sep}'", f"'{sep}'.join({arg})"))
    agg = rng.choice(choices)
    body = [f"{arg} = {s[2]}" for s in steps] + [f"return {agg[2]}"]
    return dict(key=("words", agg[0]) + tuple(s[0] for s in steps), args=[arg], kinds=["words"],
                text=f"From the list of words {arg}, {join_steps([s[1] for s in steps])}, and {agg[1]}.",
                note="; ".join([s[2] for s in steps] + [agg[2]]), body=body)


def loops(rng):
    """The same kind of work written as an explicit loop."""
    arg = rng.choice(LIST_ARGS)
    t, m = condition(rng), mapping(rng)
    kind = rng.choice(("sum", "count", "collect", "product"))
    test, change = fill(t[3], t[1]), fill(m[3], m[1])
    said, how = fill(rng.choice(t[2]), t[1]), fill(rng.choice(m[2]), m[1])
    start = {"sum": "total = 0", "count": "count = 0", "collect": "out = []", "product": "total = 1"}[kind]
    inner = {"sum": f"total += {change}", "count": "count += 1", "collect": f"out.append({change})",
             "product": "total *= v"}[kind]
    name = start.split(" ")[0]
    text = {"sum": f"Use a loop over {arg}: for the numbers that are {said}, {how}, and return the sum.",
            "count": f"Use a loop to count the numbers in {arg} that are {said}.",
            "collect": f"Use a loop over {arg}: for the numbers that are {said}, {how}, and return the list.",
            "product": f"Use a loop to multiply the numbers in {arg} that are {said}."}[kind]
    body = [start, f"for v in {arg}:", f"    if {test}:", f"        {inner}", f"return {name}"]
    used = (m[0], m[1]) if kind in ("sum", "collect") else ()
    return dict(key=("loop", kind, t[0], t[1]) + used, args=[arg], kinds=["list"], text=text,
                note=f"{start}; if {test}; {inner}", body=body)


def single(rng):
    maker = rng.choice(TEMPLATES)
    task = maker(rng)
    task["key"] = ("single", maker.__name__) + tuple(task.pop("const", ()))
    if len(task["key"]) == 2:
        task["free"] = True             # nothing varies but names and wording: those decide the split
    return task


FAMILIES = (numbers, texts, lists, word_lists, loops, single)
WEIGHTS = (20, 18, 20, 10, 12, 20)


def make(rng, family=None):
    maker = family or rng.choices(FAMILIES, WEIGHTS)[0]
    task = maker(rng)
    task["family"] = maker.__name__
    task["name"] = function_name(rng)
    if task.pop("free", False):
        task["key"] = task["key"] + (task["name"], tuple(task["args"]))
    task["held_out"] = held_out(task["key"])
    return task


def signature(task):
    return f"def {task['name']}({', '.join(task['args'])}):"


def stub(task):
    """The prompt field of HumanEval's format."""
    return f"{signature(task)}\n    \"\"\"{task['text']}\n    \"\"\"\n"


def body_text(task):
    return "".join(f"    {line}\n" for line in task["body"])


def request(rng, task, form=None):
    """The user's message. Form 0 is the one that an evaluation with HumanEval's format sends."""
    form = rng.choices((0, 1, 2), (5, 3, 2))[0] if form is None else form
    if form == 0:
        return f"{REQUEST}\n\n```python\n{stub(task)}```"
    call = f"{task['name']}({', '.join(task['args'])})"
    if form == 1:
        return f"Write a Python function {call}. {task['text']}"
    return f"{call}: {task['text'][0].lower()}{task['text'][1:]}"


def thinking(task):
    return f"I need {task['name']}({', '.join(task['args'])}). Steps: {task['note']}."


def answer(task):
    return f"```python\n{signature(task)}\n{body_text(task)}```"


def chat(rng, task, form=None):
    return [{"role": "user", "content": request(rng, task, form)},
            {"role": "assistant", "reasoning_content": thinking(task), "content": answer(task)}]
