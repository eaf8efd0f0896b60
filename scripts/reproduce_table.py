#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints theirs (the paper's published numbers) beside ours, from what scripts/reproduce.sh left.

    reproduce_table.py OUT SET...
"""
import json
import os
import sys

THEIRS = {
    ("rtn4", "humaneval"): (146, 164), ("rtn4", "mbpp"): (233, 257),
    ("mixed_4_8", "humaneval"): (148, 164), ("gptq4", "humaneval"): (145, 164),
}
THEIR_P = {("mixed_4_8", "humaneval"): "0.7905", ("gptq4", "humaneval"): "1.000"}
THEIR_BITS = {"mixed_4_8": "5.21"}


def read(out, name):
    try:
        with open(os.path.join(out, name)) as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def rate(passed, n):
    return "%d/%d = %.4f" % (passed, n, passed / n) if n else "none of 0"


def main():
    out, sets = sys.argv[1], sys.argv[2:]
    rows = [("", "theirs", "ours")]
    for name in ("rtn4", "mixed_4_8", "gptq4"):
        made = read(out, name + ".json")
        if made is None:
            why = os.path.join(out, name + ".why")
            text = open(why).read().strip().splitlines() if os.path.exists(why) else []
            rows.append((name, "", "not made: " + (text[0] if text else "unknown")))
        else:
            rows.append((name + ", bits per weight", THEIR_BITS.get(name, ""),
                         "%.2f (%.2f GB)" % (made["bits_per_weight"], made["bytes"] / 1e9)))
        theirs, ours = [0, 0], [0, 0]
        for s in map(os.path.basename, sets):
            score = read(out, "%s.%s.json" % (name, s))
            t = THEIRS.get((name, s))
            if made is None and t is None:
                continue
            rows.append(("%s, %s" % (name, s), rate(*t) if t else "",
                         rate(score["passed"], score["n"]) if score else ""))
            for total, part in ((theirs, t), (ours, score and (score["passed"], score["n"]))):
                if part and total is not None:
                    total[0] += part[0]
                    total[1] += part[1]
        if name == "rtn4" and len(sets) > 1:
            rows.append(("rtn4, pooled", rate(*theirs), rate(*ours)))
    for name in ("mixed_4_8", "gptq4"):
        for s in map(os.path.basename, sets):
            test, tost = (read(out, "%s.%s.%s.json" % (name, s, k)) for k in ("mcnemar", "tost"))
            if test is None:
                continue
            p = "p = %.4f, table %s" % (test["p_exact"], ",".join(map(str, test["table"])))
            rows.append(("%s against rtn4, %s" % (name, s),
                         "p = " + THEIR_P[name, s] if (name, s) in THEIR_P else "", p))
            rows.append(("  equal within 1.5 points?", "called a tie" if (name, s) in THEIR_P else "",
                         "shown" if tost["equivalent"] else "not shown"))
    widths = [max(len(r[i]) for r in rows) for i in range(2)]
    for r in rows:
        print(("%-*s  %-*s  %s" % (widths[0], r[0], widths[1], r[1], r[2])).rstrip())
    for s in map(os.path.basename, sets):
        for name in ("mixed_4_8", "gptq4"):
            test = read(out, "%s.%s.mcnemar.json" % (name, s))
            if test is not None:
                print("\n%s against rtn4 on %s: %s" % (name, s, test["conclusion"]))


main()
