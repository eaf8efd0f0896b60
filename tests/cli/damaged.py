#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs damaged.jsonl: each answer must have the outcome that is written beside it, and every diff
that comes out must pass `git apply` and `patch -p1 --fuzz=0` and give the written bytes.

usage: damaged.py AUKLET CASES.jsonl WORK
"""
import json
import os
import shutil
import subprocess
import sys


def fill(root, files):
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", newline="") as f:
            f.write(text)


def apply(root, command, diff):
    done = subprocess.run(command, cwd=root, input=diff, capture_output=True,
                          env=dict(os.environ, GIT_CEILING_DIRECTORIES=os.path.dirname(root)))
    return None if done.returncode == 0 else "%s: %s" % (
        " ".join(command), (done.stdout + done.stderr).decode().strip())


def holds(root, want):
    for path, text in want.items():
        full = os.path.join(root, path)
        if not os.path.exists(full):
            if text:
                return "%s is missing" % path
            continue
        got = open(full, newline="").read()
        if got != text:
            return "%s is %r, want %r" % (path, got, text)
    return None


def check(auklet, case, work):
    root = os.path.join(work, "root")
    fill(root, case["files"])
    command = [auklet, "patch", "--root", root, "-q", "--json"]
    run = subprocess.run(command + (["--partial"] if case.get("partial") else []),
                         input=case["answer"].encode(), capture_output=True)
    got = json.loads(run.stdout)
    blocks = [[b["file"], b["level"], b["status"]] for b in got["blocks"]]
    if blocks != case["blocks"] or got["outcome"] != case["outcome"]:
        return "%s %s, want %s %s" % (got["outcome"], blocks, case["outcome"], case["blocks"])
    if (run.returncode == 0) != bool(case["after"]) or bool(got["diff"]) != bool(case["after"]):
        return "exit %d with %d bytes of diff" % (run.returncode, len(got["diff"]))
    if not case["after"]:
        return None
    diff = got["diff"].encode()
    if not diff.endswith(b"\n") or diff.endswith(b"\n\n"):
        return "the diff does not end with one newline"
    why = apply(root, ["git", "apply"], diff) \
        or holds(root, dict(case["files"], **case["after"]))
    fill(root, case["files"])
    return why or apply(root, ["patch", "-p1", "--fuzz=0", "--batch", "--binary", "--silent"], diff) \
        or holds(root, dict(case["files"], **case["after"]))


def main():
    auklet, cases, work = sys.argv[1:4]
    rows = [json.loads(line) for line in open(cases)]
    bad = 0
    for case in rows:
        why = check(auklet, case, work)
        if why:
            print("%s: %s" % (case["name"], why))
            bad += 1
    print("%d of %d damaged answers end as written" % (len(rows) - bad, len(rows)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
