# SPDX-License-Identifier: Apache-2.0
"""Tasks in a tree of files: what is wrong must be found, what is right stands somewhere else."""

SIZE = {"easy": 1, "medium": 2, "hard": 4, "extreme": 8}
MODULES = ["billing", "catalog", "courier", "harbor", "invoice", "ledger", "meter", "orders"]


def param(about, **more):
    return dict(type="string", description=about, **more)


def file_tools(checks, ok):
    path = param("of the file, like src/billing.py")
    return [
        {"name": "list_dir", "description": "Lists a folder; an empty path is the root.", "params": {"path": param("of the folder")},
         "does": {"file": "list", "path": "path"}},
        {"name": "read_file", "description": "Shows a file.", "params": {"path": path}, "does": {"file": "read", "path": "path"}},
        {"name": "search", "description": "Finds lines that hold a text, as path:line: text.", "params": {"text": param("to look for")},
         "does": {"file": "search", "text": "text"}},
        {"name": "replace_text", "description": "Replaces a text that stands once in a file.",
         "params": {"path": path, "old": param("what stands there", free=True), "new": param("what should", free=True)},
         "does": {"file": "replace", "path": "path", "old": "old", "new": "new"}},
        {"name": "run_tests", "description": "Runs the tests; names the first that fails.", "params": {},
         "does": {"check": checks, "ok": ok}},
    ]


def readme():
    return "# shop\n\nSources are in src, documents in docs, tests in tests. The folder vendor is not ours: leave it as it is.\n"


def finish(tier, key, shift, decoys_of, faults_of, vary, files, checks, goal, steps, prompts):
    extra, forbidden = decoys_of("coding", tier, shift)
    steps = steps + [{"tool": "run_tests", "args": {}}]
    vary["seq"] = {"int": [100, 999]}
    files["README.md"] = readme() + "Build {{seq}}.\n"
    out = {"id": "%s_co_%s" % (tier[:2], key), "vary": vary, "prompt": prompts, "world": {"files": files},
           "tools": file_tools(checks, "all tests passed"), "decoys": extra,
           "goal": {"files": goal, "never": forbidden, "before": [["read_file", "replace_text"]]},
           "solution": steps[:-1] if not checks else steps,
           "max_steps": max({"easy": 8, "medium": 16, "hard": 32, "extreme": 48}[tier], len(steps) + 8)}
    # the goal is met by the last change; the tests are there to be asked
    out["solution"] = [s for s in out["solution"] if s["tool"] != "run_tests"] if tier == "easy" else \
        [{"tool": "run_tests", "args": {}}] + [s for s in out["solution"] if s["tool"] != "run_tests"]
    faults = faults_of(tier, ["run_tests", "search"])
    if faults:
        out["faults"] = faults
    return out


def limits(tier, *how):
    """A setting is wrong in its module; the right value stands in a document of its own."""
    n = SIZE[tier]
    vary, files, checks, goal, steps = {}, {}, [], {}, []
    for i, m in enumerate(MODULES[:n]):
        vary["right%d" % i] = {"int": [110, 480]}
        vary["wrong%d" % i] = {"int": [500, 990]}
        const = "%s_LIMIT" % m.upper()
        files["src/%s.py" % m] = "%s = {{wrong%d}}\n\n\ndef allowed(n):\n    return n <= %s\n" % (const, i, const)
        files["docs/%s.md" % m] = "The agreed %s is {{right%d}}.\n" % (const, i)
        files["vendor/%s_old.py" % m] = "# old: %s_V1 = {{wrong%d}}\n" % (const, i)
        good = "*%s = {{right%d}}*" % (const, i)
        checks.append({"file": "src/%s.py" % m, "has": [good], "fail": "test_%s: %s is not the agreed one" % (m, const)})
        goal["src/%s.py" % m] = {"has": [good, "*return n <= %s*" % const]}
        steps += [{"tool": "search", "args": {"text": const}}, {"tool": "read_file", "args": {"path": "src/%s.py" % m}},
                  {"tool": "replace_text", "args": {"path": "src/%s.py" % m, "old": "%s = {{wrong%d}}" % (const, i),
                                                    "new": "%s = {{right%d}}" % (const, i)}}]
    what = " and ".join("%s_LIMIT" % m.upper() for m in MODULES[:n]) if n < 4 else "every limit that a document in docs names"
    if n >= 4:
        steps = [{"tool": "list_dir", "args": {"path": "docs"}}] + [
            dict(s, args=dict(s["args"], text=s["args"]["text"].split("_")[0].lower())) if s["tool"] == "search" else s for s in steps]
    prompts = ["In src, %s must be what the documents in docs agree on. Correct it; change nothing else." % what,
               "Please bring %s in the code under src in line with docs." % what]
    return finish(tier, "limits", 0, *how, vary, files, checks, goal, steps, prompts)


def bugs(tier, *how):
    """A comparison or a sign is the wrong way round; the test's message says what is expected."""
    kinds = [("total + {{k%d}}", "total - {{k%d}}", "a discount of {{k%d}} must be subtracted"),
             ("total < {{k%d}}", "total <= {{k%d}}", "exactly {{k%d}} is still allowed"),
             ("total * {{k%d}}", "total // {{k%d}}", "it is shared among {{k%d}}"),
             ("total >= {{k%d}}", "total > {{k%d}}", "only above {{k%d}} counts")]
    n = SIZE[tier]
    vary, files, checks, goal, steps = {}, {}, [], {}, []
    for i, m in enumerate(MODULES[:n]):
        vary["k%d" % i] = {"int": [12, 98]}
        vary["fn%d" % i] = {"pick": ["settle_%s" % m, "assess_%s" % m, "resolve_%s" % m]}
        bad, good, why = [k % i for k in kinds[i % 4]]
        files["src/%s.py" % m] = "def {{fn%d}}(total):\n    return %s\n" % (i, bad)
        files["tests/test_%s.py" % m] = "# {{fn%d}} in src/%s.py: %s\n" % (i, m, why)
        star = good.replace("*", "")
        checks.append({"file": "src/%s.py" % m, "has": ["*return %s*" % star], "fail": "test_%s: {{fn%d}}: %s" % (m, i, why)})
        goal["src/%s.py" % m] = {"has": ["*def {{fn%d}}(total):*return %s*" % (i, star)]}
        steps += [{"tool": "search", "args": {"text": "{{fn%d}}" % i}}, {"tool": "read_file", "args": {"path": "src/%s.py" % m}},
                  {"tool": "replace_text", "args": {"path": "src/%s.py" % m, "old": "return " + bad, "new": "return " + good}}]
    named = " and ".join("{{fn%d}}" % i for i in range(n)) if n < 4 else None
    if named is None:
        steps = [{"tool": "list_dir", "args": {"path": "tests"}}] + [
            s if s["tool"] != "search" else {"tool": "read_file", "args": {"path": "tests/test_%s.py" % m}}
            for s, m in zip(steps, [m for m in MODULES[:n] for _ in range(3)])]
    prompts = ["The tests fail because of %s. Fix the code, not the tests." % (named or "several functions under src; the comments under tests say what is meant"),
               "Make the tests pass by repairing %s under src. The tests are right." % (named or "every function that a comment under tests speaks of")]
    return finish(tier, "bugs", 2, *how, vary, files, checks, goal, steps, prompts)


def renames(tier, *how):
    """Old calls become the ones that the guide names."""
    n = SIZE[tier]
    vary, files, checks, goal, steps = {}, {}, [], {}, []
    guide = "# Moving to version 2\n\n"
    for i, m in enumerate(MODULES[:n]):
        vary["old%d" % i] = {"pick": ["fetch_%s" % m, "load_%s" % m, "pull_%s" % m]}
        vary["new%d" % i] = {"pick": ["open_%s_v2" % m, "stream_%s_v2" % m, "query_%s_v2" % m]}
        guide += "- {{old%d}} is now {{new%d}}, with the same arguments\n" % (i, i)
        files["src/%s_view.py" % m] = "import store\n\n\ndef show(key):\n    return store.{{old%d}}(key)\n" % i
        files["vendor/%s_shim.py" % m] = "# shim of %s, not ours\n" % m
        good = "*return store.{{new%d}}(key)*" % i
        checks.append({"file": "src/%s_view.py" % m, "has": [good], "fail": "test_%s_view: old call" % m})
        goal["src/%s_view.py" % m] = {"has": [good], "lacks": ["*{{old%d}}*" % i]}
        steps += [{"tool": "search", "args": {"text": "{{old%d}}" % i}}, {"tool": "read_file", "args": {"path": "src/%s_view.py" % m}},
                  {"tool": "replace_text", "args": {"path": "src/%s_view.py" % m, "old": "{{old%d}}" % i, "new": "{{new%d}}" % i}}]
    files["docs/MIGRATION.md"] = guide
    steps = [{"tool": "read_file", "args": {"path": "docs/MIGRATION.md"}}] + steps
    prompts = ["docs/MIGRATION.md says which calls were renamed. Bring the code under src up to date.",
               "Move the callers under src to version 2, as docs/MIGRATION.md describes."]
    return finish(tier, "renames", 4, *how, vary, files, checks, goal, steps, prompts)


def pins(tier, *how):
    """A vulnerable version is raised to the first one that is not, which the advisory names."""
    packages = ["amberlog", "birchnet", "cedarsql", "drumlin", "eiderjs", "fennel", "gantry", "heron"]
    n = SIZE[tier]
    vary, files, checks, goal, steps = {}, {}, [], {}, []
    for i, p in enumerate(packages[:n]):
        vary["have%d" % i] = {"int": [11, 39]}
        vary["fixed%d" % i] = {"int": [41, 89]}
        vary["later%d" % i] = {"int": [91, 99]}
        files["requirements/%s.txt" % MODULES[i]] = "%s==2.{{have%d}}\n" % (p, i)
        files["advisories/%s.md" % p] = "%s: broken up to 2.{{have%d}}. First good version: 2.{{fixed%d}}. Newest, untested here: 2.{{later%d}}.\n" % (p, i, i, i)
        good = "*%s==2.{{fixed%d}}*" % (p, i)
        checks.append({"file": "requirements/%s.txt" % MODULES[i], "has": [good], "fail": "audit: %s is pinned to a wrong version" % p})
        goal["requirements/%s.txt" % MODULES[i]] = {"has": [good]}
        steps += [{"tool": "read_file", "args": {"path": "advisories/%s.md" % p}}, {"tool": "search", "args": {"text": p}},
                  {"tool": "read_file", "args": {"path": "requirements/%s.txt" % MODULES[i]}},
                  {"tool": "replace_text", "args": {"path": "requirements/%s.txt" % MODULES[i], "old": "2.{{have%d}}" % i, "new": "2.{{fixed%d}}" % i}}]
    steps = [{"tool": "list_dir", "args": {"path": "advisories"}}] + steps
    prompts = ["Pin every package that has an advisory in the folder advisories to its first good version, in its file under requirements.",
               "For each advisory in advisories: raise the package under requirements to the first good version, not the newest."]
    return finish(tier, "pins", 6, *how, vary, files, checks, goal, steps, prompts)


def tasks(tier, decoys_of, faults_of):
    return [make(tier, decoys_of, faults_of) for make in (limits, bugs, renames, pins)]
