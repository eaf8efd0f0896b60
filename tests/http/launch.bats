# launch: what each agent is given, and that nothing of the user's is touched.

load helpers

setup() {
    export HOME=$BATS_TEST_TMPDIR/home XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
    mkdir -p "$HOME" "$BATS_TEST_TMPDIR/bin"
    SETUP=(--model north-mini-code --ctx 65536)
}

teardown() {
    stop_scripted
}

# fake NAME: a program that shows its arguments and its environment.
fake() {
    printf '#!/bin/sh\nprintf "<%%s>" "$@"; echo; env\n' >"$BATS_TEST_TMPDIR/bin/$1"
    chmod +x "$BATS_TEST_TMPDIR/bin/$1"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH
}

@test "every agent gets the server, the model, the window and files that parse" {
    run --separate-stderr "$AUKLET" launch --list --json
    [ "$(json "len(v['agents'])")" -eq 13 ]
    for agent in $(json "' '.join(a['name'] for a in v['agents'])"); do
        run --separate-stderr "$AUKLET" launch "$agent" "${SETUP[@]}" --url http://127.0.0.1:8123/ \
            --api-key sk-1 --json
        [ "$status" -eq 0 ]
        python3 - <<P
import json
v = json.loads('''$(printf '%s' "$output" | sed 's/\\/\\\\/g')''')
text = json.dumps(v)
assert "http://127.0.0.1:8123" in text and "8123//" not in text, text
everything = [*v["env"].values(), *(f["text"] for f in v["files"]), *v["command"]]
for word in ("north-mini-code", "http://127.0.0.1:8123", "sk-1"):
    assert any(word in t for t in everything), ("$agent", word)
if "$agent" not in ("openhands", "llm", "mini"):  # these read no window
    assert any("65536" in t for t in everything), "$agent"
names = ("URL", "MODEL", "KEY", "DIR", "CTX", "MAX", "COMPACT")
assert not any("@%s@" % n in t for t in everything for n in names), text
for f in v["files"]:
    if f["path"].endswith(".json"):
        json.loads(f["text"])
    if f["path"].endswith(".toml"):
        import tomllib
        tomllib.loads(f["text"])
P
    done
}

@test "the printed script is a shell's, and makes the files" {
    "$AUKLET" launch codex "${SETUP[@]}" >"$BATS_TEST_TMPDIR/script"
    sed '$d' "$BATS_TEST_TMPDIR/script" >"$BATS_TEST_TMPDIR/setup.sh"
    (. "$BATS_TEST_TMPDIR/setup.sh" && [ "$CODEX_HOME" = "$XDG_STATE_HOME/auklet/launch/codex" ])
    grep -q 'wire_api = "responses"' "$XDG_STATE_HOME/auklet/launch/codex/config.toml"
    [ "$(tail -n 1 "$BATS_TEST_TMPDIR/script")" = codex ]
}

@test "-o writes files that are the user's alone, and replaces none that differs" {
    cd "$BATS_TEST_TMPDIR"
    run --separate-stderr "$AUKLET" launch qwen "${SETUP[@]}" -o "with space"
    [ "$status" -eq 0 ]
    [ "$(stat -c %a "with space/settings.json")" = 600 ]
    has "$(cat "with space/env.sh")" "export QWEN_HOME='$BATS_TEST_TMPDIR/with space'"
    run --separate-stderr "$AUKLET" launch qwen "${SETUP[@]}" -o "with space"
    [ "$status" -eq 0 ]
    echo >>"with space/settings.json"
    run --separate-stderr "$AUKLET" launch qwen "${SETUP[@]}" -o "with space"
    [ "$status" -eq 1 ]
    has "$stderr" "settings.json' is there and differs: --force replaces it"
    run --separate-stderr "$AUKLET" launch qwen "${SETUP[@]}" -o "with space" --force
    [ "$status" -eq 0 ]
}

@test "--start becomes the agent, with its arguments in order" {
    fake claude
    fake opencode
    run --separate-stderr "$AUKLET" launch claude "${SETUP[@]}" --start --task "do it" -- --verbose
    [ "$status" -eq 0 ]
    has "$output" "<--verbose><-p><do it>"
    has "$output" "ANTHROPIC_BASE_URL=http://127.0.0.1:11434"
    has "$output" "CLAUDE_CODE_AUTO_COMPACT_WINDOW=65536"
    run --separate-stderr "$AUKLET" launch opencode "${SETUP[@]}" --start --task "it's"
    has "$output" "<run><it's>"
    [ -e "$XDG_STATE_HOME/auklet/launch/opencode/opencode.json" ]
    [ -z "$(ls -A "$HOME")" ]
}

@test "model and window come from the server; a small window is said" {
    start_scripted words:3 max_ctx=9000
    run --separate-stderr "$AUKLET" launch claude --url "http://127.0.0.1:$PORT" --json
    [ "$status" -eq 0 ]
    [ "$(json "v['ctx'], v['model']")" = "9000 m" ]
    has "$stderr" "a window of 9000 is small for Claude Code"
}

@test "what cannot be done is one line with the way out" {
    run --separate-stderr "$AUKLET" launch codx
    [ "$status" -eq 2 ]
    has "$stderr" "did you mean 'codex'?"
    run --separate-stderr "$AUKLET" launch codex --url http://127.0.0.1:9
    [ "$status" -eq 1 ]
    has "$stderr" "start 'auklet serve MODEL', or give --model and --ctx"
    run --separate-stderr "$AUKLET" launch codex --model 'a"b' --ctx 4096
    [ "$status" -eq 1 ]
    has "$stderr" "cannot stand in the agents' files"
    run --separate-stderr "$AUKLET" launch codex "${SETUP[@]}" --max-tokens 65536
    [ "$status" -eq 1 ]
    PATH=/usr/bin:/bin run --separate-stderr "$AUKLET" launch pi "${SETUP[@]}" --start
    [ "$status" -eq 1 ]
    has "$stderr" "npm install -g @mariozechner/pi-coding-agent"
    run --separate-stderr "$AUKLET" launch interpreter "${SETUP[@]}" --task x
    [ "$status" -eq 2 ]
}
