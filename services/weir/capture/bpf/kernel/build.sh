#!/bin/sh
# Builds the program that capture loads, and notes digests of its sources and of it. The same clang gives the same bytes everywhere:
# no debug information, and no path but the file's name. `build.sh FOLDER` writes there instead.
set -eu
cd "$(dirname "$0")"
to=${1:-.}
clang=$(command -v clang-14 || command -v clang) || {
    echo "no clang" >&2
    echo "hint: apt install clang-14" >&2
    exit 1
}
"$clang" -O2 -g0 -target bpf -mcpu=v2 -ffreestanding -fno-ident -Wall -Wextra -Werror -c weir.bpf.c -o "$to/weir.bpf.o"
{ cat bpf.h weir.bpf.c build.sh | sha256sum; sha256sum <"$to/weir.bpf.o"; } | cut -d' ' -f1 >"$to/weir.bpf.o.sha256"
