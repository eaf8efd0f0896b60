#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""schemathesis on the server's own OpenAPI document: schema.py AUKLET SCHEMATHESIS.

Made-up requests to every route: no 5xx but the ones that are documented, no answer that contradicts
the document, and the server lives on."""
import json
import os
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Server  # noqa: E402

REFUSED = "embedding|infill|rerank|push|blobs|lora|transcriptions"
auklet, program = os.path.abspath(sys.argv[1]), sys.argv[2]
with Server(auklet, options=["--ctx", "512"]) as s:
    status = subprocess.run([program, "run", s.url + "/openapi.json", "--max-examples", "20", "--seed", "1",
                             "--checks", "not_a_server_error,content_type_conformance,response_schema_conformance",
                             "--request-timeout", "60", "--no-color",
                             # what is not offered answers 501, which the document says
                             "--exclude-path-regex", REFUSED]).returncode
    health = json.load(urllib.request.urlopen(s.url + "/health"))
    assert health == {"status": "ok"}, health
sys.exit(status)
