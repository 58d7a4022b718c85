#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Providers that mint short-lived credentials, and the way out through a proxy. Debian's coturn plays the TURN servers
of Cloudflare, Metered and of our own, with a shared secret; a small HTTPS server answers as the two providers' interfaces
do, with credentials that coturn takes; tinyproxy is the proxy."""
import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

import turn_lab

TURN, WEB, PROXY = "198.51.100.7", "198.51.100.8", "198.51.100.10"
METERED, CLOUDFLARE = "dignet.metered.live", "rtc.live.cloudflare.com"
HOSTS = {"turn.cloudflare.com": TURN, "global.relay.metered.ca": TURN, "turn.example.org": TURN, METERED: WEB,
         CLOUDFLARE: WEB}
SECRET, KEY = "a shared secret", "the-key"


def minted(lifetime):
    username = str(int(time.time()) + lifetime)
    digest = hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()
    return {"username": username, "credential": base64.b64encode(digest).decode()}


class Interfaces(http.server.BaseHTTPRequestHandler):
    """Metered's and Cloudflare's interfaces, as their documentation has them; /odd/… answers oddly."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = urllib.parse.parse_qs(url.query)
        if url.path == "/odd/endless":
            return self.answer(200, "x" * 200_000)
        if url.path == "/odd/html":
            return self.answer(200, "<html>hello</html>")
        if url.path == "/odd/nothing":
            return self.close_connection_now()
        if url.path != "/api/v1/turn/credentials" or query.get("apiKey") != [KEY]:
            return self.answer(401, json.dumps({"error": "Invalid API Key"}))
        server = minted(3600) | {"urls": "turn:global.relay.metered.ca:80"}
        return self.answer(200, json.dumps([{"urls": "stun:global.relay.metered.ca:80"}, server,
                                            server | {"urls": "turns:global.relay.metered.ca:443?transport=tcp"}]))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self.answer(403, "")
        urls = ["stun:turn.cloudflare.com:3478", "turn:turn.cloudflare.com:80?transport=udp",
                "turn:turn.cloudflare.com:80?transport=tcp", "turns:turn.cloudflare.com:443?transport=tcp"]
        return self.answer(201, json.dumps({"iceServers": minted(body["ttl"]) | {"urls": urls}}))

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def close_connection_now(self):
        self.close_connection = True

    def log_message(self, *_):
        pass


def web_server(certificate, key):
    server = http.server.ThreadingHTTPServer((WEB, 443), Interfaces)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


class Minting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dignet-minting-")))
        turn_lab.name_hosts(cls.folder, HOSTS | {"proxy.example.org": PROXY})
        cls.certificate, key = turn_lab.make_certificate(cls.folder, *HOSTS)
        stack.enter_context(turn_lab.turnserver(
            cls.folder, "--tls-listening-port", "443", "-r", "example.org", "--use-auth-secret", "--static-auth-secret",
            SECRET, "--cert", cls.certificate, "--pkey", key, address=TURN, port=80))
        server = web_server(cls.certificate, key)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for end in (server.server_close, thread.join, server.shutdown):
            stack.callback(end)
        cls.write_secret("secret", SECRET)
        cls.write_secret("key", KEY)

    @classmethod
    def write_secret(cls, name, text):
        path = cls.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)

    def catalogue(self, *providers):
        path = self.folder / "servers.toml"
        path.write_text("".join("[[provider]]\n" + "".join(f"{key} = {json.dumps(value)}\n"
                                                             for key, value in provider.items())
                                for provider in providers))
        return path

    def metered(self, **changes):
        return {"name": "Metered", "mint": "metered", "key-file": f"{self.folder}/key",
                "endpoint": f"https://{METERED}/api/v1/turn/credentials"} | changes

    def cloudflare(self, **changes):
        return {"name": "Cloudflare", "mint": "cloudflare", "key-file": f"{self.folder}/key",
                "endpoint": f"https://{CLOUDFLARE}/v1/turn/keys/1/credentials/generate-ice-servers"} | changes

    def run_command(self, *arguments):
        run = subprocess.run([turn_lab.COMMAND, "--home", self.folder / "home", "--json", *map(str, arguments), "--ca",
                              self.certificate], capture_output=True, text=True, timeout=turn_lab.DEADLINE)
        return run, json.loads(run.stdout.splitlines()[-1])

    def test_every_kind_gives_servers_that_work(self):
        own = {"name": "ours", "mint": "rest-secret", "key-file": f"{self.folder}/secret",
               "servers": ["turn:turn.example.org:80", "turns:turn.example.org:443"]}
        catalogue = self.catalogue(own, self.metered(), self.cloudflare())
        run, said = self.run_command("turn-check", "--catalogue", catalogue)
        working = [(server["provider"], server["url"]) for server in said["servers"] if server["ok"]]
        self.assertEqual(working, [
            ("ours", "turn:turn.example.org:80"), ("ours", "turns:turn.example.org:443"),
            ("Metered", "stun:global.relay.metered.ca:80"), ("Metered", "turn:global.relay.metered.ca:80"),
            ("Metered", "turns:global.relay.metered.ca:443"), ("Cloudflare", "turn:turn.cloudflare.com:80"),
            ("Cloudflare", "turn:turn.cloudflare.com:80?transport=tcp"),
            ("Cloudflare", "turns:turn.cloudflare.com:443")], run.stderr)
        # The one that does not work is Cloudflare's port 3478, where nobody listens here.
        silent, = [server for server in said["servers"] if not server["ok"]]
        self.assertEqual((silent["url"], silent["error"]["code"]), ("stun:turn.cloudflare.com", "DN-NET-001"))

    def test_a_paid_account_is_no_public_server(self):
        _, said = self.run_command("ice-config", "--catalogue", self.catalogue(self.cloudflare()))
        server, = said["iceServers"]
        self.assertEqual(len(server["urls"]), 4)
        self.assertRegex(server["username"], r"^\d{10}$")

    def test_what_goes_wrong_is_named_and_left_out(self):
        self.write_secret("wrong", "not-the-key")
        (self.folder / "open").write_text(KEY)
        (self.folder / "open").chmod(0o644)
        host = f"https://{METERED}"
        for changes, code in (
                ({"key-file": f"{self.folder}/wrong"}, "DN-NET-017"),
                ({"key-file": f"{self.folder}/open"}, "DN-DISK-009"),
                ({"key-file": f"{self.folder}/none"}, "DN-DISK-004"),
                ({"endpoint": host + "/odd/html"}, "DN-GEN-006"),
                ({"endpoint": host + "/odd/endless"}, "DN-GEN-007"),
                ({"endpoint": host + "/odd/nothing"}, "DN-TLS-002"),
                ({"endpoint": f"https://{METERED}:444/"}, "DN-NET-001"),
                ({"endpoint": f"https://{WEB}/"}, "DN-TLS-005"),
                ({"endpoint": "https://nobody.example/"}, "DN-NET-005"),
        ):
            with self.subTest(changes):
                run, said = self.run_command("ice-config", "--catalogue",
                                             self.catalogue(self.metered(**changes), self.cloudflare()))
                self.assertIn("left out: ", run.stderr)
                self.assertIn(code, run.stderr)
                self.assertEqual(len(said["iceServers"]), 1, said)  # Cloudflare's
                self.assertEqual(run.returncode, 0)

    def proxy(self, *lines):
        """tinyproxy, which opens connections to port 443 only unless `lines` say otherwise."""
        configuration = self.folder / "tinyproxy.conf"
        configuration.write_text("\n".join(["Port 8888", f"Listen {PROXY}", f"Bind {PROXY}", "Timeout 60", "MaxClients 20", "ConnectPort 443",
                                            *lines, ""]))
        program = turn_lab.Program("tinyproxy", "-d", "-c", configuration)
        turn_lab.wait_until_it_listens(program, PROXY, 8888)
        return program

    def check(self, *arguments):
        return self.run_command("turn-check", "--catalogue", self.catalogue(
            {"name": "ours", "mint": "rest-secret", "key-file": f"{self.folder}/secret", "servers": [
                "turns:turn.example.org:443", "turn:turn.example.org:443?transport=tcp",
                "turn:turn.example.org:80?transport=tcp", "turn:turn.example.org:80"]}), *arguments)

    def test_through_a_proxy(self):
        with self.proxy() as proxy:
            run, said = self.check("--proxy", "http://proxy.example.org:8888")
            outcomes = [(server["ok"], server["error"] and server["error"]["code"]) for server in said["servers"]]
            # TLS and TCP on 443 go through; port 80 the proxy forbids; UDP knows no proxy.
            self.assertEqual(outcomes, [(True, None), (True, None), (False, "DN-NET-015"), (True, None)], run.stderr)
            for server in said["servers"][:2]:
                self.assertTrue(server["mapped"].startswith(PROXY), server)
        self.assertIn("turn.example.org:443", proxy.output())

    def test_a_proxy_with_a_login(self):
        with self.proxy("BasicAuth alice secret"):
            _, said = self.check("--proxy", "http://alice:secret@proxy.example.org:8888")
            self.assertTrue(said["servers"][0]["ok"], said)
            _, said = self.check("--proxy", "http://proxy.example.org:8888")
            self.assertEqual(said["servers"][0]["error"]["code"], "DN-NET-016")

    def test_a_proxy_that_is_not_there(self):
        _, said = self.check("--proxy", "http://proxy.example.org:9")
        self.assertEqual([server["error"] and server["error"]["code"] for server in said["servers"]],
                         ["DN-NET-001", "DN-NET-001", "DN-NET-001", None])


if __name__ == "__main__":
    turn_lab.enter_namespace()
    unittest.main(verbosity=2)
