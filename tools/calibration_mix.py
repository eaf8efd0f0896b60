"""Writes data/calibration/mix.jsonl, the calibration data quantize uses when none is given.

usage: python tools/calibration_mix.py [OUT]

Chat requests, one a line, made from files of this repository alone: no model, no clock, one fixed seed, so a
rerun on the same tree writes the same bytes. Kinds: explain a file (prose from its header comment), write a
function (its code), read a file through a tool and answer, a change as a SEARCH/REPLACE block, and questions
answered from the documents. Benchmark texts (HumanEval, MBPP) and data/tasks are never read.
"""
import json
import os
import random
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIMIT = 420_000        # characters of the whole file
SEED = 8

TOOLS = [
    {"type": "function", "function": {"name": "read_file", "description": "Returns lines of a file.",
     "parameters": {"type": "object", "properties": {"path": {"type": "string"}, "first": {"type": "integer"},
                                                     "last": {"type": "integer"}}, "required": ["path"]}}},
    {"type": "function", "function": {"name": "grep", "description": "Lists lines that match.",
     "parameters": {"type": "object", "properties": {"pattern": {"type": "string"}, "path": {"type": "string"}},
                    "required": ["pattern"]}}},
]


def files(*ends):
    out = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [f for f in sorted(out.split("\n")) if f.endswith(ends) and not f.startswith(("data/", "tests/fuzz/corpus"))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def header(text):
    m = re.search(r"/\*(?! SPDX)(.*?)\*/", text, re.S) or re.search(r'"""(.*?)"""', text, re.S)
    return re.sub(r"\s*\n \* ?", "\n", m.group(1)).strip() if m else ""


def c_functions(text):
    return re.findall(r"(?:^/\*(?:[^*]|\*(?!/))*\*/\n)?^[a-z][^\n;{}]*\([^;{}]*\)\n\{\n.*?^\}\n", text, re.M | re.S)


def py_functions(text):
    return re.findall(r"^def .*?(?=\n\n\n|\Z)", text, re.M | re.S)


def language(path):
    return {"c": "c", "h": "c", "py": "python", "sh": "bash", "bats": "bash"}.get(path.rsplit(".", 1)[-1], "")


def fence(path, code):
    return f"```{language(path)}\n{code.rstrip()}\n```"


def user(text):
    return {"role": "user", "content": text}


def explain(rng, path, text):
    about = header(text)
    if len(about) < 80:
        return None
    return {"messages": [user(f"What is `{path}` for?\n\n{fence(path, text[:2500])}"),
                         {"role": "assistant", "thinking": f"The comment at the top of {path} says it.",
                          "content": about[:1500]}]}


def write(rng, path, text):
    found = py_functions(text) if path.endswith(".py") else c_functions(text)
    found = [f for f in found if 150 < len(f) < 1800]
    if not found:
        return None
    code = rng.choice(found)
    head = code.split("{")[0].strip() if not path.endswith(".py") else code.split("\n")[0]
    return {"messages": [user(f"Write this function for `{path}`:\n\n{fence(path, head)}"),
                         {"role": "assistant", "thinking": f"Plain {language(path)}, in the style of the file.",
                          "content": fence(path, code)}]}


def tool(rng, path, text):
    lines = text.split("\n")
    first = rng.randint(1, max(1, len(lines) - 40))
    piece = lines[first - 1:first + 39]
    names = re.findall(r"\b[a-z_]{6,}\b", "\n".join(piece))
    if not names:
        return None
    name = rng.choice(names)
    at = first + next(i for i, l in enumerate(piece) if name in l)
    return {"tools": TOOLS, "messages": [
        user(f"In which line of {path} does `{name}` first appear after line {first - 1}?"),
        {"role": "assistant", "tool_plan": f"Read {path} from line {first}.",
         "tool_calls": [{"id": "0", "type": "function", "function": {"name": "read_file", "arguments": json.dumps(
             {"path": path, "first": first, "last": first + 39})}}]},
        {"role": "tool", "tool_call_id": "0", "content": "\n".join(f"{first + i}: {l}" for i, l in enumerate(piece))},
        {"role": "assistant", "thinking": f"Line {at} has it: {piece[at - first].strip()}",
         "content": f"Line {at}."}]}


def change(rng, path, text):
    found = [l for l in text.split("\n") if re.search(r"\b[a-z_]{5,}\b", l) and 20 < len(l) < 90]
    if not found:
        return None
    line = rng.choice(found)
    name = rng.choice(re.findall(r"\b[a-z_]{5,}\b", line))
    new = line.replace(name, name + "_x")
    block = f"{path}\n<<<<<<< SEARCH\n{line}\n=======\n{new}\n>>>>>>> REPLACE"
    return {"messages": [user(f"Rename `{name}` to `{name}_x` in this line of {path}:\n\n{fence(path, line)}\n\n"
                              "Answer with a SEARCH/REPLACE block."),
                         {"role": "assistant", "thinking": "One line, one block.", "content": f"```\n{block}\n```"}]}


def document(rng, path, text):
    parts = [p for p in re.split(r"\n(?=## )", text) if 300 < len(p) < 3500 and p.startswith("## ")]
    if not parts:
        return None
    part = rng.choice(parts)
    title, _, body = part.partition("\n")
    return {"messages": [user(f"Tell me about: {title[3:]} ({path})"),
                         {"role": "assistant", "thinking": f"{path} has a section of that name.",
                          "content": body.strip()}]}


def main():
    rng, out, size = random.Random(SEED), [], 0
    code, docs = files(".c", ".h", ".py", ".sh", ".bats"), files(".md")
    kinds = [(explain, code), (write, code), (tool, code), (change, code), (document, docs), (write, code)]
    while size < LIMIT:
        maker, choice = kinds[len(out) % len(kinds)]
        path = rng.choice(choice)
        made = maker(rng, path, read(path))
        line = json.dumps(made, ensure_ascii=False) if made else ""
        if not made or line in out:
            kinds = kinds[1:] + kinds[:1] if rng.random() < 0.2 else kinds
            continue
        out.append(line)
        size += len(line)
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "data/calibration/mix.jsonl")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n")
    print(f"{len(out)} conversations, {size} characters -> {path}")


if __name__ == "__main__":
    main()
