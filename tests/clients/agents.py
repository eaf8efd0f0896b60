#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Coding agents from the registries finish a real edit, configured by `auklet launch` and by
nothing else: greet.py is read, changed and, by those that do so, committed.

    agents.py --auklet PATH --bins DIR:DIR [--server control|auklet] [--model DIR] [AGENT]...

The model's part is played by rules (rules.py says which form they have): a file's marker shows
that the agent has read it, the new word that it has edited it.  Prints a line per agent; exit 1
when one failed, 77 when none is installed.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Server, rule, say, wide_model  # noqa: E402

TASK = "AUK-TASK: correct the greeting in greet.py, then stop."
FILE = 'def greet(name):  # AUK-FILE-SEEN\n    return "Helo-there, " + name\n'
OLD, NEW = "Helo-there", "Hello-there"


def tool_rules(tool, read, edit, end=None):
    """Read, edit, end: each a (tool, arguments); `tool` shows that it is the agent's own turn."""
    return [rule(say(calls=[end]) if end else say("AUK-DONE"), NEW),
            rule(say(calls=[edit]), "AUK-FILE-SEEN", tool),
            rule(say(calls=[read]), "AUK-TASK", tool),
            rule(say("Correct the greeting"))]


SED = "sed -i s/%s/%s/ greet.py" % (OLD, NEW)
PATCH = "*** Begin Patch\n*** Update File: greet.py\n@@\n-    return \"%s, \" + name\n" \
        "+    return \"%s, \" + name\n*** End Patch\n" % (OLD, NEW)
BLOCK = "greet.py\n```\n<<<<<<< SEARCH\n    return \"%s, \" + name\n=======\n" \
        "    return \"%s, \" + name\n>>>>>>> REPLACE\n```\n" % (OLD, NEW)

# name: (rules of the repository's path, arguments after launch's --, said by the agent at the end)
AGENTS = {
    "codex": (lambda d: tool_rules("exec_command", ("exec_command", {"cmd": "cat greet.py"}),
                                   ("apply_patch", {"input": PATCH})),
              ["--dangerously-bypass-approvals-and-sandbox"], "AUK-DONE"),
    "claude": (lambda d: tool_rules("old_string", ("Read", {"file_path": d + "/greet.py"}), (
        "Edit", {"file_path": d + "/greet.py", "old_string": OLD, "new_string": NEW})),
        ["--permission-mode", "acceptEdits", "--output-format", "json"], "AUK-DONE"),
    "opencode": (lambda d: tool_rules("oldString", ("read", {"filePath": d + "/greet.py"}), (
        "edit", {"filePath": d + "/greet.py", "oldString": OLD, "newString": NEW})),
        [], "AUK-DONE"),
    "cline": (lambda d: tool_rules("run_commands", ("run_commands", {"commands": ["cat greet.py"]}),
                                   ("run_commands", {"commands": [SED]})), [], "AUK-DONE"),
    "continue": (lambda d: tool_rules("Read", ("Read", {"filepath": d + "/greet.py"}), (
        "Edit", {"file_path": d + "/greet.py", "old_string": OLD, "new_string": NEW})),
        ["--auto"], "AUK-DONE"),
    "crush": (lambda d: tool_rules("multiedit", ("view", {"file_path": d + "/greet.py"}), (
        "edit", {"file_path": d + "/greet.py", "old_string": OLD, "new_string": NEW})),
        ["--quiet"], "AUK-DONE"),
    "qwen": (lambda d: tool_rules("read_file", ("read_file", {"file_path": d + "/greet.py"}), (
        "edit", {"file_path": d + "/greet.py", "old_string": OLD, "new_string": NEW})),
        ["--yolo"], "AUK-DONE"),
    "pi": (lambda d: tool_rules("oldText", ("read", {"path": "greet.py"}), (
        "edit", {"path": "greet.py", "edits": [{"oldText": OLD, "newText": NEW}]})),
        [], "AUK-DONE"),
    "aider": (lambda d: [rule(say(BLOCK), "AUK-FILE-SEEN", "SEARCH/REPLACE"),
                         rule(say("Correct the greeting"))],
              ["--yes-always", "--no-show-model-warnings", "greet.py"], "Applied edit"),
    "mini": (lambda d: tool_rules("bash", ("bash", {"command": "cat greet.py"}),
                                  ("bash", {"command": SED + "; grep Hello greet.py"}),
                                  ("bash", {"command":
                                            "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"})),
             ["--yolo", "--exit-immediately"], ""),
    "interpreter": (lambda d: tool_rules(
        "execute", ("execute", {"language": "shell", "code": "cat greet.py"}),
        ("execute", {"language": "shell", "code": SED})), ["--auto_run", "--plain", "--stdin"],
        "AUK-DONE"),
    "openhands": (lambda d: tool_rules(
        "file_editor", ("file_editor", {"command": "view", "path": d + "/greet.py",
                                        "security_risk": "LOW"}),
        ("file_editor", {"command": "str_replace", "path": d + "/greet.py", "old_str": OLD,
                         "new_str": NEW, "security_risk": "LOW"}),
        ("finish", {"message": "AUK-DONE"})),
        ["--headless", "--json"], ""),
    "llm": (lambda d: [rule(say("AUK-DONE"), "AUK-TASK")], [], "AUK-DONE"),
}
NO_EDIT = {"llm"}


def first_request(server):
    """Bytes of the largest of the first requests, and its tools (the control knows)."""
    bodies = [b for b in server.requests() if b.get("tools") or b.get("messages") or b.get("input")]
    if not bodies:
        return 0, []
    first = max(bodies[:3], key=lambda b: len(json.dumps(b)))
    return len(json.dumps(first)), [t.get("name") or t.get("function", {}).get("name") or
                                    t.get("type") for t in first.get("tools") or []]


def run_agent(name, args, folder):
    rules, extra, ending = AGENTS[name]
    repo, home = os.path.join(folder, "repo"), os.path.join(folder, "home")
    os.makedirs(repo), os.makedirs(home)
    with open(os.path.join(repo, "greet.py"), "w") as f:
        f.write(FILE)
    git = ["git", "-C", repo, "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(git[:3] + ["init", "-q"], check=True)
    subprocess.run(git + ["add", "."], check=True)
    subprocess.run(git + ["commit", "-qm", "start"], check=True)
    with open(os.path.join(home, ".gitconfig"), "w") as f:
        f.write("[user]\n\tname = t\n\temail = t@localhost\n")
    model = None if args.server == "control" else wide_model(folder, 65536)
    server = Server(args.auklet, rules(repo), args.server == "control", ["--parallel", "2"], folder,
                    model)
    keep = {k: os.environ[k] for k in ("LANG", "LD_LIBRARY_PATH", "ASAN_OPTIONS") if k in os.environ}
    env = dict(keep, PATH=args.bins + ":/usr/local/bin:/usr/bin:/bin", HOME=home, TERM="dumb",
               XDG_STATE_HOME=os.path.join(home, "state"), no_proxy="127.0.0.1,localhost")
    task = [] if name == "interpreter" else ["--task", TASK]
    command = [args.auklet, "launch", name, "--start", "-q", "--url",
               "http://127.0.0.1:%d" % server.port, *task]
    if args.server == "control":
        command += ["--model", "north-mini-code", "--ctx", "65536"]
    began = time.monotonic()
    said = open(os.path.join(folder, "said"), "w+")
    agent = subprocess.Popen(command + ["--"] + extra, cwd=repo, env=env, text=True,
                             stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT,
                             start_new_session=True)
    try:
        if name == "interpreter":
            agent.stdin.write(TASK + "\n")
        agent.stdin.close()
        status = agent.wait(args.timeout)
    except subprocess.TimeoutExpired:
        status = "timeout"
    finally:
        try:
            os.killpg(agent.pid, 9)
        except ProcessLookupError:
            pass
        server.close()
    text = open(said.name).read()
    edited = NEW in open(os.path.join(repo, "greet.py")).read()
    size, tools = first_request(server)
    problems = []
    if status != 0:
        problems.append("exit %s" % status)
    if not edited and name not in NO_EDIT:
        problems.append("greet.py was not edited")
    if ending not in text:
        problems.append("'%s' was not said" % ending)
    if "<|" in text:
        problems.append("a marker of the model was shown")
    if name == "aider" and "Correct the greeting" not in subprocess.run(
            git[:3] + ["log", "--format=%s"], capture_output=True, text=True).stdout:
        problems.append("nothing was committed")
    return {"agent": name, "seconds": round(time.monotonic() - began, 1), "problems": problems,
            "first_request_bytes": size, "tools": tools, "said": text[-1500:]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--auklet", required=True)
    parser.add_argument("--bins", required=True)
    parser.add_argument("--server", default="auklet")
    parser.add_argument("--timeout", type=float, default=150)
    parser.add_argument("--keep", help="a folder for what was run and said")
    parser.add_argument("agents", nargs="*")
    args = parser.parse_args()
    args.auklet, failed, ran = os.path.abspath(args.auklet), 0, 0
    listed = json.loads(subprocess.run([args.auklet, "launch", "--list", "--json"], text=True,
                                       capture_output=True, check=True).stdout)["agents"]
    for agent in listed:
        name = agent["name"]
        if args.agents and name not in args.agents:
            continue
        if not shutil.which(agent["program"], path=args.bins):
            print("%-12s SKIPPED: '%s' is not installed" % (name, agent["program"]), flush=True)
            continue
        folder = tempfile.mkdtemp(prefix="auk-%s-" % name, dir=args.keep)
        result = run_agent(name, args, folder)
        ran += 1
        failed += bool(result["problems"])
        print("%-12s %s in %5.1f s, first request %d bytes, %d tools" % (
            name, "FAILED: " + ", ".join(result["problems"]) if result["problems"] else "ok",
            result["seconds"], result["first_request_bytes"], len(result["tools"])), flush=True)
        if result["problems"]:
            print("    tools: %s\n    %s" % (" ".join(map(str, result["tools"])),
                                            result["said"].strip().replace("\n", "\n    ")))
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print("%d passed, %d failed" % (ran - failed, failed))
    return 1 if failed else 0 if ran else 77


if __name__ == "__main__":
    sys.exit(main())
