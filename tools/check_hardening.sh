#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Reads a built program and fails unless it is hardened: position independent, full RELRO, no executable stack, stack
# protector, fortified calls, no library search path.
# usage: check_hardening.sh PROGRAM
set -eu
program=$1
problems=0
require() {  # require WHAT COMMAND…
  local what=$1
  shift
  if ! "$@"; then
    echo "$program: $what is missing"
    problems=$((problems + 1))
  fi
}
header=$(readelf -hW "$program") segments=$(readelf -lW "$program")
dynamic=$(readelf -dW "$program") symbols=$(readelf --dyn-syms -W "$program")
require "position independence (PIE)" grep -q 'Type:.*DYN' <<<"$header"
require "RELRO" grep -q GNU_RELRO <<<"$segments"
require "immediate binding (BIND_NOW)" grep -qE 'BIND_NOW|FLAGS.*NOW' <<<"$dynamic"
require "a stack that is not executable" grep -qE 'GNU_STACK.* RW ' <<<"$segments"
require "the stack protector" grep -q __stack_chk_fail <<<"$symbols"
require "fortified library calls" grep -qE '__[a-z]+_chk(@|$)' <<<"$symbols"
if grep -qE '\((RPATH|RUNPATH)\)' <<<"$dynamic"; then
  echo "$program: has a library search path (RPATH)"
  problems=$((problems + 1))
fi
[ "$problems" = 0 ] || exit 1
echo "$program: hardened"
