#!/bin/bash
# What takes its time at the edge: a dripping header, twelve seconds of silence, a longer load.
set -eu
here=$(dirname "$0")/../http
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
export no_proxy=127.0.0.1

serve() {
    "$AUKLET" serve data/miniature --port 0 "$@" 2>"$work/log" &
    server=$!
    for _ in $(seq 400); do
        port=$(sed -n 's,^listening on http://127.0.0.1:,,p' "$work/log")
        [ -n "$port" ] && break
        sleep 0.05
    done
}

serve --script "$here/slow.jsonl" --parallel 1
python3 "$here/edge.py" "$port" drip
python3 "$here/edge.py" "$port" alive
kill -TERM "$server"
wait "$server"
serve
before=$(ls /proc/$server/fd | wc -l)
python3 "$here/edge.py" "$port" load "${AUK_LOAD_SECONDS:-60}"
sleep 2
after=$(ls /proc/$server/fd | wc -l)
[ "$after" -le $((before + 2)) ] || { echo "descriptors grew from $before to $after"; exit 1; }
kill -TERM "$server"
wait "$server"
