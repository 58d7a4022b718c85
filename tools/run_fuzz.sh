#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes one target for some seconds from its committed corpus. New inputs go to a scratch folder; an input that
# crashes is kept beside the program as crash-*, and the run fails.
# usage: run_fuzz.sh PROGRAM CORPUS SECONDS
set -eu
program=$1 corpus=$2 seconds=$3
[ -d "$corpus" ] || { echo "no corpus in $corpus" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
  -artifact_prefix="$(dirname "$program")/$(basename "$program")." "$scratch" "$corpus"
