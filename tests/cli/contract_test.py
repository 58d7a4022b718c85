# SPDX-License-Identifier: Apache-2.0
"""Names, JSON fields and exit codes that scripts rely on, command by command."""
import os
import re
import unittest

from harness import AS_ORDINARY_USER, CommandTest, Running, STRANGER, flip_a_byte, run

STORE = "ab" * 32
COMMANDS = ["id", "add", "ls", "rm", "verify", "serve", "get", "connect", "turn", "ports"]


class Help(CommandTest):
    def test_help_names_every_command_and_shows_examples(self):
        result = self.ok("--help")
        for command in COMMANDS:
            self.assertRegex(result.out, rf"(?m)^\s+{command}\s")
        self.assertIn("Examples:", result.out)

    def test_every_command_has_help_with_an_example(self):
        for command in COMMANDS:
            with self.subTest(command):
                result = self.ok(command, "--help")
                self.assertIn("Example", result.out)
                self.assertIn(f"dignet {command}", result.out)

    def test_serve_names_what_its_owner_says_of_turn(self):
        text = self.ok("serve", "--help").out
        for flag in ("--no-turn", "--turn-max-mbps", "--turn-max-gb-per-month", "--turn-open", "--relay-ip", "--min-port",
                     "--max-port"):
            self.assertRegex(text, rf"(?m)^\s+{flag}\s")

    def test_version(self):
        self.assertRegex(self.ok("--version").out, r"^dignet \d+\.\d+\.\d+\n$")
        self.assertRegex(self.ok("--version", "--json").last()["version"], r"^\d+\.\d+\.\d+$")

    def test_without_a_command_the_help_goes_to_stderr(self):
        result = run()
        self.assertEqual(result.code, 2)
        self.assertEqual(result.out, "")
        self.assertIn("Examples:", result.err)


class WrongUse(CommandTest):
    def test_a_mistyped_command_gets_a_suggestion(self):
        result = run("--home", self.home(), "sevre")
        self.assertEqual(result.code, 2)
        self.assertIn('did you mean "serve"?', result.err)
        self.assertEqual(result.out, "")

    def test_a_mistyped_flag_gets_a_suggestion(self):
        result = run("get", "--pere", "x", "urn:dig:chia:" + STORE)
        self.assertEqual(result.code, 2)
        self.assertIn('did you mean "--peer"?', result.err)

    def test_wrong_use_exits_with_2_and_is_told_in_json(self):
        home = self.home()
        for arguments in (["add"], ["rm"], ["get"], ["connect"], ["get", "x", "--timeout", "-1"],
                          ["get", "x", "--timeout", "soon"], ["connect", "x", "--count", "0"], ["serve", "--port", "65536"],
                          ["--log-level", "loud", "id"], ["--color", "red", "id"], ["id", "--nonsense"], ["nonsense"],
                          ["rm", "no-urn"], ["get", "no-urn"], ["connect", "no-address"], ["get", "--tiers", "9", "x"],
                          ["add", "x", "--store-id", "xyz"], ["serve", "--turn-open", "--no-turn"],
                          ["serve", "--min-port", "50000"], ["serve", "--relay-ip", "127.0.0.1"],
                          ["serve", "--turn-open", "--min-port", "1023"],
                          ["serve", "--turn-open", "--min-port", "50001", "--max-port", "50000"],
                          ["serve", "--turn-open", "--relay-ip", "192.0.2.1"]):
            with self.subTest(arguments):
                result = run("--home", home, "--json", *arguments)
                self.assertEqual(result.code, 2, result)
                last = result.last()
                self.assertIs(last["ok"], False)
                self.assertTrue(last["code"].startswith("DN-"))
                self.assertEqual(last.get("event"), "done" if arguments[0] in ("get", "connect") else None)
                if arguments[0] in ("get", "connect"):
                    self.assertIn("attempts", last)

    def test_commands_of_later_steps_do_not_exist_yet(self):
        for command in ("ticket", "netcheck", "audit"):
            self.assertEqual(run(command).code, 2)


class Fields(CommandTest):
    def test_id(self):
        first = self.ok("--home", self.home(), "--json", "id")
        self.assertEqual(list(first.last()), ["peer_id", "crypto_ipv6", "public_key"])
        self.assertRegex(first.last()["peer_id"], r"^12D3KooW\w{44}$")
        self.assertRegex(first.last()["crypto_ipv6"], r"^fd00:")
        self.assertRegex(first.last()["public_key"], r"^[0-9a-f]{64}$")
        self.assertEqual(self.ok("id", "--json", "--home", self.home()).last(), first.last())
        self.assertEqual(os.stat(self.home() / "identity.key").st_mode & 0o777, 0o600)
        self.assertIn(first.last()["peer_id"], self.ok("--home", self.home(), "id").out)

    def test_add_ls_verify_rm(self):
        home, folder = self.home(), self.folder()
        added = self.added(home, folder)
        self.assertEqual(list(added)[:5], ["store_id", "root_hash", "urn", "bytes", "files"])
        self.assertEqual(added["files"], 4)
        self.assertEqual(added["urn"], f"urn:dig:chia:{added['store_id']}:{added['root_hash']}")
        listed = self.ok("--home", home, "--json", "ls").last()
        self.assertEqual([one["urn"] for one in listed["stores"]], [added["urn"]])
        verified = self.ok("--home", home, "--json", "verify").last()
        self.assertEqual((verified["ok"], verified["stores"], verified["bytes"], verified["damaged"]),
                         (True, 1, added["bytes"], []))
        self.assertEqual(self.ok("--home", home, "--json", "verify", added["urn"]).last()["stores"], 1)
        self.assertEqual(self.ok("--home", home, "--json", "rm", added["urn"]).last(), {"urn": added["urn"], "removed": True})
        self.assertEqual(self.ok("--home", home, "--json", "ls").last(), {"stores": []})

    def test_add_tells_its_progress_before_its_result(self):
        folder = self.folder(files=4, size=1_500_000)
        self.ok("--home", self.home("own"), "id")
        serving = self.home("serving")
        self.serve(serving)
        for home in (self.home("own"), serving):  # by a node of its own, and by one that runs
            with self.subTest(home.name):
                *events, result = self.ok("--home", home, "--json", "add", folder).lines()
                self.assertGreaterEqual(len(events), 2)
                for event in events:
                    self.assertEqual(list(event), ["event", "bytes", "total"])
                    self.assertEqual(event["event"], "progress")
                done = [event["bytes"] for event in events]
                self.assertEqual(done, sorted(done))
                self.assertEqual((events[-1]["bytes"], events[-1]["total"]), (result["bytes"], result["bytes"]))

    def test_for_pipes_stdout_has_the_result_alone(self):
        home, folder = self.home(), self.folder()
        added = self.ok("--home", home, "add", folder)
        self.assertRegex(added.out, r"^urn:dig:chia:[0-9a-f]{64}:[0-9a-f]{64}\n$")
        self.assertIn("dignet serve", added.err)
        listed = self.ok("--home", home, "ls")
        self.assertEqual(listed.out.split()[0], added.out.strip())
        quiet = self.ok("--home", home, "-q", "rm", added.out.strip())
        self.assertEqual((quiet.out, quiet.err), ("", ""))

    def test_what_is_not_here_exits_with_3(self):
        home = self.home()
        missing = "urn:dig:chia:" + STORE
        self.assert_error(run("--home", home, "--json", "rm", missing), "DN-STORE-002", 3)
        self.assert_error(run("--home", home, "--json", "verify", missing), "DN-STORE-002", 3)
        self.assert_error(run("--home", home, "--json", "add", self.root / "absent"), "DN-DISK-004", 3)
        self.assert_error(run("--home", home, "--json", "get", missing), "DN-STORE-003", 3)

    def test_a_damaged_store_exits_with_5(self):
        home = self.home()
        added = self.added(home, self.folder())
        flip_a_byte(next(home.rglob("*.dig")))
        result = run("--home", home, "--json", "verify")
        last = self.assert_error(result, "DN-STORE-007", 5)
        self.assertEqual([one["urn"] for one in last["damaged"]], [added["urn"]])

    def test_damaged_content_is_never_handed_out(self):
        home, output = self.home(), self.root / "out"
        added = self.added(home, self.folder())
        flip_a_byte(next(home.rglob("*.dig")))
        for urn in (added["urn"], added["urn"] + "/file0.bin"):
            result = run("--home", home, "--json", "get", "-o", output, urn)
            self.assert_error(result, "DN-STORE-007", 5)
            self.assertFalse(output.exists())

    def test_ports_says_what_a_node_would_get(self):
        last = self.ok("--home", self.home(), "--json", "ports").last()
        self.assertIs(last["running"], False)
        port = last["ports"][0]
        self.assertEqual(list(port), ["purpose", "preferred", "port", "protocols", "reason"])
        self.assertEqual((port["purpose"], port["preferred"]), ("libp2p-main", 4001))
        self.assertTrue(port["reason"])


class Configuration(CommandTest):
    def config(self, text):
        self.home().mkdir(exist_ok=True)
        (self.home() / "dignet.toml").write_text(text)

    def test_an_unknown_key_is_named_with_its_line(self):
        self.config("# ports\nprot = 4001\n")
        last = self.assert_error(run("--home", self.home(), "--json", "id"), "DN-CONF-001", 2)
        self.assertIn("line 2", last["detail"])
        self.assertIn('did you mean "port"?', last["detail"])

    def test_a_bad_value_and_bad_toml_are_named_with_their_line(self):
        for text, line in (("\n\nport = 70000\n", "line 3"), ("tiers = 5\n", "line 1"), ("port = \n", "line 1")):
            with self.subTest(text):
                self.config(text)
                last = self.assert_error(run("--home", self.home(), "--json", "ls"), "DN-CONF-001", 2)
                self.assertIn(line, last["detail"])

    def test_the_environment_wins_over_the_file(self):
        self.config("port = 14801\n")
        ports = self.ok("--home", self.home(), "--json", "ports").last()["ports"]
        self.assertEqual(ports[0]["preferred"], 14801)
        ports = self.ok("--home", self.home(), "--json", "ports", env={"DIGNET_PORT": "14901"}).last()["ports"]
        self.assertEqual(ports[0]["preferred"], 14901)

    def test_a_bad_variable_is_named(self):
        result = run("--home", self.home(), "--json", "id", env={"DIGNET_PORT": "many"})
        self.assertIn("DIGNET_PORT", self.assert_error(result, "DN-CONF-001", 2)["detail"])

    def test_the_home_comes_from_the_flag_the_variable_or_xdg(self):
        user = self.root / "user"
        user.mkdir()
        env = {"HOME": str(user)}
        self.ok("id", env=env)
        self.assertTrue((user / ".local/share/dignet/identity.key").exists())
        self.ok("id", env={**env, "XDG_DATA_HOME": str(self.root / "xdg")})
        self.assertTrue((self.root / "xdg/dignet/identity.key").exists())
        self.ok("id", env={**env, "DIGNET_HOME": str(self.root / "variable")})
        self.assertTrue((self.root / "variable/identity.key").exists())


class BadHome(CommandTest):
    def test_a_key_that_others_can_read_is_refused(self):
        self.ok("--home", self.home(), "id")
        os.chmod(self.home() / "identity.key", 0o644)
        for command in (["id"], ["ls"], ["serve"]):
            with self.subTest(command):
                self.assert_error(run("--home", self.home(), "--json", *command), "DN-ID-002", 6)

    def test_a_damaged_key_is_not_replaced(self):
        self.ok("--home", self.home(), "id")
        key = self.home() / "identity.key"
        key.write_bytes(b"damaged")
        self.assert_error(run("--home", self.home(), "--json", "id"), "DN-ID-003", 1)
        self.assertEqual(key.read_bytes(), b"damaged")

    def test_a_home_that_is_a_file_is_an_error(self):
        file = self.root / "file"
        file.write_text("x")
        for command in (["id"], ["ls"], ["serve"]):
            result = run("--home", file, "--json", *command)
            last = self.assert_error(result, "DN-DISK-007", 2)
            self.assertIn("not a folder", last["detail"])

    def test_an_unreadable_home_is_an_error(self):
        self.home().mkdir(mode=0o000)
        for command in (["id"], ["ls"], ["serve"]):
            with self.subTest(command):
                result = run("--home", self.home(), "--json", *command, under=AS_ORDINARY_USER)
                self.assertIn(str(self.home()), self.assert_error(result, "DN-DISK-003", 1)["detail"])
        self.home().chmod(0o700)

    def test_an_unreadable_key_is_an_error_and_is_not_replaced(self):
        self.ok("--home", self.home(), "id")
        key = self.home() / "identity.key"
        content = key.read_bytes()
        key.chmod(0o000)
        for command in (["id"], ["serve"]):
            with self.subTest(command):
                result = run("--home", self.home(), "--json", *command, under=AS_ORDINARY_USER)
                self.assertIn(str(key), self.assert_error(result, "DN-ID-001", 1)["detail"])
        key.chmod(0o600)
        self.assertEqual(key.read_bytes(), content)

    def test_a_key_of_somebody_else_is_refused(self):
        self.ok("--home", self.home(), "id")
        key = self.home() / "identity.key"
        under = ()
        if os.geteuid() == 0:
            os.chown(key, 12345, 12345)
        else:  # only root can give a file away: put a file of root's in its place, where only the command sees it
            script = 'mount --bind /bin/true "$0" && exec "$@"'
            under = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, key)
        result = run("--home", self.home(), "--json", "id", under=under)
        self.assertIn("another user", self.assert_error(result, "DN-ID-002", 6)["detail"])


class Ports(CommandTest):
    def test_a_port_that_needs_privileges_is_refused_to_others(self):
        serve = ["--home", self.home(), "--json", "serve", "--listen"]
        result = run(*serve, "/ip4/0.0.0.0/tcp/1023", under=AS_ORDINARY_USER)
        self.assertIn("1023", self.assert_error(result, "DN-PORT-003", 6)["detail"])
        node = Running(*serve, "/ip4/0.0.0.0/tcp/1024", under=AS_ORDINARY_USER)
        self.addCleanup(node.close)
        self.assertIn(1024, node.output.json()["ports"].values(), node.errors())
        self.assertEqual(node.stop(), 0, node.errors())


class Reachability(CommandTest):
    URN = "urn:dig:chia:" + STORE + ":" + STORE

    def assert_attempts(self, last):
        tiers = [one["tier"] for one in last["attempts"]]
        self.assertEqual(tiers, sorted(tiers))
        self.assertEqual(set(tiers), {1, 2, 3, 4, 5})
        for one in last["attempts"]:
            self.assertEqual(list(one)[:7],
                             ["tier", "tier_name", "method", "target", "started_ms", "elapsed_ms", "outcome"])
            self.assertIn(one["outcome"], ("failed", "skipped", "cancelled"))
            if one["outcome"] != "cancelled":
                self.assertTrue(re.match(r"DN-[A-Z]+-\d{3}$", one["code"]), one)
            if one["tier"] > 1:
                self.assertEqual(one["outcome"], "skipped", one)

    def test_a_closed_port_exits_with_4_and_lists_what_was_tried(self):
        address = f"/ip4/127.0.0.1/tcp/{self.closed_port()}/p2p/{STRANGER}"
        for command in (["get", "--peer", address, self.URN], ["connect", address]):
            with self.subTest(command[0]):
                result = run("--home", self.home(), "--json", *command)
                last = self.assert_error(result, "DN-NET-009", 4)
                self.assertEqual(last["event"], "done")
                self.assert_attempts(last)
                failed = [one for one in last["attempts"] if one["outcome"] == "failed"]
                self.assertEqual([one["code"] for one in failed], ["DN-NET-001"])
                self.assertIn("what was tried", result.err)

    def test_a_tier_that_is_turned_off_is_skipped(self):
        address = f"/ip4/127.0.0.1/tcp/{self.closed_port()}/p2p/{STRANGER}"
        result = run("--home", self.home(), "--json", "get", "--tiers", "2-5", "--peer", address, self.URN)
        self.assertEqual(result.code, 4, result)
        direct = [one for one in result.last()["attempts"] if one["tier"] == 1]
        self.assertTrue(direct)
        for one in direct:
            self.assertEqual((one["outcome"], one["code"]), ("skipped", "DN-TIER-002"))

    def test_a_silent_peer_exits_with_7_when_the_time_is_over(self):
        peer = self.silent()
        result = run("--home", self.home(), "--json", "get", "--timeout", "0.5", "--peer", peer.address(), self.URN)
        self.assert_error(result, "DN-NET-010", 7)


if __name__ == "__main__":
    unittest.main()
