# SPDX-License-Identifier: Apache-2.0
"""dignet turn as a script sees it: what it refuses, what it says when it is ready, and how it ends."""
import os
import socket
import ssl
import subprocess
import unittest

from harness import CommandTest, Running, run


def make_certificate(folder, name):
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    fresh = [folder / "fresh.crt", folder / "fresh.key"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    fresh[1], "-out", fresh[0], "-days", "2", "-subj", f"/CN={name}"], check=True, capture_output=True)
    os.replace(fresh[1], key)
    os.replace(fresh[0], certificate)
    return certificate, key


class TurnTest(CommandTest):
    def turn(self, home, *flags):
        running = Running("--home", home, "--json", "turn", "--listen", "127.0.0.1:0", *flags)
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


if __name__ == "__main__":
    unittest.main()
