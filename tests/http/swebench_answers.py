#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the scripted model says about the tiny repositories of data/swebench, one answer a line.

usage: swebench_answers.py single|agent

Instances come in the order of their ids: cart, config, queue, roman, spans.
"""
import json
import sys


def block(path, search, replace):
    return "%s\n```python\n<<<<<<< SEARCH\n%s\n=======\n%s\n>>>>>>> REPLACE\n```\n" % (
        path, search, replace)


SINGLE = [
    # right, but the indentation is lost
    {"thinking": "A mutable default.", "text": "The default is shared.\n\n" + block(
        "cart.py", "def __init__(self, items=[]):\n    self.items = items",
        "def __init__(self, items=None):\n    self.items = list(items or [])") + "\n" + block(
        "cart.py", "    def __init__(self, customer, items=[]):\n        super().__init__(items)",
        "    def __init__(self, customer, items=None):\n        super().__init__(items)")},
    # right, two files
    {"text": block("config/parse.py", "        key, value = line.split(\"=\", 1)\n"
                   "        out[key] = text.unquote(value)\n    return out",
                   "        key, value = line.split(\"=\", 1)\n"
                   "        out[key.strip()] = text.unquote(value.strip())\n    return out") +
     block("config/text.py", "    return line.split(\"#\")[0].strip()",
           "    quoted = False\n    for i, c in enumerate(line):\n        if c == '\"':\n"
           "            quoted = not quoted\n        elif c == \"#\" and not quoted:\n"
           "            return line[:i].strip()\n    return line.strip()")},
    # looped to the cap: no block is ever complete
    {"text": "Let me think.\n" + "Wait, the heap compares the items. " * 40, "finish": "length"},
    # plausible, but the tests fail
    {"text": block("roman.py", "(10, \"X\"), (5, \"V\"), (1, \"I\")]",
                   "(10, \"X\"), (5, \"V\"), (4, \"IV\"), (1, \"I\")]").replace(
        "(10, \"X\")", "VALUES = [(1000, \"M\"), (500, \"D\"), (100, \"C\"), (50, \"L\"), (10, \"X\")")},
    # right
    {"text": block("spans/span.py", "        if out and lo <= out[-1][1]:",
                   "        if out and lo <= out[-1][1] + 1:")},
]


def sh(command, **more):
    return dict({"text": "```bash\n%s\n```" % command}, **more)


DONE = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
AGENT = [
    # cart: looks, edits, tests, hands in
    sh("ls; cat cart.py; git log 2>&1 | head -n 1; ls -a"),
    sh("sed -i 's/items=\\[\\]/items=None/; s/self.items = items/self.items = list(items or [])/' cart.py"),
    sh("python3 -m unittest -q 2>&1 | tail -n 1; find . -name __pycache__ | head -n 1"),
    sh(DONE),
    # config: cannot keep to the form
    {"text": "I would look at the files first."},
    {"text": "```bash\nls\n```\n```bash\ncat config/text.py\n```"},
    {"text": "again nothing"},
    # queue: goes in circles, after a useful edit
    sh("sed -i 's/_heap = \\[\\]/_heap = []; self._n = 0/; s/(priority, item)/(priority, self._n, item)); "
       "self._n += (1/; s/)\\[1\\]/)[2]/' prio.py && python3 -m unittest -q 2>&1 | tail -n 1"),
    sh("cat nothing.py"), sh("cat  nothing.py"), sh("cat nothing.py"),
    # roman: kills everything it can reach, then nothing is left to ask
    sh("echo '# seen' >> roman.py"),
    sh("kill -9 -1; kill -9 $PPID"),
    # spans: a slow command, a flood, a cut reply, then the right edit with no submission
    sh("sleep 30"),
    sh("head -c 300000 /dev/zero | tr '\\0' x"),
    {"text": "```bash\nls", "finish": "length"},
    sh("sed -i 's/lo <= out\\[-1\\]\\[1\\]:/lo <= out[-1][1] + 1:/' spans/span.py; rm tests/__init__.py; "
       "ln -s /etc/passwd link; mkdir -p new; echo 'X = 1' > new/mod.py; touch new/__init__.py"),
    sh("true"),
]

for answer in {"single": SINGLE, "agent": AGENT}[sys.argv[1]]:
    print(json.dumps(answer))
