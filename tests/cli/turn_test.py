# SPDX-License-Identifier: Apache-2.0
"""dignet turn as a script sees it: what it refuses, what it says when it is ready, and how it ends."""
import http.client
import itertools
import os
import pathlib
import re
import signal
import socket
import ssl
import struct
import unittest

from harness import CommandTest, Running, make_certificate, run
from stun_client import (ALLOCATE, ALTERNATE_SERVER, BINDING, COOKIE, DATA_ATTRIBUTE, ICMP, REQUESTED_TRANSPORT,
                         XOR_PEER_ADDRESS, TurnClient, attribute, from_xor_address)

INTERRUPTED = 130  # the exit code of a run that was ended by a signal


IP_PKTINFO = 8  # of <linux/in.h>; Python has no name for it


def resident_kilobytes(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


class Flood:
    """Well-formed Allocate requests without credentials, each from the next of 60,000 addresses of 127/8."""

    def __init__(self, server):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server = server
        self.number = itertools.count()

    def send(self, count):
        for number in itertools.islice(self.number, count):
            body = attribute(REQUESTED_TRANSPORT, b"\x11\0\0\0")
            request = struct.pack("!HHIIQ", ALLOCATE, len(body), COOKIE, 0, number) + body
            source = (127 << 24) + (1 << 16) + number % 60_000
            # in_pktinfo: any interface, this source address, no destination
            chosen = struct.pack("=I4s4s", 0, source.to_bytes(4, "big"), bytes(4))
            self.socket.sendmsg([request], [(socket.IPPROTO_IP, IP_PKTINFO, chosen)], 0, self.server)

    def close(self):
        self.socket.close()


class TurnCase(CommandTest):
    def turn(self, home, *flags, env=None):
        running = Running("--home", home, "--json", "turn", "--listen", "127.0.0.1:0", *flags, env=env)
        self.addCleanup(running.close)
        ready = running.output.json()
        self.assertEqual(ready["event"], "ready", ready)
        return running, ready

    def client(self, ready, *credentials):
        client = TurnClient(ready["ports"]["turn"], *credentials)
        self.addCleanup(client.close)
        return client


class TurnTest(TurnCase):
    def test_it_refuses_to_start_open(self):
        result = run("--home", self.home(), "--json", "turn", "--listen", "127.0.0.1:0")
        self.assertEqual(result.code, 2, result)
        self.assertEqual(result.last()["code"], "DN-TURN-015")
        self.assertIn("--user", result.last()["hint"])

    def test_wrong_flags_are_told_with_exit_code_2(self):
        home = self.home()
        for flags in (["--user", "nobody"], ["--user", ":pass"], ["--user", "a:b", "--listen", "nowhere"],
                      ["--user", "a:b", "--allow-peer", "10.0.0.1/8"], ["--user", "a:b", "--alt-ip", "127.0.0.2"],
                      ["--user", "a:b", "--min-port", "5000", "--max-port", "4000"], ["--user", "a:b", "--threads", "0"],
                      ["--user", "a:b", "--tls-cert", "x"], ["--user", "a:b", "--redirect", "elsewhere"],
                      ["--user", "a:b", "--metrics", "9100"]):
            with self.subTest(flags):
                self.assertEqual(run("--home", home, "--json", "turn", *flags).code, 2)

    def test_ready_names_ports_roles_and_relay_addresses_and_sigterm_ends_it(self):
        running, ready = self.turn(self.home(), "--user", "alice:secret")
        port = ready["ports"]["turn"]
        self.assertEqual(ready["addresses"], [f"/ip4/127.0.0.1/udp/{port}", f"/ip4/127.0.0.1/tcp/{port}"])
        self.assertEqual(ready["roles"], ["stun", "turn"])
        self.assertEqual(ready["relay_addresses"], ["127.0.0.1"])
        self.assertEqual(ready["pid"], running.process.pid)
        seen_by_everybody = pathlib.Path(f"/proc/{ready['pid']}/cmdline").read_bytes()
        self.assertIn(b"alice:******", seen_by_everybody)
        running.stop()
        self.assertEqual(running.wait(), 0)

    def test_a_new_certificate_is_taken_without_a_restart(self):
        home = self.home()
        home.mkdir(parents=True, exist_ok=True)
        certificate, key = make_certificate(home, "first.example")
        running, ready = self.turn(home, "--user", "alice:secret", "--tls-cert", certificate, "--tls-key", key)

        def shown():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with socket.create_connection(("127.0.0.1", ready["ports"]["turn"])) as plain, context.wrap_socket(plain) as tls:
                return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))

        self.assertEqual(shown(), certificate.read_text())
        make_certificate(home, "second.example")
        event = running.output.json_until(lambda line: line["event"] == "certificate" and line["state"] == "reloaded")
        self.assertIsNotNone(event)
        # The files are written one after the other: what counts is what is there in the end.
        while shown() != certificate.read_text():
            self.assertIsNotNone(running.output.json_until(lambda line: line["event"] == "certificate"))

    def test_a_flood_of_strangers_leaves_nothing_and_an_honest_client_allocates_all_the_while(self):
        # The address sanitizer keeps what is freed for a while; here memory is to be what the server holds.
        env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0"}
        running, ready = self.turn(self.home(), "--user", "alice:secret", "--threads", "1", env=env)
        flood, honest = Flood(("127.0.0.1", ready["ports"]["turn"])), self.client(ready)
        self.addCleanup(flood.close)

        def send(count):
            # An answer to the honest client says that what was sent before it has been read: nothing waits in the
            # kernel to be dropped there.
            for _ in range(count // 200):
                flood.send(200)
                self.assertEqual(honest.allocate().error, 0)
                self.assertEqual(honest.refresh(0).error, 0)

        send(20_000)  # what is made once is made now
        before = resident_kilobytes(running.process)
        send(200_000)
        self.assertLessEqual(resident_kilobytes(running.process) - before, 1024)

    def test_a_stream_that_never_authenticates_is_cut(self):
        _, ready = self.turn(self.home(), "--user", "alice:secret")
        request = struct.pack("!HHI", BINDING, 0, COOKIE) + bytes(12)
        sent = 0
        with socket.create_connection(("127.0.0.1", ready["ports"]["turn"]), 30) as client:
            with self.assertRaises(ConnectionError):
                while sent < 10_000_000:
                    client.sendall(request * 500)
                    sent += 500 * len(request)
                    if not client.recv(65536):
                        raise ConnectionError("ended")

    def test_users_come_from_a_file_that_not_everybody_can_read(self):
        users = self.root / "users"
        users.write_text("alice:secret\n\nbob:pass:word\r\n")
        users.chmod(0o644)
        refused = run("--home", self.home(), "--json", "turn", "--listen", "127.0.0.1:0", "--user-file", users)
        self.assertEqual(refused.last()["code"], "DN-DISK-009", refused)
        users.chmod(0o600)
        _, ready = self.turn(self.home(), "--user-file", users)
        for name, password, error in (("alice", "secret", 0), ("bob", "pass:word", 0), ("bob", "pass", 401)):
            with self.subTest(name):
                self.assertEqual(self.client(ready, name, password).allocate().error, error)
        users.write_text("alice\n")
        self.assertEqual(run("--home", self.home("other"), "turn", "--user-file", users).code, 2)
        users.write_text("\n")
        self.assertEqual(run("--home", self.home("other"), "turn", "--user-file", users).code, 2)

    def test_a_relay_that_the_internet_cannot_reach_is_told_unless_it_is_meant(self):
        def first_lines(*flags):
            running, _ = self.turn(self.home(), "--user", "alice:secret", *flags)
            running.stop()
            return [running.output.json() for _ in range(2)]

        warning, end = first_lines()
        self.assertEqual((warning["event"], warning["code"]), ("warning", "DN-TURN-016"))
        self.assertIn("127.0.0.1", warning["detail"])
        self.assertIn("--public-ip", warning["hint"])
        self.assertEqual(end["event"], "stopped")
        for flags in (["--public-ip", "192.0.2.1"], ["--allow-peer", "127.0.0.0/8"]):
            with self.subTest(flags):
                self.assertEqual([line and line["event"] for line in first_lines(*flags)], ["stopped", None])

    def test_what_a_datagram_met_is_told_to_the_client(self):
        """RFC 8656 section 11.5, with a port on which nobody is."""
        running, ready = self.turn(self.home(), "--user", "alice:secret", "--allow-peer", "127.0.0.0/8")
        client = self.client(ready)
        self.assertEqual(client.allocate().error, 0)
        self.assertEqual(client.permit("127.0.0.9").error, 0)
        closed, echo = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for one in (closed, echo):
            one.bind(("127.0.0.9", 0))
            self.addCleanup(one.close)
        port = closed.getsockname()[1]
        closed.close()
        for _ in range(3):
            client.send("127.0.0.9", port, b"hello")
            told = client.indication()
            self.assertEqual(told.attributes[ICMP], struct.pack("!HBBI", 0, 3, 3, 0))  # port unreachable
            self.assertEqual(from_xor_address(told.attributes[XOR_PEER_ADDRESS]), ("127.0.0.9", port))
            self.assertNotIn(DATA_ATTRIBUTE, told.attributes)
            # What follows is neither lost nor late for it, both ways.
            client.send("127.0.0.9", port, b"hello")
            client.send("127.0.0.9", echo.getsockname()[1], b"still there?")
            echo.settimeout(30)
            data, relay = echo.recvfrom(100)
            self.assertEqual(data, b"still there?")
            echo.sendto(b"yes", relay)
            while (message := client.indication()).attributes.get(DATA_ATTRIBUTE) != b"yes":
                self.assertIn(ICMP, message.attributes)


class Draining(TurnCase):
    """What happens to clients when the server is told to stop (SIGTERM). It would wait longer than any test does."""

    def draining(self, *flags):
        running, ready = self.turn(self.home(), "--user", "alice:secret", "--allow-peer", "127.0.0.0/8", "--drain", "999",
                                   *flags)
        client = self.client(ready)
        self.assertEqual(client.allocate().error, 0)
        running.process.send_signal(signal.SIGTERM)
        event = running.output.json()
        self.assertEqual(event, {"event": "draining", "allocations": 1, "seconds": 999})
        return running, ready, client

    def test_who_is_there_may_stay_and_the_end_comes_with_the_last_one(self):
        for flags in ([], ["--threads", "3"]):
            with self.subTest(flags):
                running, ready, client = self.draining(*flags)
                self.assertEqual(client.refresh(600).error, 0)
                self.assertEqual(client.permit("127.0.0.9").error, 0)
                self.assertEqual(self.client(ready).allocate().error, 508)
                self.assertEqual(client.refresh(0).error, 0)
                self.assertEqual(running.output.json(), {"event": "stopped"})
                self.assertEqual(running.wait(), 0)

    def test_new_clients_are_sent_to_the_server_that_redirect_names(self):
        running, ready, client = self.draining("--redirect", "192.0.2.9:3478")
        answer = self.client(ready).allocate()
        self.assertEqual(answer.error, 300)
        self.assertEqual(answer.attributes[ALTERNATE_SERVER], struct.pack("!BBH4s", 0, 1, 3478, bytes([192, 0, 2, 9])))
        self.assertEqual(client.refresh(0).error, 0)
        self.assertEqual(running.wait(), 0)

    def test_a_second_signal_ends_it_at_once(self):
        running, _, _ = self.draining()
        running.process.send_signal(signal.SIGTERM)
        self.assertEqual(running.wait(), INTERRUPTED)

    def test_the_time_is_bounded(self):
        running, ready = self.turn(self.home(), "--user", "alice:secret", "--drain", "1")
        client = self.client(ready)
        self.assertEqual(client.allocate().error, 0)
        self.assertEqual(running.stop(), 0)


class Metrics(TurnCase):
    def get(self, ready, path="/metrics", method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port(ready), timeout=30)
        self.addCleanup(connection.close)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read().decode()

    def port(self, ready):
        return int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/metrics", ready["metrics"])[1])

    def values(self, ready):
        answer, text = self.get(ready)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        values = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name.removeprefix("dignet_turn_")] = float(value)
        return values, text

    def start(self, *flags):
        return self.turn(self.home(), "--user", "alice:secret", "--metrics", "127.0.0.1:0", *flags)[1]

    def test_there_are_none_unless_asked_for(self):
        self.assertNotIn("metrics", self.turn(self.home(), "--user", "alice:secret")[1])

    def test_what_happens_is_counted(self):
        ready = self.start("--allow-peer", "127.0.0.9/32")
        before, _ = self.values(ready)
        client = self.client(ready)
        self.assertEqual(client.exchange(BINDING).error, 0)
        self.assertEqual(client.refresh(600).error, 437)  # challenged first
        self.assertEqual(client.allocate().error, 0)
        self.assertEqual(client.permit("10.0.0.1").error, 403)
        self.assertEqual(client.permit("127.0.0.9").error, 0)
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(peer.close)
        peer.settimeout(30)
        peer.bind(("127.0.0.9", 0))
        client.send("127.0.0.9", peer.getsockname()[1], b"12345")
        client.send("127.0.0.8", 9, b"without a permission")
        _, relay = peer.recvfrom(100)
        peer.sendto(b"1234567", relay)
        self.assertEqual(client.indication().attributes[DATA_ATTRIBUTE], b"1234567")
        after, text = self.values(ready)
        changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        for name in ("send_calls_total", "receive_calls_total", "sent_datagrams_total"):
            self.assertGreater(changed.pop(name), 0, name)
        self.assertEqual(changed, {
            "allocations": 1, "free_ports": -1, "allocations_made_total": 1, "bindings_total": 1,
            'refused_requests_total{code="401"}': 1, 'refused_requests_total{code="403"}': 1,
            'refused_requests_total{code="437"}': 1, 'dropped_packets_total{cause="no_permission"}': 1,
            'dropped_packets_total{cause="peer_forbidden"}': 1, 'relayed_bytes_total{direction="to_peers"}': 5,
            'relayed_bytes_total{direction="to_clients"}': 7, 'relayed_packets_total{direction="to_peers"}': 1,
            'relayed_packets_total{direction="to_clients"}': 1})
        self.assertNotIn("alice", text)
        self.assertNotIn("127.0.0.", text)

    def test_each_family_is_named_and_described_once_by_the_rules_of_prometheus(self):
        _, text = self.values(self.start())
        kinds = dict(re.findall(r"(?m)^# TYPE (\S+) (counter|gauge)$", text))
        self.assertEqual(sorted(kinds), sorted(re.findall(r"(?m)^# HELP (\S+) \S", text)))
        self.assertGreater(len(kinds), 10)
        for name, kind in kinds.items():
            self.assertRegex(name, r"^dignet_turn_[a-z_]+$")
            self.assertEqual(kind == "counter", name.endswith("_total"), name)
        for line in text.splitlines():
            self.assertRegex(line, r"^(#.*|(\w+)(\{\w+=\"\w+\"\})? \d+)$")

    def test_only_metrics_are_there_for_who_asks_by_an_address(self):
        ready = self.start()
        port = self.port(ready)
        for host in (f"127.0.0.1:{port}", "127.0.0.1", f"localhost:{port}", "LOCALHOST", f"[::1]:{port}", "[::1]"):
            with self.subTest(host):
                self.assertEqual(self.get(ready, Host=host)[0].status, 200)
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", ""):
            with self.subTest(host):
                self.assertEqual(self.get(ready, Host=host)[0].status, 421)
        self.assertEqual(self.get(ready, "/metrics?name=x")[0].status, 200)
        for path in ("/", "/metrics/", "/metrics2"):
            self.assertEqual(self.get(ready, path)[0].status, 404)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer, _ = self.get(ready, method=method)
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"))
        answer, body = self.get(ready, method="HEAD")
        self.assertEqual((answer.status, body), (200, ""))
        self.assertGreater(int(answer.headers["Content-Length"]), 1000)

    def test_what_is_no_request_is_refused_and_others_are_still_served(self):
        ready = self.start()
        for sent, status in ((b"GET /metrics HTTP/1.1\r\n\r\n", b"400"), (b"\x16\x03\x01\0\xff\r\n\r\n", b"400"),
                             (b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
                             (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431")):
            with self.subTest(sent[:40]), socket.create_connection(("127.0.0.1", self.port(ready)), 30) as client:
                client.sendall(sent)
                self.assertEqual(client.recv(12)[9:], status)
        # A request in pieces is one. Who asks for nothing takes a place only for a while, and there are 16.
        idle = []
        for _ in range(15):
            idle.append(socket.create_connection(("127.0.0.1", self.port(ready)), 30))
            self.addCleanup(idle[-1].close)
        with socket.create_connection(("127.0.0.1", self.port(ready)), 30) as slow:
            with socket.create_connection(("127.0.0.1", self.port(ready)), 30) as beyond:
                self.assertEqual(beyond.recv(1), b"")
            for byte in b"GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\n":
                slow.sendall(bytes([byte]))
            self.assertEqual(slow.recv(12)[9:], b"200")
        for one in idle:
            self.assertEqual(one.recv(1), b"")
        self.values(ready)


if __name__ == "__main__":
    unittest.main()
