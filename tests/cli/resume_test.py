#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fetch that is killed at random moments goes on where it stopped: the content is right, and what is fetched again is
at most what was under way. 64 MiB; 1 GiB with DIGNET_FULL=1."""
import hashlib
import os
import pathlib
import random
import signal
import tempfile
import time
import unittest

import harness

SIZE = (1024 if os.environ.get("DIGNET_FULL") else 64) << 20
KILLS = 20


class ResumeTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="dignet-resume-")
        root = pathlib.Path(self.scratch.name)
        data = root / "data.bin"
        with open(data, "wb") as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
        added = harness.run("--home", root / "holder", "--json", "add", data)
        self.assertEqual(added.code, 0, added)
        self.urn = added.last()["urn"]
        self.total = added.last()["bytes"]
        archive = next((root / "holder" / "stores").rglob("*.dig"))
        with open(archive, "rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.holder = harness.Running("--home", root / "holder", "--json", "serve", "--listen", "/ip4/127.0.0.1/tcp/0")
        self.address = self.holder.output.json()["addresses"][0]
        self.home = root / "fetcher"

    def tearDown(self):
        self.holder.stop()
        self.holder.close()
        self.scratch.cleanup()

    def fetch(self):
        return harness.Running("--home", self.home, "--json", "get", "--peer", self.address, self.urn)

    def killed_fetch(self, chance):
        """Runs a fetch and kills it; returns its last progress, and its last line if it was done before."""
        run = self.fetch()
        try:
            progress = {"bytes": 0, "fetched_bytes": 0, "reused_bytes": 0}
            if chance.random() < 0.3:  # sometimes before it says anything
                time.sleep(chance.uniform(0, 0.05))
            else:
                gain = chance.uniform(0, 2 * SIZE / KILLS)
                while (event := run.output.json()) is not None:
                    if event["event"] == "done":
                        return progress, event
                    if event["event"] == "progress":
                        progress = event
                        if event["fetched_bytes"] >= gain:
                            break
            run.stop(signal.SIGKILL)
            while (event := run.output.json()) is not None:
                if event["event"] == "done":
                    return progress, event
                if event["event"] == "progress":
                    progress = event
            return progress, None
        finally:
            run.close()

    def test_killed_at_twenty_random_moments_it_ends_with_the_same_content_and_fetches_little_twice(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        fetched, kills, on_disk, done = 0, 0, 0, None
        with self.subTest(seed=seed):
            while done is None and kills < KILLS:
                progress, done = self.killed_fetch(chance)
                if done is None:
                    kills += 1
                    fetched += progress["fetched_bytes"]
                    # What was reported as on disk is still there: nothing verified is lost by a kill.
                    if progress["bytes"] > 0:
                        self.assertGreaterEqual(progress["reused_bytes"], on_disk)
                        on_disk = progress["bytes"]
            if done is None:
                run = self.fetch()
                try:
                    done = run.output.json_until(lambda event: event["event"] == "done")
                    self.assertEqual(run.wait(), 0)
                finally:
                    run.close()
            self.assertTrue(done["ok"], done)
            self.assertEqual(done["sha256"], self.sha256)
            self.assertGreaterEqual(done["reused_bytes"], on_disk)
            self.assertEqual(done["fetched_bytes"] + done["reused_bytes"], self.total)
            window = done["window_bytes"]
            self.assertLessEqual(fetched + done["fetched_bytes"], self.total + kills * window)
            self.assertGreater(kills, KILLS // 4, "too few kills to prove anything")
            self.assertFalse(list((self.home / "partial").iterdir()), "nothing is left of the partial store")


if __name__ == "__main__":
    unittest.main()
