#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Is the harness ever the bottleneck?  A server streams 5,000 tokens a second; what does inspect lose,
and how far are its time stamps from the moments at which the server handed the pieces to the socket?

usage: harness_speed.py AUKLET [TOKENS]

Both clocks are the machine's monotonic one.  Prints what was measured; exit 1 when a run
loses 2 % or more of the rate, or when in none of three runs 99 % of the stamps are within 1 ms: on
processors that others use as well, the server or the client is now and then off for milliseconds.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RATE = 5000


def measure(auklet, tokens, work):
    stamps, db = os.path.join(work, "stamps"), os.path.join(work, "l.db")
    server = subprocess.Popen(
        [sys.executable, os.path.join(HERE, "..", "http", "scripted.py"), "--log",
         os.path.join(work, "log"), "--policy", "words:%d" % tokens, "--fault", "rate=%d" % RATE,
         "--fault", "count=1", "--fault", "no_cache=1", "--stamps", stamps],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = int(server.stdout.readline())
    try:
        subprocess.run(
            [auklet, "inspect", "openai:http://127.0.0.1:%d/v1/m" % port, "--repeat", "3",
             "--gen-tokens", str(tokens), "--no-prefix", "--db", db, "-q"],
            check=True, stdout=subprocess.DEVNULL)
        shown = subprocess.run([auklet, "ledger", "show", "latest", "--items", "--json", "--db", db],
                               check=True, stdout=subprocess.PIPE).stdout
    finally:
        server.stdin.close()
        server.wait()
    runs = [i for i in json.loads(shown)["items"] if i["item"] == "run"]
    # a chunk for the role, one a token, one for the finish, one for the usage, [DONE]
    there = [json.loads(line) for line in open(stamps)][-len(runs):]
    return runs, [t[1:1 + tokens] for t in there]


def main():
    auklet, tokens = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 15000
    with tempfile.TemporaryDirectory() as work:
        runs, there = measure(auklet, tokens, work)
    slow, close = False, False
    for run, sent in zip(runs, there):
        got = [run["begun_ns"] + t for t in run["stamps_ns"]]
        if len(got) != tokens or len(sent) != tokens:
            print("%d pieces sent, %d stamped" % (len(sent), len(got)))
            return 1
        rate = [1e9 * (tokens - 1) / (x[-1] - x[0]) for x in (sent, got)]
        late = sorted((g - s) / 1e6 for g, s in zip(got, sent))
        lost = 1 - rate[1] / rate[0]
        print("%d tokens: sent at %.1f/s, stamped at %.1f/s, lost %.3f %%; stamps later by median %.3f, "
              "95 %% %.3f, 99 %% %.3f, most %.3f ms; %.2f %% within 1 ms" % (
                  tokens, rate[0], rate[1], 100 * lost, statistics.median(late),
                  late[int(0.95 * tokens)], late[int(0.99 * tokens)], late[-1],
                  100 * sum(abs(x) < 1 for x in late) / tokens))
        slow |= lost >= 0.02
        close |= late[int(0.99 * tokens)] < 1 and late[0] > -1
    return 1 if slow or not close else 0


if __name__ == "__main__":
    sys.exit(main())
