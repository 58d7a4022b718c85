#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job on real input: one peer adds a folder and serves it on loopback, another fetches it by its URN and the
# peer's address, and both copies are compared. Everything happens in a scratch folder that is removed at the end.
# usage: demo.sh DIGNET_COMMAND
set -euo pipefail
dignet=$(realpath "$1")
source=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
server=""

finish() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap finish EXIT

step() { printf '\n\033[1m-- %s\033[0m\n' "$*"; }
fail() { echo "the demo failed: $*" >&2; exit 1; }
run() {  # prints the command as a user would type it, then runs it
  printf '$ dignet %s\n' "$*" >&2
  "$dignet" "$@"
}
# field NAME: the field of the last JSON line on stdin; a list gives its first element
field() {
  python3 -c 'import json, sys
value = json.loads(sys.stdin.read().strip().splitlines()[-1])[sys.argv[1]]
print(value[0] if isinstance(value, list) else value)' "$1"
}

step "a folder with real files: this project's own sources and documents, and 64 MiB of binary data"
mkdir -p "$scratch/project"
for name in include src docs examples README.md LICENSE; do
  [ ! -e "$source/$name" ] || cp -r "$source/$name" "$scratch/project/"
done
head -c $((64 << 20)) /dev/urandom >"$scratch/project/data.bin"
(cd "$scratch/project" && find . -type f | wc -l | xargs echo "files:" && du -sh . | cut -f1 | xargs echo "size:")

step "Alice adds the folder: it becomes a store, named by a URN with its root hash"
added=$(run --home "$scratch/alice" --json add "$scratch/project" | tail -n 1)
echo "$added"
urn=$(field urn <<<"$added")

step "Alice serves it"
mkfifo "$scratch/ready"
printf '$ dignet serve --listen /ip4/127.0.0.1/tcp/0\n'
"$dignet" --home "$scratch/alice" --json serve --listen /ip4/127.0.0.1/tcp/0 >"$scratch/ready" 2>"$scratch/serve.log" &
server=$!
exec 3<"$scratch/ready"
# the first event says where the node listens; a node that dies closes the pipe, which ends the read
IFS= read -r -t 30 ready <&3 || { cat "$scratch/serve.log" >&2; fail "the node did not get ready"; }
cat <&3 >"$scratch/events" &
echo "$ready"
address=$(field addresses <<<"$ready")

step "Bob, who knows the URN and Alice's address, fetches the store"
done_line=$(run --home "$scratch/bob" --json get --peer "$address" -o "$scratch/bob.dig" "$urn" | tail -n 1)
echo "$done_line"
[ "$(field ok <<<"$done_line")" = True ] || fail "get did not succeed"

step "what Bob has is what Alice has"
hash_of() { sha256sum "$1" | cut -d' ' -f1; }
alice_copy=$(find "$scratch/alice" -name '*.dig' | head -n 1)
[ -n "$alice_copy" ] || fail "Alice's archive is not in her home"
alice_hash=$(hash_of "$alice_copy") bob_hash=$(hash_of "$scratch/bob.dig")
echo "Alice    $alice_hash"
echo "Bob      $bob_hash"
echo "reported $(field sha256 <<<"$done_line")"
[ "$alice_hash" = "$bob_hash" ] || fail "the copies differ"
[ "$bob_hash" = "$(field sha256 <<<"$done_line")" ] || fail "the reported hash is another one"
python3 - "$scratch/bob.dig" "$scratch/project" <<'PY'
import pathlib, sys, zipfile
archive, folder = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
files = [path for path in folder.rglob("*") if path.is_file()]
for path in files:
    assert archive.read(path.relative_to(folder).as_posix()) == path.read_bytes(), path
print(f"all {len(files)} files are equal, byte by byte")
PY

step "the path between them"
run --home "$scratch/bob" connect --count 3 "$address"

step "done: fetched over $(field tier_name <<<"$done_line")/$(field method <<<"$done_line")," \
  "$(field bytes <<<"$done_line") bytes in $(field seconds <<<"$done_line") s"
