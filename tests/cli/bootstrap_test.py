# SPDX-License-Identifier: Apache-2.0
"""dignet bootstrap, serve and get with --bootstrap, status and peers, as a user has them."""
import http.client
import json
import os
import signal
import ssl
import time
import unittest

import harness


class BootstrapTest(harness.CommandTest):
    def bootstrap(self, *flags, home="bootstrap", listen="/ip4/127.0.0.1/tcp/0"):
        node = harness.Running("--home", self.home(home), "--json", "bootstrap", "--listen", listen, *flags)
        self.addCleanup(node.close)
        ready = node.output.json()
        self.assertIsNotNone(ready, node.errors())
        return node, ready

    def status(self, home):
        return self.ok("--home", self.home(home), "--json", "status").last()

    def until(self, condition, what):
        end = time.monotonic() + harness.DEADLINE
        while not condition():
            self.assertLess(time.monotonic(), end, what)

    def until_registered(self, home, count=1):
        """Until so many bootstrap servers have acknowledged what the node publishes."""
        self.until(lambda: sum(one["registered_s"] is not None for one in self.status(home)["bootstraps"]) == count,
                   lambda: self.status(home))

    def get(self, home, address, urn, *flags):
        return harness.run("--home", self.home(home), "--json", "get", "--bootstrap", address, urn, *flags)

    def test_a_store_is_found_and_fetched_by_its_urn_alone(self):
        _, server = self.bootstrap()
        self.assertEqual(server["event"], "ready")
        self.assertLessEqual({"peer", "bootstrap", "relay"}, set(server["roles"]))
        added = self.added(self.home("holder"), self.folder())
        _, holder = self.serve(self.home("holder"), "--bootstrap", server["addresses"][0])
        self.until_registered("holder")
        got = self.get("getter", server["addresses"][0], added["urn"])
        self.assertEqual(got.code, 0, got)
        self.assertEqual((got.last()["ok"], got.last()["peer_id"]), (True, holder["peer_id"]), got)
        self.assertEqual(got.last()["root_hash"], added["root_hash"])

    def test_status_and_peers_show_who_is_there(self):
        _, server = self.bootstrap()
        _, holder = self.serve(self.home("holder"), "--bootstrap", server["addresses"][0])
        self.until_registered("holder")
        known = self.status("bootstrap")
        self.assertEqual((known["peer_id"], known["roles"]), (server["peer_id"], server["roles"]))
        self.assertEqual(known["directory"]["records"], 1)
        self.assertEqual(self.status("holder")["bootstraps"][0]["peer_id"], server["peer_id"])
        peers = self.ok("--home", self.home("bootstrap"), "--json", "peers").last()["peers"]
        self.assertEqual([(one["peer_id"], one["direction"], one["tier_name"]) for one in peers],
                         [(holder["peer_id"], "inbound", "direct")])
        text = self.ok("--home", self.home("holder"), "status").out
        self.assertIn(f"bootstrap     {server['peer_id']}  registered for", text)
        self.assertIn(server["peer_id"], self.ok("--home", self.home("holder"), "peers").out)

    def test_status_and_peers_without_a_running_node_say_so(self):
        for command in ("status", "peers"):
            result = harness.run("--home", self.home(), "--json", command)
            self.assertEqual((result.code, result.last()["code"]), (3, "DN-CTL-002"), result)
            self.assertIn("dignet serve", result.err)

    def test_what_is_added_and_removed_while_a_node_serves_is_known_at_once(self):
        _, server = self.bootstrap()
        self.serve(self.home("holder"), "--bootstrap", server["addresses"][0])
        self.until_registered("holder")
        added = self.added(self.home("holder"), self.folder())
        self.until(lambda: self.get("getter", server["addresses"][0], added["urn"]).code == 0, "it is not announced")
        self.ok("--home", self.home("holder"), "rm", added["urn"])
        self.until(lambda: self.get("stranger", server["addresses"][0], added["urn"]).code == 3, "it is still announced")

    def test_a_fetched_store_is_announced_by_who_fetched_it(self):
        _, server = self.bootstrap()
        address = server["addresses"][0]
        added = self.added(self.home("holder"), self.folder())
        holder, _ = self.serve(self.home("holder"), "--bootstrap", address)
        _, second = self.serve(self.home("second"), "--bootstrap", address)
        self.until_registered("holder")
        self.until_registered("second")
        self.assertEqual(self.ok("--home", self.home("second"), "--json", "get", added["urn"]).last()["ok"], True)
        self.assertEqual(holder.stop(), 0)
        self.until(lambda: self.get("getter", address, added["urn"]).code == 0, "the second holder is not found")

    def test_what_a_server_has_acknowledged_survives_its_sudden_death(self):
        node, server = self.bootstrap()
        address = server["addresses"][0]
        added = self.added(self.home("holder"), self.folder())
        self.serve(self.home("holder"), "--bootstrap", address)
        self.until_registered("holder")
        node.stop(signal.SIGKILL)
        _, again = self.bootstrap(listen=address.rsplit("/p2p/", 1)[0])
        self.assertEqual(again["peer_id"], server["peer_id"])
        self.assertEqual(self.status("bootstrap")["directory"]["records"], 1)
        self.until(lambda: self.get("getter", address, added["urn"]).code == 0, "the holder is not reached again")

    def test_nobody_has_the_store(self):
        _, server = self.bootstrap()
        result = self.get("getter", server["addresses"][0], "urn:dig:chia:" + "ab" * 32 + ":" + "cd" * 32)
        self.assertEqual((result.code, result.last()["code"]), (3, "DN-STORE-003"), result)

    def test_a_server_that_is_gone_is_named(self):
        node, server = self.bootstrap()
        node.stop()
        result = self.get("getter", server["addresses"][0], "urn:dig:chia:" + "ab" * 32 + ":" + "cd" * 32)
        self.assertEqual(result.code, 4, result)
        self.assertIn(server["peer_id"], result.last()["detail"])

    def test_without_a_root_the_store_that_is_here_does_when_nobody_else_is_found(self):
        _, server = self.bootstrap()
        added = self.added(self.home("getter"), self.folder())
        result = self.get("getter", server["addresses"][0], "urn:dig:chia:" + added["store_id"])
        self.assertEqual((result.code, result.last()["reused_bytes"]), (0, added["bytes"]), result)

    def test_an_address_without_a_peer_id_is_wrong_usage(self):
        for command in (("serve",), ("bootstrap",), ("get", "urn:dig:chia:" + "ab" * 32)):
            result = harness.run("--home", self.home(), "--json", command[0], "--bootstrap", "/ip4/127.0.0.1/tcp/1",
                                 *command[1:])
            self.assertEqual(result.code, 2, result)
            self.assertIn("peer id", result.err)

    def test_a_name_and_a_public_address_are_announced(self):
        _, ready = self.bootstrap("--domain", "bootstrap.example", "--public-ip", "203.0.113.7", "--public-ip",
                                  "2001:db8::7")
        port = next(iter(ready["ports"].values()))
        plain = [f"/dns/bootstrap.example/tcp/{port}", f"/ip4/203.0.113.7/tcp/{port}", f"/ip6/2001:db8::7/tcp/{port}"]
        self.assertEqual([address.rsplit("/p2p/", 1)[0] for address in ready["addresses"]],
                         plain + [f"{address}/ws" for address in plain])
        for flags in (("--public-ip", "bootstrap.example"), ("--domain", "no/name")):
            result = harness.run("--home", self.home("other"), "bootstrap", *flags)
            self.assertEqual(result.code, 2, result)

    def port(self, ready):
        return next(iter(ready["ports"].values()))

    def page(self, port, path, method="GET", host=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.DEADLINE)
        self.addCleanup(connection.close)
        connection.request(method, path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def test_pages_tell_numbers_of_the_server_and_nothing_of_its_peers(self):
        _, ready = self.bootstrap()
        added = self.added(self.home("holder"), self.folder())
        _, holder = self.serve(self.home("holder"), "--bootstrap", ready["addresses"][0])
        self.until_registered("holder")
        port = self.port(ready)
        self.assertEqual(self.page(port, "/health"), (200, "ok\n"))
        self.assertIn("dignet_bootstrap_directory_records 1\n", self.page(port, "/metrics")[1])
        status = json.loads(self.page(port, "/status.json")[1])
        self.assertEqual((status["peer_id"], status["directory"]["records"]), (ready["peer_id"], 1))
        for path in ("/", "/status.json", "/metrics"):
            text = self.page(port, path)[1]
            for secret in (holder["peer_id"], holder["crypto_ipv6"], added["store_id"], str(self.port(holder))):
                self.assertNotIn(secret, text)
        self.assertEqual(self.page(port, "/etc/passwd")[0], 404)

    def test_pages_cannot_change_anything_nor_be_read_under_a_foreign_name(self):
        _, ready = self.bootstrap("--domain", "bootstrap.example")
        port = self.port(ready)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            self.assertIn(self.page(port, "/", method)[0], (405, 501), method)
        self.assertEqual(self.page(port, "/health", host="evil.example")[0], 421)
        self.assertEqual(self.page(port, "/health", host="bootstrap.example")[0], 200)

    def shown(self, port):
        """The certificate that the server shows."""
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=harness.DEADLINE).strip()

    def test_a_certificate_of_the_owner_is_reread_when_it_changes(self):
        certificate, key = harness.make_certificate(self.root, "one.example")
        node, ready = self.bootstrap("--tls-cert", certificate, "--tls-key", key)
        port = self.port(ready)
        self.assertEqual(self.shown(port), certificate.read_text().strip())
        harness.make_certificate(self.root, "two.example")
        kept = certificate.read_text().strip()
        while self.shown(port) != kept:  # key and certificate may have been seen one after the other
            node.output.json_until(lambda event: event["event"] == "certificate")
        certificate.write_text("nothing\n")
        warning = node.output.json_until(lambda event: event["event"] == "warning")
        self.assertEqual(warning["code"], "DN-TLS-003")
        self.assertEqual(self.shown(port), kept)
        result = harness.run("--home", self.home("other"), "bootstrap", "--tls-cert", certificate)
        self.assertEqual(result.code, 2, result)

    def test_without_a_certificate_of_the_owner_one_is_made(self):
        _, ready = self.bootstrap()
        self.assertIn("BEGIN CERTIFICATE", self.shown(self.port(ready)))

    def test_ports_that_may_not_be_bound_are_told_and_done_without(self):
        home = self.home("ordinary")
        home.mkdir()
        os.chmod(self.root, 0o755)
        node = harness.Running("--home", home, "--json", "bootstrap", under=harness.AS_ORDINARY_USER)
        self.addCleanup(node.close)
        told = {}
        while len(told.get("warning", [])) < 2 or "ready" not in told:
            event = node.output.json()
            told.setdefault(event["event"], []).append(event)
        self.assertEqual(list(told["ready"][0]["ports"]), ["libp2p-main"])
        for port, one in zip(("80", "443"), told["warning"]):
            self.assertEqual(one["code"], "DN-PORT-003")
            self.assertIn(port, one["detail"])

    def test_the_sequence_of_what_was_published_outlives_the_node(self):
        _, server = self.bootstrap()
        node, _ = self.serve(self.home("holder"), "--bootstrap", server["addresses"][0])
        self.until_registered("holder")
        node.stop()
        kept = self.home("holder") / "record.sequence"
        sequence = int(kept.read_text())
        self.assertLess(abs(sequence / 1000 - time.time()), harness.DEADLINE)
        kept.write_text(f"{sequence + 60_000}\n")  # as if the clock had been set back by a minute since
        self.serve(self.home("holder"), "--bootstrap", server["addresses"][0])
        self.until_registered("holder")
        self.until(lambda: int(kept.read_text()) > sequence + 60_000, kept.read_text)
        self.assertEqual(os.stat(kept).st_size, len(f"{sequence}\n"))


if __name__ == "__main__":
    unittest.main()
