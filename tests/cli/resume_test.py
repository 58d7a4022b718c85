#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fetch that is killed at random moments goes on where it stopped: the content is right, and what is fetched again is
at most what was under way. Every fetch runs through a proxy that counts what the holder sends, holds back what would
complete the content, and kills the fetch itself: so no kill comes late, and what a fetch costs is measured outside it.
64 MiB; 1 GiB with DIGNET_FULL=1."""
import contextlib
import hashlib
import os
import pathlib
import random
import signal
import socket
import tempfile
import threading
import unittest

import harness

IS_FULL = bool(os.environ.get("DIGNET_FULL"))
SIZE = (1024 if IS_FULL else 64) << 20
KILLS = 20
END_MARGINS = (4 << 20, 1 << 20, 4096)  # the last kills come at most so many bytes before the end of the content
CONNECTION_COST = 64 << 10  # bytes: more than the handshakes and the manifest take; what chunks cost is measured


class Proxy:
    """One connection from a fetch to the holder. Hands on at most `limit` bytes of what the holder sends; when `fatal`,
    kills the fetch as the last of them is handed on. `passed` is what was handed on; `counted` is all that the holder
    sent, also what came too late."""

    def __init__(self, holder, limit=None, fatal=True):
        self.holder, self.limit, self.fatal = holder, limit, fatal
        self.counted = self.passed = 0
        self.victim = None
        self.has_killed = self.is_over = False
        self.changed = threading.Condition()
        self.failure = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(harness.DEADLINE)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def port(self):
        return self.listener.getsockname()[1]

    def start(self, victim):
        self.victim = victim
        self.thread.start()

    def move_limit(self, limit):
        """From now on reaching the limit is fatal."""
        with self.changed:
            self.limit, self.fatal = limit, True
            self.changed.notify()

    def close(self):
        """Once the fetch is over: waits for the last of what the holder sends."""
        with self.changed:
            self.is_over = True
            self.changed.notify()
        self.listener.shutdown(socket.SHUT_RDWR)  # ends a wait for a connection that never came
        self.thread.join(harness.DEADLINE)
        self.listener.close()

    def run(self):
        try:
            with self.listener.accept()[0] as near, socket.create_connection(self.holder) as far:
                for one in (near, far):
                    one.settimeout(harness.DEADLINE)
                upstream = threading.Thread(target=self.carry_requests, args=(near, far), daemon=True)
                upstream.start()
                self.carry_answers(near, far)
                # To the end of what the holder sends: it was asked for too.
                with contextlib.suppress(OSError):
                    near.shutdown(socket.SHUT_RDWR)
                upstream.join(harness.DEADLINE)
                while data := self.receive(far, 1 << 18):
                    self.counted += len(data)
        except (OSError, TimeoutError) as error:
            self.failure = error

    def carry_requests(self, near, far):
        while data := self.receive(near, 1 << 16):
            with contextlib.suppress(OSError):
                far.sendall(data)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_WR)

    def carry_answers(self, near, far):
        while self.may_pass():
            room = 1 << 16 if self.limit is None else min(1 << 16, self.limit - self.passed)
            data = self.receive(far, room)
            if not data:
                return
            self.counted += len(data)
            self.passed += len(data)
            try:
                near.sendall(data)
            except OSError:
                return  # the fetch is done, or dead

    def may_pass(self):
        """False when the fetch was killed. At a limit that is not fatal, waits for one that is."""
        with self.changed:
            if self.limit is None or self.passed < self.limit:
                return True
            self.changed.wait_for(lambda: self.fatal or self.is_over, harness.DEADLINE)
            if self.passed < self.limit and not self.is_over:
                return True
        self.victim.send_signal(signal.SIGKILL)
        self.has_killed = True
        return False

    @staticmethod
    def receive(stream, size):
        try:
            return stream.recv(size)
        except (ConnectionResetError, BrokenPipeError):
            return b""


class ResumeTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="dignet-resume-")
        self.root = pathlib.Path(self.scratch.name)
        data = self.root / "data.bin"
        with open(data, "wb") as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
        added = harness.run("--home", self.root / "holder", "--json", "add", data)
        self.assertEqual(added.code, 0, added)
        data.unlink()
        self.urn = added.last()["urn"]
        self.total = added.last()["bytes"]
        archive = next((self.root / "holder" / "stores").rglob("*.dig"))
        with open(archive, "rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.holder = harness.Running("--home", self.root / "holder", "--json", "serve", "--listen",
                                      "/ip4/127.0.0.1/tcp/0")
        _, _, host, _, port, _, self.peer = self.holder.output.json()["addresses"][0].split("/")
        self.holder_at = (host, int(port))
        self.home = self.root / "fetcher"

    def tearDown(self):
        self.holder.stop()
        self.holder.close()
        self.scratch.cleanup()

    @contextlib.contextmanager
    def fetch(self, home, proxy):
        address = f"/ip4/127.0.0.1/tcp/{proxy.port()}/p2p/{self.peer}"
        run = harness.Running("--home", home, "--json", "get", "--peer", address, self.urn)
        try:
            proxy.start(run.process)
            yield run
        finally:
            run.close()
            proxy.close()
        self.assertIsNone(proxy.failure)

    def whole_fetch(self, home):
        """A fetch that nobody kills; returns its last line and what it cost."""
        proxy = Proxy(self.holder_at)
        with self.fetch(home, proxy) as run:
            done = run.output.json_until(lambda event: event["event"] == "done")
            self.assertEqual(run.wait(), 0, run.errors())
        self.assertTrue(done["ok"], done)
        self.assertEqual(done["sha256"], self.sha256)
        self.assertEqual(done["fetched_bytes"] + done["reused_bytes"], self.total)
        return done, proxy.counted

    def killed_fetch(self, limit, margin=None):
        """A fetch that is killed when `limit` bytes have come; with a margin, so many bytes before as many have come as
        it lacks, as it says itself. Returns its progress events, what reached it and what it cost."""
        proxy = Proxy(self.holder_at, limit, fatal=margin is None)
        with self.fetch(self.home, proxy) as run:
            events = []
            while (event := run.output.json()) is not None:
                self.assertNotEqual(event["event"], "done", event)
                if event["event"] != "progress":
                    continue
                events.append(event)
                if margin is not None and len(events) == 1:
                    lacking = self.total - event["reused_bytes"]
                    self.assertLess(margin, lacking)
                    proxy.move_limit(lacking - margin)
            self.assertEqual(run.wait(), -signal.SIGKILL, run.errors())
        self.assertTrue(proxy.has_killed)
        return events, proxy.passed, proxy.counted

    def test_killed_at_twenty_random_moments_it_ends_with_the_same_content_and_fetches_little_twice(self):
        seed = random.randrange(1 << 32)
        with self.subTest(seed=seed):
            self.kill_at_random_moments(random.Random(seed))

    def moments(self, chance):
        """When to kill, in order, as (bytes that came, bytes before the end). Some come before the handshake, in it or
        soon after it, at any place among those of the middle, whose bytes are still to be chosen; the last near the
        end."""
        early = [0, 0, *(chance.randrange(1, 2000) for _ in range(2)), *(chance.randrange(1 << 19) for _ in range(2))]
        moments = early + [None] * (KILLS - len(early) - len(END_MARGINS))
        chance.shuffle(moments)
        ends = [chance.randrange(most // 2, most) for most in END_MARGINS]
        return [(limit, None) for limit in moments] + [(None, margin) for margin in ends]

    def kill_at_random_moments(self, chance):
        # What a fetch costs on the wire for a byte of content, and how much it has under way, when it is left alone.
        alone, cost = self.whole_fetch(self.root / "other")
        self.assertGreaterEqual(cost, self.total)
        factor = cost / self.total

        # At least so much is not on disk: a fetch that gets fewer bytes cannot be done, so the kill hits it at work.
        lacking = self.total
        on_disk, told, costs, window = 0, 0, [], alone["window_bytes"]
        moments = self.moments(chance)
        for number, (limit, margin) in enumerate(moments):
            if margin is not None:
                limit = lacking - 1  # until the fetch has told how much it lacks
            elif limit is None:
                left = moments[number:].count((None, None))
                limit = chance.randrange(2 * (lacking - 2 * END_MARGINS[0]) // (left + 1))
            events, passed, cost = self.killed_fetch(min(limit, lacking - 1), margin)
            costs.append(cost)
            lacking -= passed
            if events:
                # Nothing that was told as on disk is lost by a kill.
                self.assertGreaterEqual(events[0]["reused_bytes"], on_disk)
                on_disk = events[-1]["bytes"]
                self.assertLessEqual(events[-1]["fetched_bytes"], passed)
                told += events[-1]["fetched_bytes"]
                window = max(window, events[-1]["window_bytes"])
                lacking = self.total - events[0]["reused_bytes"] - passed
        self.assertEqual(len(costs), KILLS)

        done, cost = self.whole_fetch(self.home)
        self.assertGreaterEqual(done["reused_bytes"], on_disk)
        self.assertLessEqual(done["fetched_bytes"], cost)
        spent = sum(costs) + cost
        told += done["fetched_bytes"]
        window = max(window, done["window_bytes"])
        print(f"{KILLS} kills; {self.total} bytes of content, {spent} on the wire, {told} told as fetched; left alone "
              f"{factor:.4f} on the wire for a byte; window {alone['window_bytes']} left alone, {window} at most")
        self.assertLessEqual(told, self.total + KILLS * window)
        # On the wire a kill costs all that this fetch had asked for: no more than the widest window that any of them told.
        self.assertLessEqual(spent, factor * (self.total + KILLS * window) + (KILLS + 1) * CONNECTION_COST)
        self.assertFalse(list((self.home / "partial").iterdir()), "nothing is left of the partial store")


if __name__ == "__main__":
    unittest.main()
