# SPDX-License-Identifier: Apache-2.0
"""Two peers without a route between them, which know a bootstrap server and nothing else: one finds in its directory that
the other holds a store, connects through its circuit relay, and fetches; the machine of the server sees ciphertext."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(os.environ["DIGNET_SOURCE_DIR"]) / "tests" / "cli"))
import harness
import network

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def bytes_of_peer_id(text):
    number = 0
    for letter in text:
        number = number * 58 + BASE58.index(letter)
    return number.to_bytes((number.bit_length() + 7) // 8)


class RendezvousTest(harness.CommandTest):
    @classmethod
    def setUpClass(cls):
        network.make_networks()

    def start(self, *arguments, under=()):
        node = harness.Running("--json", *arguments, under=under)
        self.addCleanup(node.close)
        ready = node.output.json()
        self.assertIsNotNone(ready, node.errors())
        return node, ready

    def server_for(self, side, ready):
        return f"/ip4/{network.SERVER[side]}/tcp/{ready['ports']['libp2p-main']}/p2p/{ready['peer_id']}"

    def assert_nothing_is_readable(self, capture, added, holder, content):
        self.assertGreater(capture.bytes(), 2 * len(content))  # it came in and went out again
        secrets = [added["urn"], added["store_id"], added["root_hash"], holder["peer_id"]]
        secrets = [text.encode() for text in secrets]
        secrets += [bytes.fromhex(added["store_id"]), bytes.fromhex(added["root_hash"])]
        secrets.append(bytes_of_peer_id(holder["peer_id"])[-32:])  # the holder's public key
        secrets += [content[at:at + 24] for at in range(0, len(content) - 24, 1000)]
        for secret in secrets:
            self.assertFalse(capture.holds(secret), secret)
        self.assertTrue(capture.holds(b"/noise"))  # what is in clear would have been found

    def test_a_store_is_found_and_fetched_through_the_bootstrap_which_sees_ciphertext(self):
        folder = self.root / "content"
        folder.mkdir()
        content = b"".join(b"what only the two of them may read, line %06d\n" % line for line in range(1000))
        (folder / "letter.txt").write_bytes(content)
        added = self.added(self.home("holder"), folder)
        with network.Capture() as capture:
            _, bootstrap = self.start("--home", self.home("bootstrap"), "bootstrap", "--port", 4001)
            self.assertEqual({"peer", "bootstrap", "relay"} - set(bootstrap["roles"]), set(), bootstrap)
            node, holder = self.start("--home", self.home("holder"), "serve", "--bootstrap",
                                      self.server_for("right", bootstrap), under=network.inside("right"))
            relayed = node.output.json_until(lambda event: event["event"] == "addresses")
            self.assertTrue(any("/p2p-circuit" in address for address in relayed["addresses"]), relayed)
            got = self.fetch(added["urn"], self.server_for("left", bootstrap))
        self.assertEqual((got["ok"], got["tier_name"], got["method"]), (True, "traversal", "circuit"), got)
        self.assertEqual(got["peer_id"], holder["peer_id"])
        self.assertIn("/p2p-circuit/", got["path"])
        self.assertEqual([one["method"] for one in got["attempts"] if one["outcome"] == "won"], ["circuit"], got)
        self.assertEqual((self.root / "got" / "letter.txt").read_bytes(), content)
        self.assert_nothing_is_readable(capture, added, holder, content)

    def fetch(self, urn, server):
        """The resource, once the holder's reservation stands in its record as well."""
        (self.root / "got").mkdir()
        for attempt in range(10):
            result = harness.run("--home", self.home(f"getter-{attempt}"), "--json", "get", "--bootstrap", server,
                                 f"{urn}/letter.txt", "-o", self.root / "got", under=network.inside("left"))
            if result.code == 0:
                return result.last()
            self.assertIn(result.code, (3, 4), result)  # not registered yet, or not with the relayed address
        self.fail(result)


if __name__ == "__main__":
    network.enter_namespace()
    unittest.main()
