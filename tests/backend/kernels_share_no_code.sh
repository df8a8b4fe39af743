#!/bin/sh
# kernels_share_no_code.sh NM OBJECT: fails if an object compiled for one instruction set offers the linker a weak
# function. The linker keeps one copy of those for the whole program, and older machines would run into this one.
set -eu
[ $# -eq 2 ] || { echo "usage: $0 NM OBJECT, found $# arguments: $*"; exit 1; }
"$1" "$2" | grep -q kernels || { echo "$2 holds no kernels: is it the right object?"; exit 1; }
shared=$("$1" --defined-only -C "$2" | grep -E ' [WVu] ' || true)
[ -z "$shared" ] || { echo "$2 shares code with the rest of the program:"; echo "$shared"; exit 1; }
