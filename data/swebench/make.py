#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the five tiny repositories of this folder, and their data set.

usage: make.py DIR          the clones, below DIR, each with commit ids that never change
       make.py --data       writes instances.jsonl beside this file (needed only after a change)

Every repository has an issue, a test that fails because of it, and a later commit that mends it:
what a model must not get to see.  Names, dates and contents are fixed, so the commit ids are, and
instances.jsonl can name them; making DIR checks that they are still the same.
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "instances.jsonl")

SPAN = '''"""Spans of whole numbers, both ends included."""


def merge(spans):
    """Joins spans that overlap or touch; the result is sorted."""
    out = []
    for lo, hi in sorted(spans):
        if out and lo <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], hi))
        else:
            out.append((lo, hi))
    return out


def total(spans):
    return sum(hi - lo + 1 for lo, hi in merge(spans))
'''

ROMAN = '''VALUES = [(1000, "M"), (500, "D"), (100, "C"), (50, "L"), (10, "X"), (5, "V"), (1, "I")]


def to_roman(n):
    if not 0 < n < 4000:
        raise ValueError("no roman number: %d" % n)
    out = ""
    for value, letter in VALUES:
        while n >= value:
            out += letter
            n -= value
    return out


def from_roman(s):
    values = {letter: value for value, letter in VALUES}
    out = 0
    for i, letter in enumerate(s):
        value = values[letter]
        if i + 1 < len(s) and values[s[i + 1]] > value:
            value = -value
        out += value
    return out
'''

CART = '''class Cart:
    def __init__(self, items=[]):
        self.items = items

    def add(self, name, cents, count=1):
        self.items.append((name, cents, count))

    def total(self):
        return sum(cents * count for _, cents, count in self.items)


class Order(Cart):
    def __init__(self, customer, items=[]):
        super().__init__(items)
        self.customer = customer
'''

CONFIG = '''from . import text


def parse(source):
    """key = value lines; # begins a comment."""
    out = {}
    for line in source.splitlines():
        line = text.strip_comment(line)
        if not line:
            continue
        key, value = line.split("=", 1)
        out[key] = text.unquote(value)
    return out
'''

CONFIG_TEXT = '''def strip_comment(line):
    return line.split("#")[0].strip()


def unquote(s):
    if len(s) > 1 and s[0] == s[-1] == '"':
        return s[1:-1]
    return s
'''

QUEUE = '''import heapq


class Queue:
    """Smallest priority first; equal priorities in the order they came."""

    def __init__(self):
        self._heap = []

    def put(self, item, priority=0):
        heapq.heappush(self._heap, (priority, item))

    def get(self):
        return heapq.heappop(self._heap)[1]

    def __len__(self):
        return len(self._heap)
'''


def test(body):
    return "import unittest\n\n\n%s\n\nif __name__ == \"__main__\":\n    unittest.main()\n" % body


REPOS = [
    {
        "id": "auklet-demo__spans-1", "repo": "auklet-demo/spans",
        "issue": "merge() leaves spans apart that touch\n\nBoth ends are included, so (1, 3) and (4, 6) "
                 "hold every number from 1 to 6 and should become one span. merge([(1, 3), (4, 6)]) "
                 "returns both.\n",
        "files": {
            "spans/__init__.py": "from .span import merge, total\n",
            "spans/span.py": SPAN,
            "tests/__init__.py": "",
            "tests/test_span.py": test('''from spans import merge, total


class TestMerge(unittest.TestCase):
    def test_overlap(self):
        self.assertEqual(merge([(5, 9), (1, 6)]), [(1, 9)])

    def test_touch(self):
        self.assertEqual(merge([(1, 3), (4, 6)]), [(1, 6)])

    def test_apart(self):
        self.assertEqual(merge([(1, 3), (5, 6)]), [(1, 3), (5, 6)])

    def test_total(self):
        self.assertEqual(total([(1, 3), (2, 4)]), 4)
'''),
        },
        "fix": [("spans/span.py", "if out and lo <= out[-1][1]:", "if out and lo <= out[-1][1] + 1:")],
        "f2p": ["tests.test_span.TestMerge.test_touch"],
        "p2p": ["tests.test_span.TestMerge.test_overlap", "tests.test_span.TestMerge.test_apart",
                "tests.test_span.TestMerge.test_total"],
    },
    {
        "id": "auklet-demo__roman-1", "repo": "auklet-demo/roman",
        "issue": "to_roman(4) is IIII\n\nIt should be IV; likewise IX, XL, XC, CD and CM.\n",
        "files": {
            "roman.py": ROMAN,
            "tests/__init__.py": "",
            "tests/test_roman.py": test('''from roman import from_roman, to_roman


class TestRoman(unittest.TestCase):
    def test_subtractive(self):
        self.assertEqual([to_roman(n) for n in (4, 9, 40, 90, 400, 900)],
                         ["IV", "IX", "XL", "XC", "CD", "CM"])

    def test_round_trip(self):
        for n in range(1, 4000):
            self.assertEqual(from_roman(to_roman(n)), n)

    def test_range(self):
        self.assertRaises(ValueError, to_roman, 0)
'''),
        },
        "fix": [("roman.py", VALUES_OLD, VALUES_NEW) for VALUES_OLD, VALUES_NEW in [(
            'VALUES = [(1000, "M"), (500, "D"), (100, "C"), (50, "L"), (10, "X"), (5, "V"), (1, "I")]\n',
            'VALUES = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"),\n'
            '          (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]\n')]],
        "f2p": ["tests.test_roman.TestRoman.test_subtractive"],
        "p2p": ["tests.test_roman.TestRoman.test_round_trip", "tests.test_roman.TestRoman.test_range"],
    },
    {
        "id": "auklet-demo__cart-1", "repo": "auklet-demo/cart",
        "issue": "Two carts share their items\n\nAfter a = Cart(); b = Cart(); a.add('tea', 300) the cart b "
                 "holds tea as well. The same with Order.\n",
        "files": {
            "cart.py": CART,
            "tests/__init__.py": "",
            "tests/test_cart.py": test('''from cart import Cart, Order


class TestCart(unittest.TestCase):
    def test_carts_do_not_share(self):
        a, b = Cart(), Cart()
        a.add("tea", 300)
        self.assertEqual(len(b.items), 0)

    def test_orders_do_not_share(self):
        a, b = Order("x"), Order("y")
        a.add("tea", 300)
        self.assertEqual(len(b.items), 0)

    def test_total(self):
        self.assertEqual(Cart([("tea", 300, 2)]).total(), 600)
'''),
        },
        "fix": [("cart.py", "    def __init__(self, items=[]):\n        self.items = items\n",
                 "    def __init__(self, items=None):\n        self.items = list(items or [])\n"),
                ("cart.py", "customer, items=[]", "customer, items=None")],
        "f2p": ["tests.test_cart.TestCart.test_carts_do_not_share",
                "tests.test_cart.TestCart.test_orders_do_not_share"],
        "p2p": ["tests.test_cart.TestCart.test_total"],
    },
    {
        "id": "auklet-demo__config-1", "repo": "auklet-demo/config",
        "issue": "Blanks around = and # inside quotes\n\n'name = \"a # b\"' should give the key 'name' and the "
                 "value 'a # b'. Now the key has a blank behind it and the value is cut at the #.\n",
        "files": {
            "config/__init__.py": "from .parse import parse\n",
            "config/parse.py": CONFIG,
            "config/text.py": CONFIG_TEXT,
            "tests/__init__.py": "",
            "tests/test_config.py": test('''from config import parse


class TestParse(unittest.TestCase):
    def test_blanks(self):
        self.assertEqual(parse("name = x"), {"name": "x"})

    def test_quoted_hash(self):
        self.assertEqual(parse('name="a # b"  # why'), {"name": "a # b"})

    def test_comment(self):
        self.assertEqual(parse("# nothing\\n\\nk=v # why"), {"k": "v"})
'''),
        },
        "fix": [("config/parse.py", "        out[key] = text.unquote(value)\n",
                 "        out[key.strip()] = text.unquote(value.strip())\n"),
                ("config/text.py", '    return line.split("#")[0].strip()\n',
                 '    quoted = False\n    for i, c in enumerate(line):\n        if c == \'"\':\n'
                 '            quoted = not quoted\n        elif c == "#" and not quoted:\n'
                 '            line = line[:i]\n            break\n    return line.strip()\n')],
        "f2p": ["tests.test_config.TestParse.test_blanks", "tests.test_config.TestParse.test_quoted_hash"],
        "p2p": ["tests.test_config.TestParse.test_comment"],
    },
    {
        "id": "auklet-demo__queue-1", "repo": "auklet-demo/queue",
        "issue": "Queue compares items of equal priority\n\nput({}), put({}) fails with TypeError, and words of "
                 "equal priority come out sorted instead of in the order they came.\n",
        "files": {
            "prio.py": QUEUE,
            "tests/__init__.py": "",
            "tests/test_prio.py": test('''from prio import Queue


class TestQueue(unittest.TestCase):
    def test_order_of_equals(self):
        q = Queue()
        for word in ("pear", "apple", "fig"):
            q.put(word)
        self.assertEqual([q.get() for _ in range(3)], ["pear", "apple", "fig"])

    def test_no_comparison(self):
        q = Queue()
        q.put({"a": 1})
        q.put({"b": 2})
        self.assertEqual(q.get(), {"a": 1})

    def test_priorities(self):
        q = Queue()
        q.put("late", 5)
        q.put("early", 1)
        self.assertEqual(q.get(), "early")
'''),
        },
        "fix": [("prio.py", "        self._heap = []\n", "        self._heap = []\n        self._count = 0\n"),
                ("prio.py", "        heapq.heappush(self._heap, (priority, item))\n",
                 "        heapq.heappush(self._heap, (priority, self._count, item))\n"
                 "        self._count += 1\n"),
                ("prio.py", "heapq.heappop(self._heap)[1]", "heapq.heappop(self._heap)[2]")],
        "f2p": ["tests.test_prio.TestQueue.test_order_of_equals",
                "tests.test_prio.TestQueue.test_no_comparison"],
        "p2p": ["tests.test_prio.TestQueue.test_priorities"],
    },
]


def git(root, *args, when="2024-01-01T00:00:00+00:00"):
    env = {"PATH": os.environ["PATH"], "HOME": root, "GIT_CONFIG_NOSYSTEM": "1",
           "GIT_AUTHOR_NAME": "auklet", "GIT_AUTHOR_EMAIL": "demo@example.org", "GIT_AUTHOR_DATE": when,
           "GIT_COMMITTER_NAME": "auklet", "GIT_COMMITTER_EMAIL": "demo@example.org",
           "GIT_COMMITTER_DATE": when}
    command = ["git", "-c", "core.autocrlf=false", "-c", "init.defaultBranch=main",
               "-c", "commit.gpgsign=false"] + list(args)
    return subprocess.run(command, cwd=root, env=env, check=True, capture_output=True,
                          text=True).stdout


def write(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", newline="") as f:
            f.write(text)


def build(repo, root):
    """Makes the clone; returns its base commit and the gold patch."""
    os.makedirs(root)
    git(root, "init", "-q", "--object-format=sha1")
    write(root, repo["files"])
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "As it was when the issue came")
    base = git(root, "rev-parse", "HEAD").strip()
    for path, old, new in repo["fix"]:
        text = open(os.path.join(root, path), newline="").read()
        assert text.count(old) == 1, (path, old)
        write(root, {path: text.replace(old, new)})
    git(root, "commit", "-q", "-a", "-m", "Mend it", when="2024-02-01T00:00:00+00:00")
    git(root, "tag", "mended")
    return base, git(root, "diff", "--no-color", base, "HEAD")


def row(repo, base, patch):
    return {"repo": repo["repo"], "instance_id": repo["id"], "base_commit": base, "patch": patch,
            "test_patch": "", "problem_statement": repo["issue"], "hints_text": "",
            "created_at": "2024-01-02T00:00:00Z", "version": "1",
            "FAIL_TO_PASS": json.dumps(repo["f2p"]), "PASS_TO_PASS": json.dumps(repo["p2p"]),
            "environment_setup_commit": base, "difficulty": "<15 min fix"}


def main():
    import tempfile
    if sys.argv[1:] == ["--data"]:
        with tempfile.TemporaryDirectory() as work:
            rows = [row(r, *build(r, os.path.join(work, r["repo"].replace("/", "__")))) for r in REPOS]
        with open(DATA, "w") as f:
            for r in sorted(rows, key=lambda r: r["instance_id"]):
                f.write(json.dumps(r) + "\n")
        return 0
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    want = {r["instance_id"]: r for r in map(json.loads, open(DATA))}
    for r in REPOS:
        base, patch = build(r, os.path.join(sys.argv[1], r["repo"].replace("/", "__")))
        if (base, patch) != (want[r["id"]]["base_commit"], want[r["id"]]["patch"]):
            print("make.py: %s is not the repository that instances.jsonl names" % r["repo"],
                  file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
