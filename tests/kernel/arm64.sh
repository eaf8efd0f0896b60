#!/bin/sh
# Builds one kernel check for arm64 with a cross compiler and runs it under qemu.
#     tests/kernel/arm64.sh tests/kernel/check_x.c
# Only the kernels and what they need of base/ are built: no arm64 libraries are asked for.
set -eu
cd "$(dirname "$0")/../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

sources=
for file in src/kernel/*.c src/kernel/scalar/*.c src/kernel/arm/*_neon.c src/base/*.c; do
    case $file in
    */json.c | */sha256.c | *'*'*) ;; # need libraries, or nothing matched
    *) sources="$sources $file" ;;
    esac
done
# shellcheck disable=SC2086
aarch64-linux-gnu-gcc -std=c11 -O3 -ffp-contract=off -static -Iinclude -Isrc -Itests \
    -o "$out/check" "$1" tests/kernel/kcheck.c $sources -lm -lpthread
qemu-aarch64 "$out/check"
