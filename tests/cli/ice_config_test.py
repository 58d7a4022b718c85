# SPDX-License-Identifier: Apache-2.0
"""dignet ice-config and turn-check as a script sees them: what browsers are given, what is refused. Loopback only."""
import json
import re
import signal
import unittest

from harness import CommandTest, Running, run

PUBLIC_STUN = ["stun:stun.l.google.com:19302", *(f"stun:stun{n}.l.google.com:19302" for n in (1, 2, 3, 4)),
               "stun:global.stun.twilio.com"]
POLICIES = {"iceTransportPolicy": "all", "bundlePolicy": "balanced", "rtcpMuxPolicy": "require",
            "iceCandidatePoolSize": 10}


class IceConfigTest(CommandTest):
    def ice_config(self, *flags, **environment):
        result = run("--home", self.home("home"), "--json", "ice-config", *flags, env=environment)
        self.assertEqual(result.code, 0, result)
        configuration, = result.lines()
        self.assertEqual({key: configuration[key] for key in POLICIES}, POLICIES)
        return configuration["iceServers"]

    def test_by_default_there_is_no_public_turn_server(self):
        servers = self.ice_config()
        self.assertEqual([url for server in servers for url in server["urls"]], PUBLIC_STUN)
        self.assertFalse(any("username" in server for server in servers))

    def test_public_adds_them_with_their_login(self):
        open_relay = self.ice_config("--public")[0]
        self.assertEqual((open_relay["username"], open_relay["credential"]), ("openrelayproject", "openrelayproject"))
        self.assertEqual(len(open_relay["urls"]), 5)
        self.assertIn("turns:openrelay.metered.ca:443", open_relay["urls"])

    def test_servers_of_the_user_stand_first(self):
        own = {"urls": ["turn:turn.example.org:80", "turns:turn.example.org:443"], "username": "alice",
               "credential": "secret"}
        flags = ["--user", "alice", "--pass", "secret", "--stun", "stun:stun.example.org"]
        for url in own["urls"]:
            flags += ["--turn", url]
        # A browser would refuse the whole configuration for TURN over DTLS.
        servers = self.ice_config(*flags, "--turn", "turns:turn.example.org?transport=udp")
        self.assertEqual(servers[:2], [{"urls": ["stun:stun.example.org"]}, own])

    def test_the_file_and_the_environment_say_the_same_as_flags(self):
        home = self.home("home")
        home.mkdir(parents=True, exist_ok=True)
        (home / "dignet.toml").write_text('turn = ["turn:turn.example.org"]\nturn-user = "alice"\nturn-pass = "secret"\n')
        own = {"urls": ["turn:turn.example.org"], "username": "alice", "credential": "secret"}
        self.assertEqual(self.ice_config()[0], own)
        self.assertEqual(self.ice_config(DIGNET_TURN_USER="bob")[0], own | {"username": "bob"})
        self.assertEqual(self.ice_config("--user", "carol", DIGNET_TURN_USER="bob")[0], own | {"username": "carol"})

    def test_a_catalogue_of_the_user_replaces_the_built_in_one(self):
        catalogue = self.root / "servers.toml"
        secret = self.root / "secret"
        secret.write_text("s3cret\n")
        secret.chmod(0o600)
        catalogue.write_text('[[provider]]\nname = "ours"\nservers = ["turn:turn.example.org"]\nmint = "rest-secret"\n'
                             f'key-file = "{secret}"\nlifetime = 600\n')
        server, = self.ice_config("--catalogue", catalogue)
        self.assertEqual(server["urls"], ["turn:turn.example.org"])
        self.assertRegex(server["username"], r"^\d{10}$")
        self.assertRegex(server["credential"], r"^[A-Za-z0-9+/]{27}=$")
        secret.chmod(0o644)
        result = run("--home", self.home("home"), "--json", "ice-config", "--catalogue", catalogue)
        self.assertEqual((result.code, result.last()["iceServers"]), (0, []), result)
        self.assertIn("DN-DISK-009", result.err)
        self.assertIn("chmod 600", result.err)

    def test_it_can_be_interrupted_while_a_provider_is_silent(self):
        provider = self.silent()
        key = self.root / "key"
        key.write_text("the-key\n")
        key.chmod(0o600)
        catalogue = self.root / "servers.toml"
        catalogue.write_text('[[provider]]\nname = "silent"\nmint = "metered"\n'
                             f'endpoint = "https://127.0.0.1:{provider.socket.getsockname()[1]}/"\nkey-file = "{key}"\n')
        command = Running("--home", self.home("home"), "--json", "ice-config", "--catalogue", catalogue)
        self.addCleanup(command.close)
        provider.accept()
        self.assertEqual(command.stop(signal.SIGINT), 130, command.errors())
        self.assertEqual(command.output.json()["code"], "DN-GEN-003")

    def test_turn_check_draws_nothing_into_a_pipe(self):
        result = run("--home", self.home("home"), "turn-check", f"stun:127.0.0.1:{self.closed_port()}")
        self.assertEqual(result.code, 4, result)
        self.assertIn("DN-NET-001", result.err)
        self.assertNotRegex(result.err, "[\\r\\x1b]")

    def test_javascript(self):
        result = run("--home", self.home("home"), "ice-config", "--format", "js")
        found = re.fullmatch(r"const peerConnection = new RTCPeerConnection\((\{.*\})\);\n", result.out)
        self.assertTrue(found, result)
        self.assertEqual(json.loads(found[1]).keys(), {"iceServers", *POLICIES})
        plain = run("--home", self.home("home"), "ice-config")
        self.assertEqual(json.loads(plain.out), json.loads(found[1]))

    def test_what_it_refuses(self):
        catalogue = self.root / "bad.toml"
        catalogue.write_text('[[provider]]\nname = "a"\nservers = ["turn:a.example"]\n')
        large = self.root / "large.toml"
        large.write_text("#" * (256 * 1024 + 1))
        for flags, code, says in (
                (["--turn", "turn:turn.example.org"], "DN-GEN-002", "turn:turn.example.org"),
                (["--turn", "http://turn.example.org", "--user", "u", "--pass", "p"], "DN-NET-013", "http"),
                (["--stun", "stun:"], "DN-NET-013", ""),
                (["--catalogue", catalogue], "DN-CONF-001", "username"),
                (["--catalogue", large], "DN-CONF-001", "256 KiB"),
                (["--catalogue", self.root / "none"], "DN-DISK-004", "none"),
                (["--ca", catalogue], "DN-TLS-003", ""),
                (["--proxy", "socks5://proxy:1080"], "DN-CONF-001", "http://"),
        ):
            with self.subTest(flags):
                result = run("--home", self.home("home"), "--json", "ice-config", *flags)
                self.assertEqual(result.last()["code"], code, result)
                self.assertIn(says, result.last()["detail"])
                self.assertNotEqual(result.code, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
