# SPDX-License-Identifier: Apache-2.0
"""dignet turn as a script sees it: what it refuses, what it says when it is ready, and how it ends."""
import itertools
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import unittest

import stun
from harness import CommandTest, Running, run


def make_certificate(folder, name):
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    fresh = [folder / "fresh.crt", folder / "fresh.key"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    fresh[1], "-out", fresh[0], "-days", "2", "-subj", f"/CN={name}"], check=True, capture_output=True)
    os.replace(fresh[1], key)
    os.replace(fresh[0], certificate)
    return certificate, key


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
            request = stun.message(stun.ALLOCATE, stun.attribute(stun.TRANSPORT, stun.UDP), struct.pack("!IQ", 0, number))
            source = (127 << 24) + (1 << 16) + number % 60_000
            # in_pktinfo: any interface, this source address, no destination
            chosen = struct.pack("=I4s4s", 0, source.to_bytes(4, "big"), bytes(4))
            self.socket.sendmsg([request], [(socket.IPPROTO_IP, IP_PKTINFO, chosen)], 0, self.server)

    def close(self):
        self.socket.close()


class TurnTest(CommandTest):
    def turn(self, home, *flags, env=None):
        running = Running("--home", home, "--json", "turn", "--listen", "127.0.0.1:0", *flags, env=env)
        self.addCleanup(running.close)
        ready = running.output.json()
        self.assertEqual(ready["event"], "ready", ready)
        return running, ready

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
                      ["--user", "a:b", "--tls-cert", "x"], ["--user", "a:b", "--redirect", "elsewhere"]):
            with self.subTest(flags):
                self.assertEqual(run("--home", home, "--json", "turn", *flags).code, 2)

    def test_ready_names_ports_roles_and_relay_addresses_and_sigterm_ends_it(self):
        running, ready = self.turn(self.home(), "--user", "alice:secret")
        port = ready["ports"]["turn"]
        self.assertEqual(ready["addresses"], [f"/ip4/127.0.0.1/udp/{port}", f"/ip4/127.0.0.1/tcp/{port}"])
        self.assertEqual(ready["roles"], ["stun", "turn"])
        self.assertEqual(ready["relay_addresses"], ["127.0.0.1"])
        self.assertEqual(ready["pid"], running.process.pid)
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
        server = ("127.0.0.1", ready["ports"]["turn"])
        flood, honest = Flood(server), stun.Client(server, "alice", "secret")
        self.addCleanup(flood.close)
        self.addCleanup(honest.close)

        def send(count):
            # An answer to the honest client says that what was sent before it has been read: nothing waits in the
            # kernel to be dropped there.
            for _ in range(count // 200):
                flood.send(200)
                self.assertEqual(honest.allocate(), 0)
                self.assertEqual(honest.release(), 0)

        send(20_000)  # what is made once is made now
        before = resident_kilobytes(running.process)
        send(200_000)
        self.assertLessEqual(resident_kilobytes(running.process) - before, 1024)


if __name__ == "__main__":
    unittest.main()
