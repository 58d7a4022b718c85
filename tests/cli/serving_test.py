# SPDX-License-Identifier: Apache-2.0
"""A node that serves, and commands beside it: fetches, the control socket, signals."""
import contextlib
import fcntl
import hashlib
import os
import signal
import stat
import subprocess
import unittest
import zipfile

from harness import COMMAND, CommandTest, Running, environment, flip_a_byte, run

DONE_FIELDS = ["event", "ok", "urn", "bytes", "sha256", "root_hash", "seconds", "first_byte_ms", "tier", "tier_name",
               "method", "peer_id", "path", "attempts", "promotions", "fetched_bytes", "reused_bytes", "window_bytes"]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Fetching(CommandTest):
    def setUp(self):
        super().setUp()
        self.alice, self.bob = self.home("alice"), self.home("bob")

    def test_ready_tells_what_a_script_needs(self):
        node, ready = self.serve(self.alice)
        self.assertEqual(list(ready), ["event", "peer_id", "crypto_ipv6", "addresses", "ports", "roles", "pid"])
        self.assertEqual(ready["pid"], node.process.pid)
        identity = self.ok("--home", self.alice, "--json", "id").last()
        self.assertEqual((ready["peer_id"], ready["crypto_ipv6"]), (identity["peer_id"], identity["crypto_ipv6"]))
        self.assertRegex(ready["addresses"][0], r"^/ip4/127\.0\.0\.1/tcp/\d+/p2p/" + ready["peer_id"] + "$")
        self.assertEqual(node.stop(), 0, node.errors())

    def test_a_store_is_fetched_and_verified(self):
        added = self.added(self.alice, self.folder(files=4, size=700_000))
        _, ready = self.serve(self.alice)
        output = self.root / "out.dig"
        result = self.ok("--home", self.bob, "--json", "get", "--peer", ready["addresses"][0], "-o", output, added["urn"])
        lines = result.lines()
        done = lines[-1]
        self.assertEqual(list(done)[:len(DONE_FIELDS)], DONE_FIELDS)
        self.assertEqual((done["event"], done["ok"], done["urn"], done["bytes"]), ("done", True, added["urn"], added["bytes"]))
        self.assertEqual((done["tier"], done["tier_name"], done["method"]), (1, "direct", "tcp"))
        self.assertEqual(done["peer_id"], ready["peer_id"])
        self.assertEqual(done["root_hash"], added["root_hash"])
        self.assertEqual((done["fetched_bytes"], done["reused_bytes"]), (added["bytes"], 0))
        self.assertEqual(done["sha256"], sha256(output))
        self.assertEqual([one["method"] for one in done["attempts"] if one["outcome"] == "won"], ["tcp"])
        names = [line["event"] for line in lines]
        self.assertIn("path", names)
        self.assertIn("progress", names)
        last_progress = [line for line in lines if line["event"] == "progress"][-1]
        self.assertEqual((last_progress["bytes"], last_progress["total"]), (added["bytes"], added["bytes"]))
        self.assertTrue(zipfile.is_zipfile(output))
        again = self.ok("--home", self.bob, "--json", "get", "--peer", ready["addresses"][0], added["urn"]).last()
        self.assertEqual((again["fetched_bytes"], again["sha256"]), (0, done["sha256"]))

    def test_a_damaged_copy_is_set_aside_and_fetched_again(self):
        added = self.added(self.alice, self.folder(files=4, size=700_000))
        _, ready = self.serve(self.alice)
        fetch = ["--home", self.bob, "--json", "get", "--peer", ready["addresses"][0], added["urn"]]
        first = self.ok(*fetch).last()
        flip_a_byte(next((self.bob / "stores").rglob("*.dig")))
        again = self.ok(*fetch).last()
        self.assertEqual((again["fetched_bytes"], again["sha256"]), (added["bytes"], first["sha256"]))

    def test_a_holder_with_damaged_content_hands_nothing_wrong_out(self):
        added = self.added(self.alice, self.folder(files=4, size=700_000))
        _, ready = self.serve(self.alice)
        flip_a_byte(next((self.alice / "stores").rglob("*.dig")))
        failed = run("--home", self.bob, "--json", "get", "--peer", ready["addresses"][0], added["urn"])
        self.assertNotEqual(failed.code, 0, failed)
        self.assertIs(failed.last()["ok"], False)
        self.assertFalse(list((self.bob / "stores").rglob("*.dig")))

    def test_without_json_stdout_has_the_output_path(self):
        added = self.added(self.alice, self.folder())
        _, ready = self.serve(self.alice)
        output = self.root / "out.dig"
        result = self.ok("--home", self.bob, "get", added["urn"], "-o", output, "--peer", ready["addresses"][0])
        self.assertEqual(result.out, f"{output}\n")
        self.assertIn("direct tcp", result.err)

    def test_one_resource_is_fetched_without_the_rest(self):
        folder = self.folder(files=6, size=600_000)
        added = self.added(self.alice, folder)
        _, ready = self.serve(self.alice)
        output = self.root / "hello.txt"
        done = self.ok("--home", self.bob, "--json", "get", "--peer", ready["addresses"][0], "-o", output,
                       added["urn"] + "/hello.txt").last()
        self.assertEqual(output.read_text(), "hello\n")
        self.assertEqual(done["bytes"], 6)
        self.assertEqual(done["sha256"], hashlib.sha256(b"hello\n").hexdigest())
        self.assertLess(done["fetched_bytes"], added["bytes"] // 2)
        here = self.root / "here"
        here.mkdir()
        self.ok("--home", self.home("carol"), "get", "--peer", ready["addresses"][0], added["urn"] + "/hello.txt", cwd=here)
        self.assertEqual((here / "hello.txt").read_text(), "hello\n")
        result = run("--home", self.bob, "--json", "get", "--peer", ready["addresses"][0], added["urn"] + "/absent")
        self.assert_error(result, "DN-STORE-004", 3)

    def test_a_peer_with_another_identity_is_refused(self):
        added = self.added(self.alice, self.folder())
        _, ready = self.serve(self.alice)
        stranger = self.ok("--home", self.home("carol"), "--json", "id").last()["peer_id"]
        address = ready["addresses"][0].replace(ready["peer_id"], stranger)
        for command in (["get", "--peer", address, added["urn"]], ["connect", address]):
            with self.subTest(command[0]):
                result = run("--home", self.bob, "--json", *command)
                last = self.assert_error(result, "DN-SEC-001", 5)
                failed = [one for one in last["attempts"] if one["outcome"] == "failed"]
                self.assertEqual([one["code"] for one in failed], ["DN-SEC-001"])

    def test_a_peer_without_the_store_exits_with_3(self):
        _, ready = self.serve(self.alice)
        urn = "urn:dig:chia:" + "cd" * 32 + ":" + "ef" * 32
        result = run("--home", self.bob, "--json", "get", "--peer", ready["addresses"][0], urn)
        self.assertEqual(result.code, 3, result)
        self.assertIs(result.last()["ok"], False)

    def test_unpinned_content_needs_consent(self):
        added = self.added(self.alice, self.folder(), "--store-id", "ab" * 32)
        self.assertEqual(added["store_id"], "ab" * 32)
        _, ready = self.serve(self.alice)
        unpinned = "urn:dig:chia:" + "ab" * 32
        command = ["--home", self.bob, "--json", "get", "--peer", ready["addresses"][0], unpinned]
        self.assert_error(run(*command), "DN-STORE-008", 6)
        done = self.ok(*command, "--accept-unpinned").last()
        self.assertEqual(done["urn"], added["urn"])

    def test_connect_pings_and_shows_the_path(self):
        _, ready = self.serve(self.alice)
        result = self.ok("--home", self.bob, "--json", "connect", ready["addresses"][0], "--count", "3")
        done = result.last()
        self.assertEqual((done["event"], done["ok"], done["tier_name"], done["method"]), ("done", True, "direct", "tcp"))
        self.assertEqual((done["peer_id"], done["pings"]), (ready["peer_id"], 3))
        self.assertGreater(done["rtt_ms"], 0)
        self.assertLessEqual(done["rtt_min_ms"], done["rtt_max_ms"])
        self.assertEqual([line["seq"] for line in result.lines() if line["event"] == "ping"], [1, 2, 3])

    def test_serve_tells_of_its_peers(self):
        node, ready = self.serve(self.alice)
        self.ok("--home", self.bob, "--json", "connect", ready["addresses"][0])
        bob = self.ok("--home", self.bob, "--json", "id").last()["peer_id"]
        event = node.output.json_until(lambda one: one["event"] == "peer" and one["state"] == "connected")
        self.assertEqual((event["peer_id"], event["direction"]), (bob, "inbound"))
        node.output.json_until(lambda one: one["event"] == "peer" and one["state"] == "disconnected")

    def test_for_people_serve_prints_the_command_for_the_other_side(self):
        added = self.added(self.alice, self.folder())
        node = Running("--home", self.alice, "serve", "--listen", "/ip4/127.0.0.1/tcp/0", stderr=subprocess.STDOUT)
        self.addCleanup(node.close)
        while (line := node.output.line()) is not None and "dignet get" not in line:
            pass
        self.assertIsNotNone(line)
        command = line.split()
        self.assertEqual(command[-1], added["urn"])
        self.ok("--home", self.bob, *command[1:])


class Beside(CommandTest):
    def test_other_commands_use_the_serving_node(self):
        alice, bob = self.home("alice"), self.home("bob")
        node, ready = self.serve(alice)
        self.assertEqual(self.ok("--home", alice, "--json", "ls").last(), {"stores": []})
        added = self.added(alice, self.folder())
        self.assertEqual([one["urn"] for one in self.ok("--home", alice, "--json", "ls").last()["stores"]], [added["urn"]])
        ports = self.ok("--home", alice, "--json", "ports").last()
        self.assertIs(ports["running"], True)
        # what was added is served at once
        get = ["--home", bob, "--json", "get", "--peer", ready["addresses"][0], added["urn"]]
        self.ok(*get)
        self.assertEqual(self.ok("--home", alice, "--json", "verify").last()["stores"], 1)
        self.ok("--home", alice, "--json", "rm", added["urn"])
        self.ok("--home", bob, "--json", "rm", added["urn"])
        self.assertEqual(run(*get).code, 3)
        self.assertEqual(node.stop(), 0, node.errors())

    def test_get_through_a_serving_node_is_the_same(self):
        alice, bob = self.home("alice"), self.home("bob")
        added = self.added(alice, self.folder(size=500_000))
        _, ready = self.serve(alice)
        self.serve(bob)
        output = self.root / "out.dig"
        result = self.ok("--home", bob, "--json", "get", "--peer", ready["addresses"][0], "-o", output, added["urn"])
        self.assertEqual(list(result.last())[:len(DONE_FIELDS)], DONE_FIELDS)
        self.assertIn("progress", [line["event"] for line in result.lines()])
        self.assertEqual(result.last()["sha256"], sha256(output))
        refused = run("--home", bob, "--json", "get", "urn:dig:chia:" + "cd" * 32)
        self.assert_error(refused, "DN-STORE-003", 3)
        peer = self.ok("--home", bob, "--json", "connect", ready["addresses"][0]).last()
        self.assertGreater(peer["rtt_ms"], 0)

    def test_a_relative_path_is_that_of_the_command(self):
        home, folder = self.home(), self.folder()
        self.serve(home)
        added = self.ok("--home", home, "--json", "add", folder.name, cwd=folder.parent).last()
        self.assertEqual(added["files"], 4)

    def test_the_control_socket_is_private(self):
        self.serve(self.home())
        mode = os.stat(self.home() / "control.sock").st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_a_second_node_on_the_same_home_is_refused(self):
        node, _ = self.serve(self.home())
        last = self.assert_error(run("--home", self.home(), "--json", "serve"), "DN-DISK-005", 1)
        self.assertIn(str(node.process.pid), last["detail"])
        self.ok("--home", self.home(), "--json", "ls")

    def test_after_kill_9_commands_work_and_the_next_node_takes_over(self):
        home = self.home()
        added = self.added(home, self.folder())
        node, _ = self.serve(home)
        node.stop(signal.SIGKILL)
        self.assertTrue((home / "control.sock").exists())
        self.assertEqual([one["urn"] for one in self.ok("--home", home, "--json", "ls").last()["stores"]], [added["urn"]])
        again, _ = self.serve(home)
        self.ok("--home", home, "--json", "ls")
        self.assertEqual(again.stop(), 0, again.errors())
        self.assertFalse((home / "control.sock").exists())

    def test_short_commands_at_once_all_work(self):
        home, folder = self.home(), self.folder()
        first = self.added(home, folder)
        others = [self.folder(seed=seed) for seed in (2, 3, 4)]
        running = [subprocess.Popen([COMMAND, "--home", str(home), "--json", *arguments], env=environment(),
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for arguments in ([["add", str(one)] for one in others] + [["ls"], ["verify"], ["id"]])]
        for one in running:
            out, err = one.communicate(timeout=90)
            self.assertEqual(one.returncode, 0, (one.args, out, err))
        stores = self.ok("--home", home, "--json", "ls").last()["stores"]
        self.assertEqual(len(stores), 4)
        self.assertIn(first["urn"], [one["urn"] for one in stores])


class Stopping(CommandTest):
    URN = "urn:dig:chia:" + "ab" * 32 + ":" + "cd" * 32

    def test_serve_ends_cleanly_on_both_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                node, _ = self.serve(self.home())
                self.assertEqual(node.stop(number), 0, node.errors())
                self.assertEqual(node.output.json_until(lambda one: one["event"] == "stopped"), {"event": "stopped"})
                self.assertFalse((self.home() / "control.sock").exists())

    def test_an_interrupted_get_exits_with_130_and_says_so(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                peer = self.silent()
                get = Running("--home", self.home(), "--json", "get", "--peer", peer.address(), self.URN)
                self.addCleanup(get.close)
                peer.accept()
                get.process.send_signal(number)
                done = get.output.json_until(lambda one: one["event"] == "done")
                self.assertEqual((done["ok"], done["code"]), (False, "DN-GEN-003"))
                self.assertEqual(get.wait(), 130, get.errors())

    def test_an_interrupted_get_through_a_node_ends_there_too(self):
        node, _ = self.serve(self.home())
        peer = self.silent()
        get = Running("--home", self.home(), "--json", "get", "--peer", peer.address(), self.URN)
        self.addCleanup(get.close)
        peer.accept()
        self.assertEqual(get.stop(signal.SIGINT), 130, get.errors())
        # the node has let go of the silent peer
        peer.accepted[0].settimeout(60)
        while peer.accepted[0].recv(4096):
            pass
        self.assertEqual(node.stop(), 0, node.errors())

    def test_a_killed_client_ends_its_call(self):
        self.serve(self.home())
        peer = self.silent()
        get = Running("--home", self.home(), "--json", "get", "--peer", peer.address(), self.URN)
        self.addCleanup(get.close)
        peer.accept()
        get.stop(signal.SIGKILL)
        peer.accepted[0].settimeout(60)
        while peer.accepted[0].recv(4096):
            pass

    @contextlib.contextmanager
    def nothing_can_be_added(self, home):
        """What another process that changes the home does to those that would."""
        stores = os.open(home / "stores", os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(stores, fcntl.LOCK_EX)
            yield
        finally:
            os.close(stores)

    def test_an_interrupted_or_killed_add_ends_in_the_node_and_leaves_nothing(self):
        large, small = self.folder(files=4, size=8_000_000), self.folder(seed=2)
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)):
            with self.subTest(number):
                home = self.home(number.name)
                self.serve(home)
                with self.nothing_can_be_added(home):
                    add = Running("--home", home, "--json", "add", large)
                    self.addCleanup(add.close)
                    self.assertEqual(add.output.json()["event"], "progress")
                    self.assertEqual(add.stop(number), code, add.errors())
                    self.ok("--home", home, "ls")  # comes to the node after the end of the other
                if code == 130:
                    last = add.output.json_until(lambda one: "ok" in one)
                    self.assertEqual((last["ok"], last["code"]), (False, "DN-GEN-003"))
                added = self.added(home, small)  # a node adds one after another
                listed = self.ok("--home", home, "--json", "ls").last()["stores"]
                self.assertEqual([one["urn"] for one in listed], [added["urn"]])
                self.assertEqual(len(list((home / "stores").iterdir())), 1)
                self.assertFalse(list((home / "tmp").iterdir()))

    def test_a_reader_that_goes_away_is_no_error(self):
        home = self.home()
        self.added(home, self.folder())
        read, write = os.pipe()
        os.close(read)
        try:
            finished = subprocess.run([COMMAND, "--home", str(home), "ls"], stdout=write, stderr=subprocess.PIPE,
                                      env=environment(), timeout=90, check=False)
        finally:
            os.close(write)
        self.assertEqual((finished.returncode, finished.stderr), (0, b""))


if __name__ == "__main__":
    unittest.main()
