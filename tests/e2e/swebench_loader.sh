#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Predictions of `auklet swebench generate` load with the official harness's own loader, swebench
# 5.0.2 from PyPI, and match its data set's ids; damaged ones are told from them by it as we say.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap '[ -z "${server:-}" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

if ! { python3 -m venv "$work/venv" && "$work/venv/bin/pip" install -q swebench==5.0.2; } >"$work/pip.log" 2>&1; then
    echo "SKIPPED: swebench 5.0.2 cannot be installed from PyPI: $(tail -n 1 "$work/pip.log")" >&2
    exit 77
fi

python3 data/swebench/make.py "$work/repos" || exit 1
python3 tests/http/swebench_answers.py single >"$work/answers"
mkfifo "$work/stdin"
python3 tests/http/foreign.py --log "$work/log" --answers "$work/answers" <"$work/stdin" >"$work/port" &
server=$!
exec 7>"$work/stdin"
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.1; done
"$AUKLET" swebench generate --data data/swebench/instances.jsonl --repos "$work/repos" \
    --model "openai:http://127.0.0.1:$(cat "$work/port")/v1/a/scripted" -o "$work/preds.jsonl" || exit 1
exec 7>&-

cd "$work" || exit 1
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - "$OLDPWD/data/swebench/instances.jsonl" <<'P'
import json, sys
import importlib.metadata
from swebench.harness.utils import get_predictions_from_file
assert importlib.metadata.version("swebench") == "5.0.2"
preds = get_predictions_from_file("preds.jsonl", "none", "test")
rows = [json.loads(line) for line in open(sys.argv[1])]
assert [p["instance_id"] for p in preds] == [r["instance_id"] for r in rows]
assert all(set(p) == {"instance_id", "model_name_or_path", "model_patch"} for p in preds)
assert all(isinstance(p["model_patch"], str) for p in preds)
assert sum(bool(p["model_patch"]) for p in preds) == 4
assert all(p["model_patch"].endswith("\n") for p in preds if p["model_patch"])
open("blank.jsonl", "w").write(open("preds.jsonl").read() + "\n")
try:
    get_predictions_from_file("blank.jsonl", "none", "test")
    raise SystemExit("the official loader takes a blank line: what we warn of is wrong")
except json.JSONDecodeError:
    print("swebench 5.0.2 loads the predictions, %d of them, and refuses a blank line" % len(preds))
P
