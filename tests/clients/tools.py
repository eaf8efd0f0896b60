#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that are started, not imported: the evaluation harnesses, the ollama command, and the
agents' own SDK wheels.

    tools.py AUKLET FOLDER [CHECK]...

FOLDER holds one virtual environment per program (lmeval, inspect, evalplus, agents) and gobin/ollama.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agents import AGENTS, FILE, NEW, TASK  # noqa: E402
from lab import Server, rule, run_checks, say, wide_model  # noqa: E402

auklet, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
MODEL = "north-mini-code"
CODE = "```python\ndef add(a, b):\n    return a + b\n```"


def run(command, timeout=240, **env):
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
             "OPENAI_API_KEY": "local", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false"}
    r = subprocess.run(command, env=dict(os.environ, **quiet, **env), text=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, cwd=env.get("HOME"))
    assert r.returncode == 0, "exit %d: %s" % (r.returncode, r.stdout[-1500:])
    return r.stdout


def ollama_program():
    program = os.path.join(folder, "gobin", "ollama")
    with Server(auklet) as s:
        env = {"OLLAMA_HOST": s.url, "HOME": tempfile.mkdtemp()}
        name = run([program, "ls"], **env).splitlines()[1].split()[0]
        shown = run([program, "show", name], **env)
        assert "context length" in shown and "tools" in shown, shown
        assert run([program, "run", name, "answer with OK"], **env).strip()
        ps = run([program, "ps"], **env)
        assert "8192" in ps, ps
        return run([program, "--version"], **env).split()[-1]


def lm_eval():
    d = tempfile.mkdtemp()
    with open(d + "/items.jsonl", "w") as f:
        f.writelines(json.dumps({"q": "ITEM%d: 2 + %d =" % (i, i), "a": str(2 + i)}) + "\n" for i in range(3))
    with open(d + "/sums.yaml", "w") as f:
        f.write("task: sums\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: %s/items.jsonl\n"
                "test_split: test\noutput_type: generate_until\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n"
                "generation_kwargs:\n  until: ['\\n']\n  max_gen_toks: 60\nmetric_list:\n  - metric: exact_match\n" % d)
    rules = [rule(say(str(2 + i)), "ITEM%d" % i) for i in range(2)] + [rule(say("nothing"))]
    with Server(auklet, rules) as s:
        out = run([folder + "/lmeval/bin/lm_eval", "--model", "local-chat-completions", "--model_args",
                   "model=%s,base_url=%s/v1/chat/completions,num_concurrent=2" % (MODEL, s.url), "--tasks", "sums",
                   "--include_path", d, "--apply_chat_template"], HOME=d)
    assert "0.6667" in out, out[-1500:]


def inspect_ai():
    d = tempfile.mkdtemp()
    with open(d + "/sums.py", "w") as f:
        f.write("from inspect_ai import Task, task\nfrom inspect_ai.dataset import Sample\n"
                "from inspect_ai.scorer import exact\nfrom inspect_ai.solver import generate\n@task\ndef sums():\n"
                "    return Task(dataset=[Sample(input='ITEM%d' % i, target=str(i)) for i in range(2)],"
                " solver=generate(), scorer=exact())\n")
    with Server(auklet, [rule(say("0"), "ITEM0"), rule(say("7"), "ITEM1")]) as s:
        out = run([folder + "/inspect/bin/inspect", "eval", "sums.py", "--model", "openai-api/auklet/" + MODEL,
                   "--display", "plain", "--no-log-realtime"], HOME=d, AUKLET_BASE_URL=s.url + "/v1",
                  AUKLET_API_KEY="local")
    assert "0.500" in out, out[-1500:]


def evalplus():
    d = tempfile.mkdtemp()
    task = {"task_id": "HumanEval/0", "entry_point": "add", "canonical_solution": "    return a + b\n", "atol": 0,
            "prompt": "def add(a, b):\n    \"\"\"ADD-TASK: the sum\"\"\"\n", "contract": "", "base_input": [[1, 2]],
            "plus_input": [[3, 4]], "test": "def check(f):\n    assert f(1, 2) == 3\n"}
    with open(d + "/set.jsonl", "w") as f:
        f.write(json.dumps(task) + "\n")
    with Server(auklet, [rule(say(CODE), "ADD-TASK")]) as s:
        run([folder + "/evalplus/bin/evalplus.codegen", "--model", MODEL, "--dataset", "humaneval", "--backend", "openai",
             "--base-url", s.url + "/v1", "--greedy", "--root", d + "/out"], HOME=d,
            HUMANEVAL_OVERRIDE_PATH=d + "/set.jsonl")
    found = [os.path.join(p, n) for p, _, names in os.walk(d + "/out") for n in names if n.endswith(".jsonl")]
    said = "".join(open(n).read() for n in found)
    assert "return a + b" in said and "<|" not in said, (found, said[:500])


def repository():
    d = tempfile.mkdtemp()
    with open(d + "/greet.py", "w") as f:
        f.write(FILE)
    subprocess.run(["git", "init", "-q", d], check=True)
    return d


def launched(agent, s, home):
    """What launch prints for this server, its files written."""
    v = json.loads(subprocess.run([auklet, "launch", agent, "--url", s.url, "--json", "-q", "-o", home], check=True,
                                  capture_output=True, text=True).stdout)
    return v["env"]


def claude_agent_sdk():
    d, home = repository(), tempfile.mkdtemp()
    script = ("import anyio, sys\nfrom claude_agent_sdk import query, ClaudeAgentOptions, ResultMessage\n"
              "async def main():\n"
              "    async for m in query(prompt=sys.argv[1], options=ClaudeAgentOptions(cwd=sys.argv[2],"
              " permission_mode='acceptEdits')):\n        if isinstance(m, ResultMessage): print('RESULT', m.result)\n"
              "anyio.run(main)\n")
    with Server(auklet, AGENTS["claude"][0](d), model=wide_model(home, 65536)) as s:
        env = launched("claude", s, home + "/agent")
        out = run([folder + "/agents/bin/python", "-c", script, TASK, d], **{**env, "HOME": home})
    assert "RESULT AUK-DONE" in out and NEW in open(d + "/greet.py").read(), out[-800:]


def openai_codex():
    d, home = repository(), tempfile.mkdtemp()
    find = "import codex_cli_bin as b, os; print(b.__path__[0])"
    base = run([folder + "/agents/bin/python", "-c", find]).strip()
    program = next(os.path.join(p, "codex") for p, _, names in os.walk(base) if "codex" in names)
    with Server(auklet, AGENTS["codex"][0](d), model=wide_model(home, 65536)) as s:
        env = launched("codex", s, home + "/agent")
        out = run([program, "exec", "-C", d, "--dangerously-bypass-approvals-and-sandbox", TASK], **{**env, "HOME": home})
    assert "AUK-DONE" in out and NEW in open(d + "/greet.py").read(), out[-800:]


CHECKS = [ollama_program, lm_eval, inspect_ai, evalplus, claude_agent_sdk, openai_codex]

if __name__ == "__main__":
    sys.exit(run_checks(CHECKS, sys.argv[3:]))
