#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every gold patch, as SEARCH/REPLACE blocks of its hunks' own text, and back.

usage: gold_patches.py AUKLET DATA.jsonl WORK [--only N]

The repositories are not needed: a file is made of its hunks' old text, with a line of its own
between two hunks.  For each instance: `AUKLET patch` must give a diff that `git apply` and
`patch -p1 --fuzz=0` take, and the patched files must equal, byte for byte, what the hunks say.
Prints one line at the end; exit 1 when an instance differs.
"""
import json
import os
import re
import shutil
import subprocess
import sys

HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def files_of(patch):
    """[(path, is_new, [(old text, new text)])]"""
    files, lines, i = [], patch.split("\n"), 0
    while i < len(lines):
        line = lines[i]
        i += 1
        if line.startswith("--- "):
            is_new = line == "--- /dev/null"
            files.append((lines[i][len("+++ b/"):].rstrip("\t"), is_new, []))
            i += 1
        elif line.startswith("@@ "):
            old_left, new_left = (int(n) if n else 1 for n in HUNK.match(line).groups())
            old, new = [], []
            while old_left > 0 or new_left > 0:
                sign, text = lines[i][:1], lines[i][1:]
                i += 1
                if sign != "+":
                    old.append(text)
                    old_left -= 1
                if sign != "-":
                    new.append(text)
                    new_left -= 1
            assert not lines[i:i + 1] or not lines[i].startswith("\\"), "no final newline"
            files[-1][2].append(("".join(l + "\n" for l in old), "".join(l + "\n" for l in new)))
    return files


def make(texts):
    return "".join("# between hunks: line %d\n%s" % (i, t) for i, t in enumerate(texts))


def answer_of(files):
    out = ["This is the change.\n"]
    for path, _, hunks in files:
        for old, new in hunks:
            out.append("%s\n```python\n<<<<<<< SEARCH\n%s=======\n%s>>>>>>> REPLACE\n```\n" %
                       (path, old, new))
    return "\n".join(out)


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full) or root, exist_ok=True)
    with open(full, "w", newline="") as f:
        f.write(text)


def read(root, path):
    with open(os.path.join(root, path), newline="") as f:
        return f.read()


def check(auklet, row, work):
    files = files_of(row["patch"])
    roots = [os.path.join(work, name) for name in ("before", "git", "patch")]
    for root in roots:
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(root)
        for path, is_new, hunks in files:
            if not is_new:
                write(root, path, make(old for old, _ in hunks))
    run = subprocess.run([auklet, "patch", "--root", roots[0], "-q"], capture_output=True,
                         input=answer_of(files).encode())
    if run.returncode != 0:
        return "auklet patch: " + run.stderr.decode().strip()
    for root, command in ((roots[1], ["git", "apply"]),
                          (roots[2], ["patch", "-p1", "--fuzz=0", "--batch", "--silent"])):
        done = subprocess.run(command, cwd=root, input=run.stdout, capture_output=True,
                              env=dict(os.environ, GIT_CEILING_DIRECTORIES=work))
        if done.returncode != 0:
            return "%s: %s" % (" ".join(command), (done.stdout + done.stderr).decode().strip())
    for path, is_new, hunks in files:
        want = hunks[0][1] if is_new else make(new for _, new in hunks)
        for root in roots[1:]:
            if read(root, path) != want:
                return "%s differs in %s" % (path, root)
    return None


def main():
    auklet, data, work = sys.argv[1:4]
    rows = [json.loads(line) for line in open(data)]
    if sys.argv[4:5] == ["--only"]:
        rows = rows[::max(1, len(rows) // int(sys.argv[5]))]
    bad = 0
    for row in rows:
        why = check(auklet, row, work)
        if why:
            print("%s: %s" % (row["instance_id"], why))
            bad += 1
    print("%d of %d gold patches came back byte for byte" % (len(rows) - bad, len(rows)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
