# SPDX-License-Identifier: Apache-2.0
"""A machine that gets another address while its node runs, and loses it again: the node notices it and says so, without a
restart. What follows from it is tested in tests/sim: a server dials no address of a laboratory but where it sees its client."""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(os.environ["DIGNET_SOURCE_DIR"]) / "tests" / "cli"))
import harness
import network

OTHER = "198.51.100.77"


class NetworkChangeTest(harness.CommandTest):
    @classmethod
    def setUpClass(cls):
        network.make_networks()

    def start(self, *arguments, under=()):
        node = harness.Running("--json", *arguments, under=under)
        self.addCleanup(node.close)
        ready = node.output.json()
        self.assertIsNotNone(ready, node.errors())
        return node, ready

    def told(self, node, kind, wanted):
        """The next event of the kind whose addresses are as wanted."""
        return node.output.json_until(lambda event: event["event"] == kind and wanted(event["addresses"]))

    def addresses_of_status(self):
        result = harness.run("--home", self.home("node"), "--json", "status")
        self.assertEqual(result.code, 0, result)
        return result.last()["addresses"]

    def test_another_address_is_noticed_and_told_and_so_is_its_end(self):
        _, bootstrap = self.start("--home", self.home("bootstrap"), "bootstrap", "--port", 4001)
        server = f"/ip4/{network.SERVER['right']}/tcp/4001/p2p/{bootstrap['peer_id']}"
        node, ready = self.start("--home", self.home("node"), "serve", "--bootstrap", server,
                                 under=network.inside("right"))
        here = f"/ip4/{network.PEER['right']}/"
        there = f"/ip4/{OTHER}/"

        def has(place):
            return lambda addresses: any(address.startswith(place) for address in addresses)

        self.assertTrue(has(here)(ready["addresses"]), ready)
        self.assertFalse(has(there)(ready["addresses"]), ready)
        self.told(node, "reachability", has(here))

        network.run("ip", "-n", "right", "address", "add", f"{OTHER}/24", "dev", "uplink")
        self.told(node, "addresses", has(there))
        self.assertTrue(has(there)(self.addresses_of_status()))

        network.run("ip", "-n", "right", "address", "delete", f"{OTHER}/24", "dev", "uplink")
        self.told(node, "addresses", lambda addresses: not has(there)(addresses))
        self.assertFalse(has(there)(self.addresses_of_status()))
        self.assertTrue(has(here)(self.addresses_of_status()))


if __name__ == "__main__":
    network.enter_namespace()
    unittest.main()
