# SPDX-License-Identifier: Apache-2.0
"""What the client tests share: a server for as long as a `with` lasts, and a list of checks."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")


def say(text="", calls=(), thinking="I see."):
    """What the model writes, with its markers."""
    out = thinking + "<|END_THINKING|>"
    if calls:
        return out + "<|START_ACTION|>" + json.dumps([
            {"tool_call_id": str(i), "tool_name": n, "parameters": a}
            for i, (n, a) in enumerate(calls)]) + "<|END_ACTION|><|END_OF_TURN_TOKEN|>"
    return out + "<|START_TEXT|>" + text + "<|END_TEXT|><|END_OF_TURN_TOKEN|>"


def rule(text, *match):
    """A line of a script: played when the prompt holds all of `match`."""
    return {"text": text, "match": list(match), "repeat": True}


def wide_model(folder, window):
    """The miniature with a larger window: agents' prompts are longer than what it was trained for,
    which does not matter where a script writes the answers."""
    model = os.path.join(folder, "north-mini-code")
    shutil.copytree(os.path.join(ROOT, "data", "miniature"), model)
    path = os.path.join(model, "config.json")
    config = json.load(open(path))
    config["max_position_embeddings"] = window
    with open(path, "w") as f:
        json.dump(config, f)
    return model


class Server:
    """`auklet serve` of the miniature, by itself or with a script; rules.py as the control."""

    def __init__(self, auklet, rules=None, control=False, options=(), folder=None, model=None):
        self.folder = folder or tempfile.mkdtemp(prefix="auk-clients-")
        self.log = os.path.join(self.folder, "log.jsonl")
        script = os.path.join(self.folder, "script.jsonl")
        if rules is not None:
            with open(script, "w") as f:
                f.writelines(json.dumps(r) + "\n" for r in rules)
        if control:
            self.process = subprocess.Popen(
                [sys.executable, os.path.join(HERE, "rules.py"), "--rules", script, "--log",
                 self.log], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.port = int(self.process.stdout.readline())
        else:
            self.port = self.start(auklet, model, script if rules is not None else None, options)
        self.url = "http://127.0.0.1:%d" % self.port

    def start(self, auklet, model, script, options):
        self.said = os.path.join(self.folder, "serve.log")
        model = model or os.path.join(ROOT, "data", "miniature")
        self.process = subprocess.Popen(
            [auklet, "serve", model, "--port", "0", *(["--script", script] if script else []),
             *options], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=open(self.said, "w"))
        for _ in range(300):
            found = re.search(r"listening on http://[^:]+:(\d+)", open(self.said).read())
            if found:
                return int(found.group(1))
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit("the server did not start:\n" + open(self.said).read())

    def requests(self):
        """Bodies the control has seen."""
        try:
            return [json.loads(line).get("body") or {} for line in open(self.log)]
        except OSError:
            return []

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        return self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def run_checks(checks, only=()):
    """Runs functions, prints a line each; returns the exit status."""
    failed = ran = 0
    for check in checks:
        if only and check.__name__ not in only:
            continue
        ran += 1
        began = time.monotonic()
        try:
            note = check() or ""
            print("ok     %-34s %5.1f s  %s" % (check.__name__, time.monotonic() - began, note), flush=True)
        except Exception:
            failed += 1
            print("FAILED %s\n    %s" % (check.__name__, traceback.format_exc(limit=-4).replace("\n", "\n    ")),
                  flush=True)
    print("%d passed, %d failed" % (ran - failed, failed))
    return 1 if failed else 0
