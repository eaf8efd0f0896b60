#!/bin/sh
# Writes docs/commands.md from the commands' own help.
#     scripts/commands-doc.sh [AUKLET]
set -eu
cd "$(dirname "$0")/.."
auklet=${1:-build/release/auklet}
out=docs/commands.md

{
    echo '# Commands'
    echo
    echo 'The help of every command, written by `scripts/commands-doc.sh`. Exit status: 0 done, 1 failed, 2 wrong usage, 3 done and the'
    echo 'verdict is no, 130 interrupted. Standard output is the result, everything else goes to standard error.'
    for name in $("$auklet" help --list); do
        printf '\n## %s\n\n```\n' "$name"
        "$auklet" help "$name" | sed '/^options of every command:/,$d' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
        printf '```\n'
    done
    printf '\n## Options of every command\n\n```\n'
    "$auklet" help version | sed '1,/^options of every command:/d'
    printf '```\n\n## Environment\n\n```\n'
    "$auklet" help env
    printf '```\n'
} >$out.tmp
mv $out.tmp $out
