#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real clients against the server: installs one suite's packages and runs it.
#     AUKLET=build/release/auklet tests/clients/run.sh sdk|frameworks|node|agents|tools|schema
# Packages stay in AUK_CLIENTS (default: clients/ beside the build).  Versions are those that were
# tried: docs/clients.md.  Without the network, and without the packages, it is skipped, loudly.
set -u
suite=${1:?suite}
here=$(cd "$(dirname "$0")" && pwd)
AUKLET=$(realpath "${AUKLET:?}")
home=${AUK_CLIENTS:-$(dirname "$AUKLET")/clients}
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 npm_config_fund=false npm_config_audit=false
mkdir -p "$home"

skip() {
    echo "run.sh: SKIPPED $suite: $1" >&2
    exit 77
}

# venv NAME PACKAGE...: a virtual environment of its own; PYTHON chooses the interpreter.
venv() {
    local at=$home/$1
    shift
    [ -e "$at/.done" ] && [ "$(cat "$at/.done")" = "$*" ] && return
    rm -rf "$at"
    "${PYTHON:-python3}" -m venv "$at" && "$at/bin/pip" install -q "$@" >&2 ||
        skip "'pip install $*' failed: no network?"
    echo "$*" >"$at/.done"
}

# npm_install NAME PACKAGE...
npm_install() {
    local at=$home/$1
    shift
    command -v npm >/dev/null || skip "npm is not installed"
    [ -e "$at/.done" ] && [ "$(cat "$at/.done")" = "$*" ] && return
    rm -rf "$at"
    mkdir -p "$at"
    echo '{"private": true}' >"$at/package.json"
    (cd "$at" && npm install --no-progress "$@" >&2) || skip "'npm install $*' failed: no network?"
    echo "$*" >"$at/.done"
}

node22() {
    npm_install node node@22.23.3
    PATH=$home/node/node_modules/.bin:$PATH
}

"$AUKLET" help --list | grep -qx serve || skip "this auklet has no serve"

case $suite in
sdk)
    venv sdk openai==3.57.0 anthropic==2.13.0 ollama==0.6.3 jsonschema
    exec "$home/sdk/bin/python" "$here/sdk.py" "$AUKLET"
    ;;
frameworks)
    venv frameworks litellm==1.110.2 langchain==1.5.2 langchain-openai langchain-ollama langchain-anthropic \
        'pydantic-ai-slim[openai]==2.38.0' 'smolagents[openai]==1.26.0' instructor==1.17.0
    exec "$home/frameworks/bin/python" "$here/frameworks.py" "$AUKLET"
    ;;
node)
    node22
    npm_install npm openai@7.57.0 @anthropic-ai/sdk@1.13.0 ollama@0.6.4 ai@7.0.173 @ai-sdk/openai-compatible@3.0.92 zod
    exec python3 "$here/node.py" "$AUKLET" "$home/npm"
    ;;
agents)
    node22
    bins=$(dirname "$(realpath "$home/node/node_modules/.bin/node")"):$home/node/node_modules/.bin
    for package in @openai/codex@0.169.0 @anthropic-ai/claude-code@2.1.331 opencode-ai@1.18.33 cline@3.0.65 \
        @continuedev/cli@1.5.47 @qwen-code/qwen-code@0.24.4 @mariozechner/pi-coding-agent@0.73.1; do
        name=$(basename "${package%@*}")
        npm_install "$name" "$package"
        bins=$bins:$home/$name/node_modules/.bin
    done
    venv aider aider-chat==0.86.2
    venv mini mini-swe-agent==2.4.6
    venv interpreter open-interpreter==0.4.3 'setuptools<80'
    venv llm llm==0.36
    for name in aider mini interpreter llm; do bins=$bins:$home/$name/bin; done
    PYTHON=$(command -v python3.12 || command -v python3.13 || true)
    if [ -n "$PYTHON" ]; then
        venv openhands openhands==1.16.0
        bins=$bins:$home/openhands/bin
    else
        echo "run.sh: OpenHands wants Python 3.12 or 3.13; it is left out" >&2
    fi
    exec python3 "$here/agents.py" --auklet "$AUKLET" --bins "$bins"
    ;;
tools)
    venv lmeval 'lm-eval[api]==0.4.13'
    venv inspect inspect-ai==0.3.285 openai
    venv evalplus evalplus==0.3.1
    venv agents claude-agent-sdk==0.2.188 openai-codex==0.163.0
    if [ ! -x "$home/gobin/ollama" ]; then
        command -v go >/dev/null || skip "go is not installed, for the ollama program"
        GOBIN=$home/gobin GOFLAGS=-p=1 go install github.com/ollama/ollama@v0.33.0 >&2 ||
            skip "the ollama module could not be built: no network?"
    fi
    exec python3 "$here/tools.py" "$AUKLET" "$home"
    ;;
schema)
    venv schema schemathesis
    exec python3 "$here/schema.py" "$AUKLET" "$home/schema/bin/schemathesis"
    ;;
*)
    echo "run.sh: no suite '$suite'" >&2
    exit 2
    ;;
esac
