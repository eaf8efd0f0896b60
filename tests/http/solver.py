# SPDX-License-Identifier: Apache-2.0
"""A policy for scripted.py: solves the tasks of eval.bats, or fails as it is told.

    solver.py:solve[:NAME=HOW,...]

NAME is a task's function (or "all"), HOW one of: wrong, cut, stall, malformed, error, no_end,
disconnect, http500, http429, http400, http401, prose, loop, think_loop, thinking_only, long, nul,
calls, sampled; "HOW*N" does it for the first N requests of that task only.
"""
import re

from scripted import last_user

BODIES = {"add": "x + y", "sub": "x - y", "mul": "x * y", "div": "x // y", "mod": "x % y",
          "pow": "x ** y", "shl": "x << y", "and_": "x & y"}
asked = {}


def code(name, body):
    return "```python\ndef %s(x, y):\n    return %s\n```" % (name, body)


def solve(request, n, argument):
    name = re.search(r"def (\w+)\(", last_user(request)).group(1)
    asked[name] = asked.get(name, 0) + 1
    answer = {"thinking": "How do I %s? ```python\ndef %s(x, y): return 1\n```" % (name, name),
              "text": "Here it is:\n\n" + code(name, BODIES[name])}
    for rule in filter(None, (argument or "").split(",")):
        who, how = rule.split("=")
        how, _, times = how.partition("*")
        if who not in (name, "all") or (times and asked[name] > int(times)):
            continue
        if how == "wrong":
            answer["text"] = code(name, "1")
        elif how in ("cut", "malformed", "error"):
            answer["faults"] = {how: "12"}
        elif how == "stall":
            answer["faults"] = {"stall": "30", "stall_at": "12"}
        elif how == "no_end":
            answer["faults"] = {"no_end": "1"}
        elif how == "disconnect":
            return {"disconnect": True}
        elif how.startswith("http"):
            return {"status": int(how[4:]), "retry_after": "0"}
        elif how == "prose":
            answer["text"] = "I would rather not."
        elif how == "loop":
            answer["text"] += "\n" + "and so on and on " * 2000
            answer["finish"] = "length"
        elif how == "think_loop":
            answer = {"thinking": "Wait, let me think about that again. " * 2000, "text": "",
                      "finish": "length"}
        elif how == "thinking_only":
            answer["text"], answer["finish"] = "", "length"
        elif how == "long":
            answer["text"] += "\n" + "0123456789abcde\n" * (10 * 65536)
        elif how == "nul":
            answer["text"] = code(name, "1 #\0")
        elif how == "calls":
            answer["calls"], answer["text"] = [{"name": "bash", "arguments": {"c": "ls"}}], ""
        elif how == "sampled":
            answer["text"] = code(name, BODIES[name] if request["seed"] % 2 else "1")
    return answer
