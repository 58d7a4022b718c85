#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our TURN client against Debian's coturn, which plays openrelay.metered.ca on ports 80 and 443: the life of an
allocation over UDP, TCP, TLS and DTLS, and each way in which it ends."""
import contextlib
import json
import os
import pathlib
import queue
import subprocess
import tempfile
import threading
import time
import unittest

import turn_lab

HOST, ADDRESS, PEER = "openrelay.metered.ca", "198.51.100.7", "198.51.100.9"
USER = PASSWORD = "openrelayproject"
CLIENT = os.path.join(os.environ["DIGNET_BIN_DIR"], "lab_turn_client")
# What coturn grants at least; how often our client refreshes here; how long coturn's nonces live.
LIFETIME, REFRESH, NONCE_LIFETIME = 600, 10, 4
# Coturn runs on a clock that a test can put forward: what is in this file is added to it (libfaketime).
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"

TRANSPORTS = {
    "udp-80": f"turn:{HOST}:80",
    "tcp-80": f"turn:{HOST}:80?transport=tcp",
    "udp-443": f"turn:{HOST}:443",
    "tcp-443": f"turn:{HOST}:443?transport=tcp",
    "tls-443": f"turns:{HOST}:443?transport=tcp",
    "dtls-443": f"turns:{HOST}:443?transport=udp",
}


def set_clock(folder, ahead):
    (folder / "clock.new").write_text(f"+{ahead}s")
    (folder / "clock.new").rename(folder / "clock")


def open_relay(folder, certificate, key, *flags):
    set_clock(folder, 0)
    return turn_lab.turnserver(
        folder, "--tls-listening-port", "443", "-r", HOST, "-a", "-u", f"{USER}:{PASSWORD}", "--cert", certificate, "--pkey",
        key, f"--stale-nonce={NONCE_LIFETIME}", *flags, address=ADDRESS, port=80,
        under=("env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={folder}/clock", "FAKETIME_NO_CACHE=1"))


class Client:
    """Our client, driven by lines; what it says is awaited, never slept for."""

    def __init__(self, uri, authority, password=PASSWORD):
        self.process = subprocess.Popen([CLIENT, uri, USER, password, authority, str(REFRESH)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.said = queue.Queue()
        self.waiting = []  # said, and not asked for yet
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.put(json.loads(line))
        self.said.put({"event": "eof"})

    def tell(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def wait_for(self, event, seconds=turn_lab.DEADLINE):
        end = time.monotonic() + seconds
        for said in self.waiting:
            if said["event"] == event:
                self.waiting.remove(said)
                return said
        while True:
            said = self.said.get(timeout=max(0.01, end - time.monotonic()))
            if said["event"] == event:
                return said
            if said["event"] in ("ended", "refused", "eof"):
                raise AssertionError(f"waited for {event}, heard {said}")
            self.waiting.append(said)

    def status(self):
        self.tell("status")
        return self.wait_for("status")

    def echo(self, peer, text):
        self.tell("send", peer, text)
        said = self.wait_for("data")
        assert (said["peer"], said["text"]) == (peer, text), said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()


class OurClientAgainstCoturn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        cls.folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory(prefix="dignet-coturn-server-")))
        turn_lab.name_hosts(cls.folder, {HOST: ADDRESS, "peer.example.org": PEER})
        cls.certificate, cls.key = turn_lab.make_certificate(cls.folder, name=HOST)
        cls.stack.enter_context(turn_lab.Program("turnutils_peer", "-L", PEER, "-p", "3480"))
        cls.peer = f"{PEER}:3480"

    def server(self):
        return open_relay(self.folder, self.certificate, self.key)

    def allocated(self, client):
        said = client.wait_for("allocated")
        self.assertTrue(said["relayed"].startswith(ADDRESS + ":"), said)
        self.assertEqual(said["lifetime"], REFRESH)
        client.tell("permit", PEER)
        client.wait_for("permitted")
        return said

    def test_lives_on_every_transport(self):
        with self.server(), contextlib.ExitStack() as stack:
            clients = {name: stack.enter_context(Client(uri, self.certificate)) for name, uri in TRANSPORTS.items()}
            for name, client in clients.items():
                with self.subTest(name):
                    said = self.allocated(client)
                    self.assertEqual(said["tls"].startswith("DTLS" if name.startswith("dtls") else "TLS"), "tls" in name)
                    client.echo(self.peer, "first")
                    self.assertEqual(client.wait_for("bound")["peer"], self.peer)
                    client.echo(self.peer, "through-the-channel")
            # Until each has been refreshed twice, with nonces that had expired in between.
            for name, client in clients.items():
                with self.subTest(name):
                    end = time.monotonic() + turn_lab.DEADLINE
                    status = client.status()
                    while status["refreshes"] < 2 or status["nonce_changes"] < 2:
                        self.assertLess(time.monotonic(), end, status)
                        time.sleep(0.5)
                        status = client.status()
                    client.echo(self.peer, "still-there")
                    client.tell("release")
                    client.wait_for("released")

    def test_wrong_password(self):
        with self.server():
            for name, uri in TRANSPORTS.items():
                with self.subTest(name), Client(uri, self.certificate, password="wrong") as client:
                    self.assertEqual(client.wait_for("ended")["code"], "DN-TURN-001")

    def test_a_server_that_is_not_the_one_that_was_asked_for(self):
        other = self.folder / "other"
        other.mkdir()
        certificate, key = turn_lab.make_certificate(other, name="turn.example.org")
        for trusted, code in ((certificate, "DN-TLS-005"), ("", "DN-TLS-007")):
            with open_relay(self.folder, certificate, key):
                for name in ("tls-443", "dtls-443"):
                    with self.subTest(name, code=code), Client(TRANSPORTS[name], trusted) as client:
                        self.assertEqual(client.wait_for("ended")["code"], code)

    def test_expiry_is_told_at_once(self):
        """When coturn has let the allocation expire, the next refresh tells."""
        with self.server(), contextlib.ExitStack() as stack:
            clients = {name: stack.enter_context(Client(uri, self.certificate)) for name, uri in TRANSPORTS.items()}
            for client in clients.values():
                self.allocated(client)
                client.echo(self.peer, "hello")
            set_clock(self.folder, LIFETIME + 60)
            for name, client in clients.items():
                with self.subTest(name):
                    said = client.wait_for("ended", 2 * REFRESH)
                    self.assertEqual(said["code"], "DN-TURN-014")

    def test_a_server_that_is_killed_is_told_at_once(self):
        server = self.server()
        with contextlib.ExitStack() as stack:
            clients = {name: stack.enter_context(Client(uri, self.certificate)) for name, uri in TRANSPORTS.items()}
            for client in clients.values():
                self.allocated(client)
                client.echo(self.peer, "hello")
            server.process.kill()
            server.process.wait()
            server.__exit__()
            for name, client in clients.items():
                with self.subTest(name):
                    # Over datagrams, the first packet that meets a closed port tells.
                    if "udp" in name or "dtls" in name:
                        client.tell("send", self.peer, "anybody-there")
                    self.assertEqual(client.wait_for("ended", 5)["code"], "DN-TURN-014")

    def test_turn_check_and_the_catalogue(self):
        """The built-in catalogue's servers, all of them, where Open Relay is the only provider that can be reached."""
        command = [turn_lab.COMMAND, "--home", self.folder / "home", "--json", "turn-check", "--ca", self.certificate]
        uris = [TRANSPORTS[name] for name in ("udp-80", "tcp-80", "udp-443", "tcp-443", "tls-443")]
        uris[-1] = uris[-1].removesuffix("?transport=tcp")  # the shortest form
        with self.server():
            run = subprocess.run(command + uris, capture_output=True, text=True, timeout=turn_lab.DEADLINE)
            servers = json.loads(run.stdout.splitlines()[-1])["servers"]
            self.assertEqual([server["error"] for server in servers], [None] * len(uris), run.stderr)
            self.assertEqual(run.returncode, 0)
            for uri, server in zip(uris, servers):
                with self.subTest(uri):
                    self.assertEqual((server["kind"], server["ok"], server["provider"]),
                                     ("turn", True, "Open Relay Project"))
                    self.assertTrue(server["relayed"].startswith(ADDRESS))
                    self.assertTrue(server["mapped"])
                    self.assertGreater(server["echo_ms"], 0)
                    self.assertEqual(server["age_s"], 0)
            run = subprocess.run(command, capture_output=True, text=True, timeout=turn_lab.DEADLINE)
            servers = json.loads(run.stdout.splitlines()[-1])["servers"]
            self.assertEqual({server["url"] for server in servers if server["ok"]}, set(uris))
            self.assertEqual({server["error"]["code"] for server in servers if not server["ok"]}, {"DN-NET-005"})
            self.assertEqual(run.returncode, 4)
        # Now nobody is there. What was found is remembered, with its age; a new look finds the truth.
        run = subprocess.run(command + uris + ["--max-age", "3600"], capture_output=True, text=True)
        self.assertEqual([server["ok"] for server in json.loads(run.stdout.splitlines()[-1])["servers"]], [True] * 5)
        run = subprocess.run(command + uris, capture_output=True, text=True, timeout=turn_lab.DEADLINE)
        for server in json.loads(run.stdout.splitlines()[-1])["servers"]:
            self.assertEqual((server["ok"], server["error"]["code"]), (False, "DN-NET-001"), server)
        self.assertEqual(run.returncode, 4)

    def test_turn_check_tells_a_relay_that_relays_nothing(self):
        """A firewall closes its relay ports: everything works but the data."""
        subprocess.run(["nft", "add table inet lab; add chain inet lab input { type filter hook input priority 0; };"
                        "add rule inet lab input udp dport 61000-61099 drop"], check=True)
        self.addCleanup(subprocess.run, ["nft", "delete table inet lab"], check=True)
        command = [turn_lab.COMMAND, "--home", self.folder / "home", "--json", "turn-check", TRANSPORTS["udp-80"]]
        with open_relay(self.folder, self.certificate, self.key, "--min-port=61000", "--max-port=61099"):
            run = subprocess.run(command, capture_output=True, text=True, timeout=turn_lab.DEADLINE)
        server, = json.loads(run.stdout.splitlines()[-1])["servers"]
        self.assertTrue(server["relayed"].startswith(ADDRESS), server)
        self.assertEqual((server["ok"], server["error"]["code"], run.returncode), (False, "DN-TURN-017", 4), run.stderr)

    def test_turn_check_says_that_a_static_login_is_refused(self):
        command = [turn_lab.COMMAND, "--home", self.folder / "home", "--json", "turn-check", TRANSPORTS["udp-80"],
                   "--user", "openrelayproject", "--pass", "no-longer"]
        with self.server():
            run = subprocess.run(command, capture_output=True, text=True, timeout=turn_lab.DEADLINE)
        server, = json.loads(run.stdout.splitlines()[-1])["servers"]
        self.assertEqual((server["ok"], server["error"]["code"], run.returncode), (False, "DN-TURN-001", 6), run.stderr)


if __name__ == "__main__":
    turn_lab.enter_namespace()
    unittest.main(verbosity=2)
