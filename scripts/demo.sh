#!/bin/sh
# The whole way on the model that lies in the repository: quantize it three ways, measure the
# damage of each, ask it something, and say what to type for the real model.
#     scripts/demo.sh [AUKLET]
set -eu
cd "$(dirname "$0")/.."
auklet=${1:-build/release/auklet}
model=data/miniature
dir=$(mktemp -d "${TMPDIR:-/tmp}/auklet-demo.XXXXXX")
trap 'rm -rf "$dir"' EXIT INT TERM
export AUK_LEDGER= # keep no record of a demonstration

say() {
    printf '\n== %s\n' "$*"
}

show() { # prints a command as the user would type it, then runs it
    printf '$ auklet %s\n' "$*" | sed "s|$dir/||g"
    "$auklet" "$@"
}

sums() { # macOS has shasum, Debian sha256sum
    if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}
(cd "$model" && sums -c SHA256SUMS >"$dir/sums" 2>&1) || {
    grep -v ': OK$' "$dir/sums" >&2 || true
    echo "demo: '$model' is damaged or incomplete: git checkout -- $model" >&2
    exit 1
}

say "The bundled model: North's architecture, a few million parameters, a toy"
say "1. Make it small, three ways"
show quantize "$model" "$dir/4bit" --bits 4 --group-size 64
show quantize "$model" "$dir/mixed_4_8" --recipe mixed_4_8
show quantize "$model" "$dir/mxfp8" --mode mxfp8

say "2. Know the damage: each against bf16, on held-out text"
for name in 4bit mixed_4_8 mxfp8; do
    show compare "$model" "$dir/$name"
done

say "3. Use it: the 4-bit model answers, token by token"
prompt='Write a Python function get_violin(name). Take the text name, skip the first 2 characters, then reverse it, and return it.'
printf '$ auklet run 4bit "%s" --greedy\n' "$prompt"
"$auklet" run "$dir/4bit" "$prompt" --greedy --max-tokens 400 --show-thinking

say "Next, with the real model"
cat <<'END'
auklet plan                       # which variant fits this machine, and how fast it may be
auklet pull CohereLabs/North-Mini-Code-1.0 -o north    # the bf16 checkpoint, 61 GB
auklet quantize north north-mixed_4_8 --recipe mixed_4_8
auklet compare north north-mixed_4_8
auklet run north-mixed_4_8        # a chat
END
