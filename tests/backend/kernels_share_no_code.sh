#!/bin/sh
# kernels_share_no_code.sh NM OBJECT: fails if an object compiled for one instruction set defines a weak function. The
# linker keeps one copy for the whole program, so an older machine could run a copy with unsupported instructions.
set -u
[ $# -eq 2 ] || { echo "usage: $0 NM OBJECT, found $# arguments: $*"; exit 2; }
symbols=$("$1" --defined-only -C "$2") || { echo "$1 cannot list the symbols of $2"; exit 2; }
case $symbols in
  *kernels*) ;;
  *) echo "$2 holds no kernels: is it the right object?"; exit 2 ;;
esac
shared=$(echo "$symbols" | grep -E ' [WVu] ')
[ -z "$shared" ] || { echo "$2 shares code with the rest of the program:"; echo "$shared"; exit 1; }
