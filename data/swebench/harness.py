#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scores predictions for the tiny repositories of this folder, as the official harness scores real
ones, but without Docker: tests run in `auklet sandbox`, and the reports have the official form.

usage: harness.py AUKLET DATA.jsonl REPOS PREDICTIONS.jsonl RUN_ID OUT

Writes OUT/logs/run_evaluation/RUN_ID/MODEL/ID/report.json and OUT/MODEL.RUN_ID.json.  A patch is
tried with git apply, then git apply --3way and --reject, then patch --fuzz=5, on a clean checkout of
the base commit; test files then get the base commit's text again.
"""
import json
import os
import subprocess
import sys
import tempfile

# What runs in the sandbox: the repository as a dict in memory, its tests by name.
PROGRAM = '''
import importlib.abc, importlib.util, json, os, sys, unittest
FILES = json.loads(%r)
class Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def place(self, name):
        for path in (name.replace(".", "/") + "/__init__.py", name.replace(".", "/") + ".py"):
            if path in FILES:
                return path
    def find_spec(self, name, path=None, target=None):
        place = self.place(name)
        if place:
            return importlib.util.spec_from_loader(name, self, is_package=place.endswith("__init__.py"))
    def get_source(self, name):
        return FILES[self.place(name)]
    def is_package(self, name):
        return self.place(name).endswith("__init__.py")
sys.meta_path.insert(0, Finder())
def passes(name):
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName(name)
        return unittest.TextTestRunner(stream=open(os.devnull, "w")).run(suite).wasSuccessful()
    except BaseException:
        return False
print("RESULT" + json.dumps({name: passes(name) for name in json.loads(%r)}))
'''
TRIES = (["git", "apply", "--verbose"], ["git", "apply", "--verbose", "--3way"],
         ["git", "apply", "--verbose", "--reject"], ["patch", "--batch", "--forward", "--fuzz=5", "-p1"])


def checkout(repos, row, root):
    clone = os.path.join(repos, row["repo"].replace("/", "__"))
    subprocess.run(["git", "clone", "-q", clone, root], check=True)
    subprocess.run(["git", "-c", "advice.detachedHead=false", "checkout", "-q", row["base_commit"]],
                   cwd=root, check=True)


def apply(root, patch):
    for command in TRIES:
        if subprocess.run(command, cwd=root, input=patch.encode(), capture_output=True).returncode == 0:
            return True
        subprocess.run("git checkout -q -- . && git clean -fdq", cwd=root, shell=True)
    return False


def run_tests(auklet, row, root, names):
    subprocess.run(["git", "checkout", "-q", row["base_commit"], "--", "tests"], cwd=root, check=True)
    files = {}
    for folder, dirs, here in os.walk(root):
        dirs[:] = [d for d in dirs if d != ".git"]
        for name in here:
            if name.endswith(".py"):
                full = os.path.join(folder, name)
                files[os.path.relpath(full, root)] = open(full, errors="replace").read()
    program = os.path.join(root, ".git", "program.py")
    with open(program, "w") as f:
        f.write(PROGRAM % (json.dumps(files), json.dumps(names)))
    done = subprocess.run([auklet, "sandbox", "--json", "--timeout", "30", "--", program],
                          capture_output=True, text=True)
    if not done.stdout:
        raise RuntimeError("the sandbox did not run: " + done.stderr.strip())
    for line in json.loads(done.stdout)["stdout"].splitlines():
        if line.startswith("RESULT"):
            return json.loads(line[6:])
    return {name: False for name in names}


def score(auklet, row, repos, patch):
    f2p, p2p = json.loads(row["FAIL_TO_PASS"]), json.loads(row["PASS_TO_PASS"])
    report = {"patch_is_None": patch is None, "patch_exists": bool(patch),
              "patch_successfully_applied": False, "resolved": False, "infra_failure": False}
    with tempfile.TemporaryDirectory() as work:
        root = os.path.join(work, "repo")
        checkout(repos, row, root)
        if not apply(root, patch):
            return report
        report["patch_successfully_applied"] = True
        results = run_tests(auklet, row, root, f2p + p2p)
    status = {}
    for key, names in (("FAIL_TO_PASS", f2p), ("PASS_TO_PASS", p2p)):
        status[key] = {"success": [n for n in names if results.get(n)],
                       "failure": [n for n in names if not results.get(n)]}
    report["tests_status"] = status
    report["resolved"] = not (status["FAIL_TO_PASS"]["failure"] or status["PASS_TO_PASS"]["failure"])
    return report


def main():
    if len(sys.argv) != 7:
        print(__doc__, file=sys.stderr)
        return 2
    auklet, data, repos, preds, run_id, out = sys.argv[1:]
    rows = {r["instance_id"]: r for r in map(json.loads, open(data))}
    lines = [json.loads(line) for line in open(preds)]
    ids = {"submitted": [], "completed": [], "resolved": [], "unresolved": [], "empty_patch": [],
           "error": [], "infra_failure": [], "ambiguous_failure": []}
    model = lines[0]["model_name_or_path"].replace("/", "__")
    for line in lines:
        name = line["instance_id"]
        ids["submitted"].append(name)
        if not line["model_patch"]:
            ids["empty_patch"].append(name)
            continue
        report = score(auklet, rows[name], repos, line["model_patch"])
        where = os.path.join(out, "logs", "run_evaluation", run_id, model, name)
        os.makedirs(where, exist_ok=True)
        with open(os.path.join(where, "report.json"), "w") as f:
            json.dump({name: report}, f, indent=4)
        if not report["patch_successfully_applied"]:
            ids["error"].append(name)
            continue
        ids["completed"].append(name)
        ids["resolved" if report["resolved"] else "unresolved"].append(name)
    ids["incomplete"] = sorted(set(rows) - set(ids["submitted"]))
    report = {"total_instances": len(rows), "schema_version": 2}
    for key, names in ids.items():
        report[key + "_instances"] = len(names)
        report[key + "_ids"] = sorted(names)
    with open(os.path.join(out, "%s.%s.json" % (model, run_id)), "w") as f:
        json.dump(report, f, indent=4)
    print("%d of %d resolved" % (len(ids["resolved"]), len(lines)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
