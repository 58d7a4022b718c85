#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A full disk ends a fetch with its own error, leaves nothing half-written where stores are, and the next fetch succeeds
once there is space again. The disk is a small tmpfs in a mount namespace of the test's own."""
import json
import os
import subprocess
import unittest

import harness

# Mounts a disk that is too small while the filler is on it, fetches, removes the filler, and fetches again.
SCRIPT = """
set -eu
mount -t tmpfs -o size=48m tmpfs "$1"
head -c 30000000 /dev/zero >"$1/filler"
code=0; "$2" --home "$1/home" --json get --peer "$3" "$4" | tail -n 1 || code=$?
find "$1/home/stores" -name '*.dig' | wc -l
rm "$1/filler"
"$2" --home "$1/home" --json get --peer "$3" "$4" | tail -n 1
"$2" --home "$1/home" --json verify | tail -n 1
"""


class DiskFullTest(harness.CommandTest):
    def test_a_full_disk_is_told_as_such_and_costs_nothing_but_the_space(self):
        data = self.root / "data.bin"
        data.write_bytes(os.urandom(32 << 20))
        added = self.added(self.home("holder"), data)
        _, ready = self.serve(self.home("holder"))
        disk = self.root / "disk"
        disk.mkdir()
        finished = subprocess.run(
            ["unshare", "--map-root-user", "--mount", "bash", "-o", "pipefail", "-c", SCRIPT, "test", disk,
             harness.COMMAND, ready["addresses"][0], added["urn"]],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=harness.DEADLINE, env=harness.environment(),
            check=False)
        self.assertEqual(finished.returncode, 0, finished)
        failed, archives, done, verified = finished.stdout.decode().splitlines()
        self.assertEqual(json.loads(failed)["code"], "DN-DISK-002", failed)
        self.assertEqual(int(archives), 0)
        self.assertTrue(json.loads(done)["ok"], done)
        self.assertEqual(json.loads(done)["bytes"], added["bytes"])
        self.assertEqual(json.loads(verified).get("damaged"), [], verified)


if __name__ == "__main__":
    unittest.main()
