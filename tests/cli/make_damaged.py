#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/cli/damaged.jsonl: answers as models damage them, and what becomes of each.

Every line: name, files {path: text}, answer, partial (optional), blocks [[file, level, status]],
outcome, after {path: text} (only what changes).  The outcomes are written here by hand, one rule
per kind of damage; the program under test has no part in making them.
"""
import json
import os
import sys

OUT = []

# path, file, SEARCH, REPLACE: SEARCH stands once in the file, is indented and has a blank line.
BASES = [
    ("pkg/core.py",
     "import os\n\n\nclass Reader:\n    def __init__(self, path):\n        self.path = path\n\n"
     "    def read(self):\n        with open(self.path) as f:\n            data = f.read()\n\n"
     "            return data\n\n    def size(self):\n        return os.stat(self.path).st_size\n",
     "        with open(self.path) as f:\n            data = f.read()\n\n            return data\n",
     "        with open(self.path) as f:\n            data = f.read()\n            data = data.strip()\n"
     "\n            return data\n"),
    ("shapes.py",
     "def area(w, h):\n    if w < 0:\n        raise ValueError('w')\n\n    return w + h\n\n\n"
     "def edge(w, h):\n    return 2 * (w + h)\n",
     "    if w < 0:\n        raise ValueError('w')\n\n    return w + h\n",
     "    if w < 0 or h < 0:\n        raise ValueError('negative')\n\n    return w * h\n"),
    ("src/deep/tree/walk.py",
     "from . import node\n\n\ndef walk(n, f):\n    for child in n.children:\n        f(child)\n\n"
     "        walk(child, f)\n    return n\n\n\nLIMIT = 10\n",
     "        f(child)\n\n        walk(child, f)\n    return n\n",
     "        if child is not None:\n            f(child)\n\n            walk(child, f)\n    return n\n"),
    ("lib/text/wrap.py",
     "WIDTH = 72\n\n\ndef wrap(s, width=WIDTH):\n    out = []\n    line = ''\n\n"
     "    for word in s.split():\n        if len(line) + len(word) > width:\n"
     "            out.append(line)\n            line = ''\n        line += ' ' + word\n    return out\n",
     "    out = []\n    line = ''\n\n    for word in s.split():\n        if len(line) + len(word) > width:\n",
     "    out = []\n    line = ''\n\n    for word in s.split():\n"
     "        if line and len(line) + len(word) + 1 > width:\n"),
    ("app/settings/base.py",
     "DEBUG = False\n\n\nclass Base:\n    name = 'base'\n\n    def get(self, key, default=None):\n"
     "        value = self.values.get(key)\n\n        return value or default\n\n"
     "    def set(self, key, value):\n        self.values[key] = value\n",
     "        value = self.values.get(key)\n\n        return value or default\n",
     "        value = self.values.get(key, default)\n\n        return value\n"),
]


def block(search, replace, head=7, mid=7, tail=7):
    return "%s SEARCH\n%s%s\n%s%s REPLACE\n" % ("<" * head, search, "=" * mid, replace, ">" * tail)


def fenced(path, search, replace, info="python"):
    return "%s\n```%s\n%s```\n" % (path, info, block(search, replace))


def add(name, files, answer, blocks, outcome, after=None, partial=False):
    row = {"name": name, "files": files, "answer": answer, "blocks": blocks, "outcome": outcome,
           "after": after or {}}
    if partial:
        row["partial"] = True
    OUT.append(row)


def shift(text, by):
    return "".join(by + l if l.strip() else l for l in text.splitlines(True))


def dedent(text, n):
    return "".join(l[n:] if l.strip() else l for l in text.splitlines(True))


def each(text, f):
    return "".join(f(l) + "\n" for l in text.splitlines())


def kinds(path, text, s, r):
    files, done = {path: text}, {path: text.replace(s, r)}
    one = lambda level, status="applied": [[path, level, status]]
    applied = lambda name, answer, level, after=None, f=None: add(
        name, f or files, answer, one(level), "applied", after or done)
    failed = lambda name, answer, status, level=None, file=path, f=None: add(
        name, f or files, answer, [[file, level, status]], "edit_did_not_match")
    none = lambda name, answer: add(name, files, answer, [], "no_edit_block")
    good = fenced(path, s, r)

    # layouts
    applied("fence", good, "exact")
    applied("prose around it", "The bug is here.\n\n" + good + "\nThat is all.\n", "exact")
    applied("hash path inside the fence", "```python\n### %s\n%s```\n" % (path, block(s, r)), "exact")
    applied("no fence", "%s\n%s" % (path, block(s, r)), "exact")
    applied("path in bold", fenced("**%s**" % path, s, r), "exact")
    applied("path in backquotes and a colon", fenced("`%s`:" % path, s, r), "exact")
    applied("File: before the path", fenced("File: " + path, s, r), "exact")
    applied("dot slash path", fenced("./" + path, s, r), "exact")
    applied("path in the info string", "```python %s\n%s```\n" % (path, block(s, r)), "exact")
    applied("blank lines below the path", "%s\n\n```\n%s```\n" % (path, block(s, r)), "exact")
    applied("tilde fence", "%s\n~~~~\n%s~~~~\n" % (path, block(s, r)), "exact")
    applied("five signs", "%s\n%s" % (path, block(s, r, 5, 5, 5)), "exact")
    applied("nine signs", "%s\n%s" % (path, block(s, r, 9, 9, 9)), "exact")
    applied("blanks behind the markers", good.replace(" SEARCH\n", " SEARCH  \n").replace(
        "=======\n", "======= \n"), "exact")
    applied("the fence is never closed", good[:-4], "exact")

    # white space
    applied("trailing blanks in SEARCH", fenced(path, each(s, lambda l: l + "  "), r),
            "trailing-blanks")
    dirty = text.replace(s, each(s, lambda l: l + " " if l else l))
    first = s.splitlines()[0]
    keep = r if not r.startswith(first + "\n") else first + " \n" + r[len(first) + 1:]
    last = s.splitlines()[-1]
    if len(s.splitlines()) > 2 and r.endswith("\n" + last + "\n"):
        keep = keep[:-1] + " \n"
    if path == "shapes.py":  # its context is the blank line alone
        applied("trailing blanks in the file", good, "trailing-blanks", f={path: dirty},
                after={path: dirty.replace(each(s, lambda l: l + " " if l else l), keep)})
    n = min(len(l) - len(l.lstrip()) for l in s.splitlines() if l.strip())
    applied("indentation lost", fenced(path, dedent(s, n), dedent(r, n)), "indent")
    applied("indented by four more", fenced(path, shift(s, "    "), shift(r, "    ")), "indent")
    applied("indented by one more", fenced(path, shift(s, " "), shift(r, " ")), "indent")
    tab = lambda t: each(t, lambda l: l.replace("    ", "\t"))
    applied("tabs for blanks", fenced(path, tab(s), tab(r)), "white-space")
    # The file's blank line stays behind what replaces the line in front of it: where two lines
    # become three, that is the first of them.
    behind = {"src/deep/tree/walk.py": text.replace(s, "        if child is not None:\n\n"
              "            f(child)\n            walk(child, f)\n    return n\n")}
    applied("a blank line less", fenced(path, s.replace("\n\n", "\n"), r.replace("\n\n", "\n")),
            "blank-lines", after={path: behind.get(path, done[path])})
    applied("a blank line more", fenced(path, s.replace("\n\n", "\n\n\n"), r.replace(
        "\n\n", "\n\n\n")), "blank-lines")
    wide = lambda t: each(t, lambda l: l[:len(l) - len(l.lstrip())] + l.lstrip().replace(" ", "  ", 1))
    applied("two blanks between words", fenced(path, wide(s), r), "white-space",
            after={path: text.replace(s, r)})

    # line ends
    applied("CRLF answer, LF file", good.replace("\n", "\r\n"), "exact")
    applied("LF answer, CRLF file", good, "exact", f={path: text.replace("\n", "\r\n")},
            after={path: done[path].replace("\n", "\r\n")})
    applied("BOM in the file", good, "exact", f={path: "\ufeff" + text},
            after={path: "\ufeff" + done[path]})
    head = text[:text.index(s) + len(s)]
    applied("the last line has no newline", good, "exact", f={path: head[:-1]},
            after={path: head.replace(s, r)[:-1]})
    applied("no newline at the end of the answer", good[:-1], "exact")

    # what is not in the file
    word = s.split()[0]
    failed("a word differs", fenced(path, s.replace(word, word + "x", 1), r), "not_found")
    failed("a line left out with dots", fenced(
        path, s.splitlines(True)[0] + "...\n" + s.splitlines(True)[-1], r), "not_found")
    failed("line numbers in SEARCH", fenced(path, "".join(
        "%d %s" % (i, l) for i, l in enumerate(s.splitlines(True), 5)), r), "not_found")
    failed("diff signs in SEARCH", fenced(path, each(s, lambda l: "-" + l), each(
        r, lambda l: "+" + l)), "not_found")
    failed("half a line", fenced(path, first[:len(first) - 3] + "\n", first + "\n"), "not_found")
    failed("a no-break space", fenced(path, s.replace(" ", "\u00a0", 1), r), "not_found")
    failed("the file is another", fenced("other/" + path, s, r), "not_found", file="other/" + path)

    # twice
    twice = text + "\n\n" + text
    applied("exact twice: the first", good, "exact", f={path: twice},
            after={path: done[path] + "\n\n" + text})
    failed("shifted twice", fenced(path, dedent(s, n), dedent(r, n)), "ambiguous", "indent",
           f={path: twice})
    failed("trailing blanks twice", fenced(path, each(s, lambda l: l + "  "), r), "ambiguous",
           "trailing-blanks", f={path: twice})
    add("the same block twice, for two places", {path: twice}, good + good,
        one("exact") + one("exact"), "applied", {path: done[path] + "\n\n" + done[path]})
    failed("an empty SEARCH", fenced(path, "", r), "ambiguous")

    # paths
    for bad in ("/etc/passwd.py", "../%s" % path, "a/../../%s" % path, ".git/config.py",
                "pkg/.git/hooks.py", "a//b.py"):
        failed("path " + bad, fenced(bad, s, r), "refused", file=bad)
    failed("no path at all", "```\n%s```\n" % block(s, r), "malformed", file="")

    # shape
    failed("cut in SEARCH", good[:good.index(s) + len(s) // 2], "malformed")
    failed("cut in REPLACE", good[:good.index(">>>>>>>")], "malformed")
    failed("no divider", good.replace("=======\n", ""), "malformed")
    add("a new head before the end", files, "%s\n<<<<<<< SEARCH\n%s%s" % (path, s, block(s, r)),
        [[path, None, "malformed"]] + one("exact"), "edit_did_not_match")
    add("a new head before the end, partial", files,
        "%s\n<<<<<<< SEARCH\n%s%s" % (path, s, block(s, r)),
        [[path, None, "malformed"]] + one("exact"), "partial", done, True)
    none("words in a marker", good.replace("<<<<<<< SEARCH", "<<<<<<< SEARCH " + path))
    none("markers in lower case", good.replace("SEARCH", "search").replace("REPLACE", "replace"))
    none("markers of three signs", "%s\n%s" % (path, block(s, r, 3, 3, 3)))
    none("markers are indented", shift(good, "  "))
    none("a diff instead", "```diff\n--- a/%s\n+++ b/%s\n@@ -1 +1 @@\n-a\n+b\n```\n" % (path, path))
    none("the whole file instead", "```python\n%s```\n" % done[path])
    none("prose alone", "I would change %s.\n" % path)
    none("nothing", "")
    applied("fences inside", fenced(path, s, r + "# ```\n# code\n# ```\n"), "exact",
            after={path: text.replace(s, r + "# ```\n# code\n# ```\n")})

    # several blocks
    add("the path is said once", files, good + "\n```\n" + block(text.splitlines(True)[0],
        "# changed\n") + "```\n", one("exact") + one("exact"), "applied",
        {path: "# changed\n" + done[path].split("\n", 1)[1]})
    bad = fenced(path, "nothing like this\n", "x\n")
    add("one of two fails", files, good + bad, one("exact") + one(None, "not_found"),
        "edit_did_not_match")
    add("one of two fails, partial", files, good + bad, one("exact") + one(None, "not_found"),
        "partial", done, True)
    add("the second needs the first", files, good + fenced(path, r, "pass\n"),
        one("exact") + one("exact"), "applied", {path: text.replace(s, "pass\n")})

    # nothing and everything
    add("SEARCH is REPLACE", files, fenced(path, s, s), one("exact", "empty"), "patch_empty")
    applied("REPLACE is empty", fenced(path, s, ""), "exact", after={path: text.replace(s, "")})
    add("a new file", files, fenced("new/" + path, "", r), [["new/" + path, "exact", "applied"]],
        "applied", {"new/" + path: r})
    add("a new file beside an edit", files, good + fenced("new.py", "", "x = 1\n"),
        one("exact") + [["new.py", "exact", "applied"]], "applied",
        dict(done, **{"new.py": "x = 1\n"}))

    # thinking
    junk = fenced(path, "not there\n", "x\n")
    applied("thinking in front", "<think>\nmaybe\n%s</think>\n%s" % (junk, good), "exact")
    applied("thinking in the model's markers",
            "hm\n%s<|END_THINKING|><|START_TEXT|>%s<|END_TEXT|>" % (junk, good), "exact")
    applied("the answer's markers alone", "<|START_RESPONSE|>\n%s<|END_RESPONSE|>" % good, "exact")
    none("thinking that never ends", "<|START_THINKING|>\n" + good)
    none("a block in thinking alone", good + "<|END_THINKING|><|START_TEXT|>done<|END_TEXT|>")


def special():
    rst = "Title\n=======\n\nold text\n\nNext\n=======\nend\n"
    add("a heading that looks like a divider", {"doc/a.rst": rst},
        fenced("doc/a.rst", "Title\n=======\n\nold text\n", "Title\n=======\n\nnew text\n", ""),
        [["doc/a.rst", "exact", "applied"]], "applied",
        {"doc/a.rst": rst.replace("old", "new")})
    add("a binary file", {"a.bin": "a\0b\n"}, fenced("a.bin", "a\n", "b\n"),
        [["a.bin", None, "refused"]], "edit_did_not_match")
    add("an empty file is filled", {"a.py": ""}, fenced("a.py", "", "x = 1\n"),
        [["a.py", "exact", "applied"]], "applied", {"a.py": "x = 1\n"})
    add("a file with blanks in its name", {"a b/c d.py": "x = 1\n"},
        "```python\n%s```\n" % block("x = 1\n", "x = 2\n"), [["", None, "malformed"]],
        "edit_did_not_match")
    add("tabs in the file, blanks in the answer", {"m.py": "def f():\n\tif x:\n\t\treturn 1\n"},
        fenced("m.py", "    if x:\n        return 1\n", "    if x:\n        y()\n        return 1\n"),
        [["m.py", "white-space", "applied"]], "applied",
        {"m.py": "def f():\n\tif x:\n\t\ty()\n\t\treturn 1\n"})
    add("everything is deleted", {"a.py": "x = 1\n"}, fenced("a.py", "x = 1\n", ""),
        [["a.py", "exact", "applied"]], "applied", {"a.py": ""})
    add("mixed line ends stay", {"a.py": "a\r\nb\nc\r\n"}, fenced("a.py", "b\nc\n", "b\nd\nc\n"),
        [["a.py", "exact", "applied"]], "applied", {"a.py": "a\r\nb\nd\nc\r\n"})


def main():
    for path, text, s, r in BASES:
        assert text.count(s) == 1 and "\n\n" in s
        start = len(OUT)
        kinds(path, text, s, r)
        for row in OUT[start:]:
            row["name"] = "%s: %s" % (path, row["name"])
    special()
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "damaged.jsonl"), "w") as f:
        for row in OUT:
            f.write(json.dumps(row) + "\n")
    print("%d cases" % len(OUT), file=sys.stderr)


if __name__ == "__main__":
    main()
