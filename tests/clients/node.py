#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts two servers, one of them scripted, and sdk.mjs against them: node.py AUKLET FOLDER."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import HERE, Server, rule, say  # noqa: E402

RULES = [rule(say("It rains in Oslo."), "RAIN-RESULT"),
         rule(say(calls=[("get_weather", {"city": "Oslo"})]), "get_weather"), rule(say("Hello."))]
auklet, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
with Server(auklet) as live, Server(auklet, RULES) as scripted:
    sys.exit(subprocess.run(["node", os.path.join(HERE, "sdk.mjs"), live.url, scripted.url], cwd=folder).returncode)
