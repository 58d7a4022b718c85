#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the build into a scratch prefix and builds a consumer against it twice: with the CMake package and with
# pkg-config. usage: consumer_test.sh BUILD_DIR COMPILER [FLAGS]; FLAGS are those that the library was built with.
set -eu
build=$1 compiler=$2 flags=${3:-}
source=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

cmake --install "$build" --prefix "$prefix" --component development >"$scratch/install.log"
if grep -rIl -e "$build" -e "$(cd "$source/../.." && pwd)" "$prefix"; then
  echo "an installed file names a folder of the build" >&2
  exit 1
fi

echo "== CMake package"
cmake -S "$source" -B "$scratch/cmake" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_CXX_FLAGS="$flags" >"$scratch/configure.log" || { cat "$scratch/configure.log"; exit 1; }
cmake --build "$scratch/cmake"
"$scratch/cmake/consumer" "$scratch/first"

echo "== pkg-config"
mapfile -t pc < <(find "$prefix" -name dignet.pc)
PKG_CONFIG_PATH=$(dirname "${pc[0]}")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046,SC2086 # the flags are lists of words
"$compiler" $flags "$source/consumer.cpp" $(pkg-config --cflags dignet) -o "$scratch/consumer" $(pkg-config --libs dignet)
"$scratch/consumer" "$scratch/second"
