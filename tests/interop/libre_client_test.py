# SPDX-License-Identifier: Apache-2.0
"""The TURN client of Debian's libre (clients/libre_client.cpp) against Debian's coturn, then against our server: ours must
give what coturn gives."""
import os
import pathlib
import unittest

import turn_lab

turn_lab.enter_namespace()

CLIENT = pathlib.Path(os.environ["DIGNET_BIN_DIR"]) / "libre_client"
WHOLE_LIFE = ["allocated", "permission", "data in indications", "channel", "data in the channel", "refreshed",
              "data in the channel after the refresh", "released"]


class LibreClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = turn_lab.BothServers()

    @classmethod
    def tearDownClass(cls):
        cls.servers.close()

    def run_client(self, transport, server, password=turn_lab.PASSWORD):
        code, text = turn_lab.tool(CLIENT, transport, f"{server}:3478", turn_lab.USER, password,
                                   f"{turn_lab.PEER}:3480", self.servers.certificate)
        return code, text.splitlines()

    def test_an_allocation_lives_its_whole_life_over_every_transport(self):
        for transport in ("udp", "tcp", "tls", "dtls"):
            for server in (turn_lab.THEIRS, turn_lab.OURS):
                with self.subTest(transport=transport, server=server):
                    self.assertEqual(self.run_client(transport, server), (0, WHOLE_LIFE))

    def test_a_wrong_password_is_refused_with_the_same_status(self):
        for transport in ("udp", "tcp", "tls", "dtls"):
            for server in (turn_lab.THEIRS, turn_lab.OURS):
                with self.subTest(transport=transport, server=server):
                    self.assertEqual(self.run_client(transport, server, "wrong"),
                                     (1, ["failed: request: answered, status 401"]))


if __name__ == "__main__":
    unittest.main()
