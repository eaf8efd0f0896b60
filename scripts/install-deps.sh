#!/bin/sh
# Installs what building and testing need, and nothing when all is there.
#     scripts/install-deps.sh         build and short tests
#     scripts/install-deps.sh long    also the long tier: fuzzing, clang-tidy, other processors
set -u
tier=${1:-short}
missing=

# need TEST-COMMAND... -- APT-PACKAGE BREW-PACKAGE ("-": not there, or part of the system)
need() {
    apt=$1 brew=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    case $manager in
    brew) [ "$brew" = - ] || missing="$missing $brew" ;;
    *) [ "$apt" = - ] || missing="$missing $apt" ;;
    esac
}
program() { command -v "$1"; }
library() { pkg-config --exists "$1"; }
cmake_3_25() {
    cmake --version | awk 'NR == 1 { split($3, v, "."); exit !(v[1] > 3 || v[1] == 3 && v[2] >= 25) }'
}

if command -v apt-get >/dev/null 2>&1; then
    manager=apt
elif command -v brew >/dev/null 2>&1; then
    manager=brew
else
    manager=none
fi

need pkg-config pkg-config program pkg-config
need cmake cmake cmake_3_25
need ninja-build ninja program ninja
need make - program make
need gcc - program cc
need g++ - program c++
need git - program git
need libjansson-dev jansson library jansson
need nettle-dev nettle library nettle
need libutf8proc-dev utf8proc library libutf8proc
need libsqlite3-dev sqlite library sqlite3
need libcurl4-openssl-dev curl library libcurl
need libmicrohttpd-dev libmicrohttpd library libmicrohttpd
need libedit-dev - library libedit
need zlib1g-dev zlib library zlib
need libseccomp-dev - library libseccomp
need libgit2-dev libgit2 library libgit2
need python3 python3 program python3
need libcmocka-dev cmocka library cmocka
need bats bats-core program bats
need jq jq program jq
need patch - program patch
need clang-format-14 - program clang-format-14
if [ "$tier" = long ]; then
    need clang-14 - program clang-14
    need clang-tidy-14 - program clang-tidy-14
    need llvm-14 - program llvm-symbolizer-14
    need qemu-user - program qemu-x86_64
    need chromium - program chromium
    if [ "$manager" = apt ]; then
        need libclang-rt-14-dev - test -d /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux
        case $(uname -m) in
        x86_64) need gcc-aarch64-linux-gnu - program aarch64-linux-gnu-gcc
                need libc6-dev-arm64-cross - test -d /usr/aarch64-linux-gnu/include ;;
        esac
    fi
fi

[ -n "$missing" ] || exit 0
echo "installing:$missing" >&2

case $manager in
apt)
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "install-deps.sh: not root, and no sudo; please install:$missing" >&2
            exit 1
        fi
        as_root=sudo
    fi
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends $missing >&2
    ;;
brew)
    # shellcheck disable=SC2086
    brew install $missing >&2
    ;;
none)
    echo "install-deps.sh: neither apt-get nor brew; please install:$missing" >&2
    exit 1
    ;;
esac || {
    echo "install-deps.sh: could not install:$missing" >&2
    exit 1
}
