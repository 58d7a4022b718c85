#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two bootstrap servers on one Redis: either of them, and then Redis, is killed at random moments while peers register
and look each other up. Nothing that was acknowledged as replicated is lost, nothing that was acknowledged is lost once
its server is back, and all heals within ten seconds.

A few rounds; many with DIGNET_FULL=1. DIGNET_SEED makes the same schedule again."""
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(os.environ["DIGNET_SOURCE_DIR"]) / "tests" / "cli"))
import harness

ROUNDS = 60 if os.environ.get("DIGNET_FULL") else 10
PEERS = 24
HEALS_WITHIN = 10  # seconds
DRIVER = pathlib.Path(os.environ["DIGNET_BIN_DIR"]) / "lab_directory_peers"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Redis:
    """redis-server with every change on its disk before it answers."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.process = None
        self.start()

    def start(self):
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder),
             "--appendonly", "yes", "--appendfsync", "always", "--logfile", ""],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def lose_everything(self):
        shutil.rmtree(self.folder)


class Bootstrap:
    def __init__(self, home, redis):
        self.home = home
        self.redis = redis
        self.port = free_port()
        self.node = None
        self.address = None
        self.start()

    def start(self):
        self.node = harness.Running("--home", self.home, "--json", "bootstrap", "--listen",
                                    f"/ip4/127.0.0.1/tcp/{self.port}", "--redis",
                                    f"redis://127.0.0.1:{self.redis.port}")

    def wait_ready(self):
        ready = self.node.output.json_until(lambda line: line.get("event") == "ready")
        self.address = ready["addresses"][0]

    def drain(self):
        """Reads its events away, so that it never waits for us."""
        if self.node is not None:
            self.node.output.stream.read()

    def kill(self):
        if self.node is not None:
            self.node.stop(signal.SIGKILL)
            self.node.close()
        self.node = None


class Peers:
    """The driver, and what it was told: each command and its answer, without waiting for it."""

    def __init__(self, seed):
        self.process = subprocess.Popen([DRIVER, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest = b""

    def tell(self, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()

    def answers(self, patience):
        """What has come within so many seconds."""
        if not select.select([self.process.stdout], [], [], patience)[0]:
            return []
        more = self.process.stdout.read()
        if not more:
            raise EOFError("the driver has ended")
        *lines, self.rest = (self.rest + more).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(harness.DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class TwoBootstrapsTest(harness.CommandTest):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("DIGNET_SEED") or random.SystemRandom().randrange(2 ** 31))
        print(f"DIGNET_SEED={self.seed}", flush=True)
        self.random = random.Random(self.seed)
        self.redis = Redis(self.root / "redis")
        self.addCleanup(self.redis.kill)
        self.servers = {}
        for name in ("one", "two"):
            self.servers[name] = Bootstrap(self.home(name), self.redis)
            self.addCleanup(self.servers[name].kill)
        for server in self.servers.values():
            server.wait_ready()
        self.names = {server.address: name for name, server in self.servers.items()}
        self.peers = Peers(self.seed)
        self.addCleanup(self.peers.close)
        self.quiet = set()               # peers that register nothing now: only those show what was lost
        self.busy = set()                # peers whose registration is on its way
        self.acknowledged = {}           # (server, peer) -> sequence
        self.replicated = {}             # peer -> sequence
        self.known = {}                  # (server, peer) -> what the last look-up said
        self.counts = {"replicated": 0, "local": 0, "failed": 0, "look-ups": 0}
        self.slowest = 0.0
        self.started = {}

    # --- traffic ---

    def is_up(self, name):
        return self.servers[name].node is not None

    def up(self):
        return [name for name in self.servers if self.is_up(name)]

    def register_one(self):
        free = [peer for peer in range(PEERS) if peer not in self.busy | self.quiet]
        if free and self.up():
            peer = self.random.choice(free)
            name = self.random.choice(self.up())
            self.busy.add(peer)
            self.started[peer] = time.monotonic()
            self.peers.tell("register", peer, self.servers[name].address)

    def look_up_one(self, name, peer):
        self.peers.tell("check", peer, self.servers[name].address)

    def take(self, answer):
        name, peer = self.names[answer["server"]], answer["peer"]
        if answer["event"] == "check":
            if answer["ok"]:
                self.counts["look-ups"] += 1
            self.known[name, peer] = answer
            return
        self.busy.discard(peer)
        self.slowest = max(self.slowest, time.monotonic() - self.started[peer])
        if not answer["ok"]:
            self.counts["failed"] += 1
            return
        self.counts["replicated" if answer["replicated"] else "local"] += 1
        self.acknowledged[name, peer] = max(answer["sequence"], self.acknowledged.get((name, peer), 0))
        if answer["replicated"]:
            self.replicated[peer] = max(answer["sequence"], self.replicated.get(peer, 0))

    def take_answers(self, patience):
        for answer in self.peers.answers(patience):
            self.take(answer)
        for server in self.servers.values():
            server.drain()

    def run_for(self, seconds):
        """Registrations and look-ups, as they come."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.register_one()
            if self.up():
                self.look_up_one(self.random.choice(self.up()), self.random.randrange(PEERS))
            self.take_answers(min(left, 0.02))

    def silence_half(self):
        """From now on others register; what is on its way comes to its end."""
        self.quiet = set(self.random.sample(range(PEERS), PEERS // 2))
        end = time.monotonic() + harness.DEADLINE
        while self.busy & self.quiet:
            self.assertLess(time.monotonic(), end, "registrations are not answered")
            self.run_for(0.05)

    # --- what must hold ---

    def wait_known(self, name, wanted, what, started=None):
        """Until that server knows all of `wanted`, peer -> sequence, or something newer; traffic of others goes on."""
        started = started or time.monotonic()
        missing = {peer: sequence for peer, sequence in wanted.items() if peer in self.quiet}
        self.assertTrue(missing, "nothing to be lost")
        while missing:
            for peer in missing:
                self.known.pop((name, peer), None)
                self.look_up_one(name, peer)
            self.register_one()
            asked = time.monotonic()
            while any((name, peer) not in self.known for peer in missing) and time.monotonic() < asked + 5:
                self.take_answers(0.02)
            for peer, sequence in list(missing.items()):
                answer = self.known.get((name, peer), {"ok": False})
                # A registration that comes between the two questions changes the store: asked again.
                if answer["ok"] and answer["sequence"] >= sequence and answer["listed"]:
                    del missing[peer]
            took = time.monotonic() - started
            self.assertLess(took, HEALS_WITHIN, f"{what}: {name} does not know {missing}; "
                                                f"{[self.known.get((name, peer)) for peer in missing]}")
        return time.monotonic() - started

    def latest(self):
        wanted = {}
        for (_, peer), sequence in self.acknowledged.items():
            wanted[peer] = max(sequence, wanted.get(peer, 0))
        return wanted

    def wait_healed(self, started):
        """Both know all that either has acknowledged."""
        wanted = self.latest()
        return max(self.wait_known(name, wanted, "not healed", started) for name in self.servers)

    # --- rounds ---

    def lose_server(self):
        victim = self.random.choice(list(self.servers))
        survivor = next(name for name in self.servers if name != victim)
        self.servers[victim].kill()
        self.silence_half()
        self.wait_known(survivor, self.replicated, f"{victim} was killed, and what it said is replicated is lost")
        self.quiet = set()
        if self.random.random() < 0.5:  # and then Redis
            self.redis.kill()
            self.run_for(self.random.uniform(0, 1))
            self.redis.start()
        self.run_for(self.random.uniform(0, 0.5))
        self.silence_half()
        started = time.monotonic()
        self.servers[victim].start()
        self.servers[victim].wait_ready()
        mine = {peer: sequence for (name, peer), sequence in self.acknowledged.items() if name == victim}
        self.wait_known(victim, mine, f"{victim} has lost what it acknowledged", started)
        return f"{victim} killed", self.wait_healed(started)

    def lose_redis(self):
        self.redis.kill()
        before = self.counts["local"]
        self.run_for(self.random.uniform(0.3, 1.5))
        self.assertGreater(self.counts["local"], before, "local answers go on without Redis")
        self.silence_half()
        is_emptied = self.random.random() < 0.5
        if is_emptied:
            self.redis.lose_everything()
        started = time.monotonic()
        self.redis.start()
        return "redis killed" + (" and emptied" if is_emptied else ""), self.wait_healed(started)

    def lose_both(self):
        """A server without Redis has only its own disk."""
        self.redis.kill()
        self.run_for(self.random.uniform(0.3, 1.5))
        victim = self.random.choice(list(self.servers))
        self.servers[victim].kill()
        self.silence_half()
        started = time.monotonic()
        self.servers[victim].start()
        self.servers[victim].wait_ready()
        mine = {peer: sequence for (name, peer), sequence in self.acknowledged.items() if name == victim}
        self.wait_known(victim, mine, f"{victim} has lost what it acknowledged", started)
        self.run_for(self.random.uniform(0, 0.5))
        is_emptied = self.random.random() < 0.5
        if is_emptied:
            self.redis.lose_everything()
        started = time.monotonic()
        self.redis.start()
        what = "redis killed" + (" and emptied" if is_emptied else "")
        return f"{what}, and {victim}", self.wait_healed(started)

    def stop_redis(self):
        """It hangs, with its connections standing."""
        self.redis.process.send_signal(signal.SIGSTOP)
        self.run_for(self.random.uniform(0.3, 2.5))
        self.silence_half()
        started = time.monotonic()
        self.redis.process.send_signal(signal.SIGCONT)
        return "redis stopped", self.wait_healed(started)

    def test_whether_it_is_shared_is_told_and_shown(self):
        home = self.servers["one"].home

        def sharing():
            return self.servers["one"].node.output.json_until(lambda line: line["event"] == "directory_sharing")

        def shown():
            text = self.ok("--home", home, "status").out
            return self.ok("--home", home, "--json", "status").last()["directory"]["shared"], ", shared" in text

        self.assertEqual(sharing(), {"event": "directory_sharing", "state": "up"})
        self.assertEqual(shown(), (True, True))
        self.redis.kill()
        lost = sharing()
        self.assertEqual((lost["state"], lost["code"]), ("lost", "DN-REDIS-001"))
        self.assertEqual(shown(), (False, False))
        self.redis.start()
        self.assertEqual(sharing()["state"], "up")
        self.assertEqual(shown(), (True, True))

    def test_nothing_is_lost(self):
        self.run_for(1)
        kinds = [self.lose_server, self.lose_redis, self.lose_both, self.stop_redis]
        for number in range(ROUNDS):
            replicated = self.counts["replicated"]
            lose = kinds[number] if number < len(kinds) else self.random.choice(kinds)
            what, took = lose()
            self.quiet = set()
            # Registrations are replicated again, at both.
            end = time.monotonic() + HEALS_WITHIN
            while self.counts["replicated"] < replicated + PEERS:
                self.assertLess(time.monotonic(), end, (what, self.counts))
                self.run_for(0.2)
            print(f"round {number + 1}: {what}, healed after {took:.1f} s", flush=True)
        print(f"{self.counts}, the slowest registration took {self.slowest:.1f} s", flush=True)


if __name__ == "__main__":
    unittest.main()
