# SPDX-License-Identifier: Apache-2.0
"""Chromium, at home behind a NAT, against our server."""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import nat_lab
import turn_lab

turn_lab.enter_namespace()

from nat_lab import HOME, ROUTER, SERVER  # noqa: E402

SOURCE = pathlib.Path(os.environ["DIGNET_SOURCE_DIR"])
TURN = {"udp": f"turn:{SERVER}:3478?transport=udp", "tcp": f"turn:{SERVER}:3478?transport=tcp",
        "tls": f"turns:{SERVER}:3478?transport=tcp"}
REFUSED, UNREACHABLE = 401, 701  # of RTCPeerConnectionIceErrorEvent: an answer of the server; none came


def configuration(*urls, password=turn_lab.PASSWORD):
    """What ice-config prints; the catalogue of this lab has the one STUN server that is in it."""
    with tempfile.TemporaryDirectory(prefix="dignet-chromium-") as home:
        catalogue = pathlib.Path(home, "servers.toml")
        catalogue.write_text(f'[[provider]]\nname = "lab"\nservers = ["stun:{SERVER}"]\n')
        flags = [word for url in urls for word in ("--turn", url)]
        printed = subprocess.run([turn_lab.COMMAND, "--home", home, "ice-config", "--catalogue", catalogue, "--user",
                                  turn_lab.USER, "--pass", password, *flags], check=True, capture_output=True)
    return json.loads(printed.stdout)


def make_profile(folder, *authorities):
    """A home folder for Chromium, which takes the authorities of its user from the NSS database in it."""
    database = folder / ".pki/nssdb"
    database.mkdir(parents=True)
    subprocess.run(["certutil", "-N", "-d", f"sql:{database}", "--empty-password"], check=True)
    for authority in authorities:
        subprocess.run(["certutil", "-A", "-d", f"sql:{database}", "-n", "turn", "-t", "C,,", "-i", authority], check=True)
    return folder


class ChromiumTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        nat_lab.make_home()
        with contextlib.ExitStack() as stack:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dignet-chromium-")))
            certificate, key = turn_lab.make_certificate(folder, SERVER)
            cls.trusting = make_profile(folder / "trusting", certificate)
            cls.strict = make_profile(folder / "strict")
            # Each connection has a pool of ten transports, and what a browser leaves when it ends stays for its lifetime.
            stack.enter_context(turn_lab.dignet_turn(
                folder / "home", "--user-quota", "1000", "--source-quota", "1000", "--listen", f"{SERVER}:3478",
                "--allow-peer", f"{SERVER}/32", "--user", f"{turn_lab.USER}:{turn_lab.PASSWORD}", "--tls-cert", certificate,
                "--tls-key", key))
            cls.addClassCleanup(stack.pop_all().close)

    def browse(self, action, *configurations, profile=None):
        profile = profile or self.trusting
        requests = json.dumps([{"do": action, "configuration": each} for each in configurations])
        code, text = turn_lab.tool(*nat_lab.IN_HOME, "env", f"HOME={profile}", f"TMPDIR={profile}",
                                   SOURCE / "tools/run_script.sh", SOURCE / "tests/interop/clients/chromium_client.mjs",
                                   requests)
        self.assertEqual(code, 0, text)
        return json.loads(text.splitlines()[-1])

    def test_gathers_every_kind_of_candidate_over_every_transport(self):
        [gathered] = self.browse("gather", configuration(*TURN.values()))
        self.assertEqual(gathered["errors"], [])
        found = {(each["type"], each["address"], each["url"] if each["type"] == "relay" else "")
                 for each in gathered["candidates"] if each["protocol"] == "udp"}
        self.assertEqual(found, {("host", HOME, ""), ("srflx", ROUTER, ""), *(("relay", SERVER, url) for url in TURN.values())})

    def test_data_goes_through_relays_alone_over_every_transport(self):
        # Without the pool: on a busy machine Chromium now and then never asks for a relayed address of a pooled transport.
        relayed = {"iceTransportPolicy": "relay", "iceCandidatePoolSize": 0}
        results = self.browse("transfer", *(configuration(url) | relayed for url in TURN.values()))
        for transport, result in zip(TURN, results, strict=True):
            with self.subTest(transport):
                self.assertEqual(result["received"], result["sent"])
                self.assertEqual(result["ends"], 2 * [{"candidateType": "relay", "relayProtocol": transport,
                                                       "address": SERVER, "remote": "relay"}])

    def test_a_wrong_password_is_refused(self):
        results = self.browse("gather", *(configuration(url, password="wrong") for url in TURN.values()))
        for transport, result in zip(TURN, results, strict=True):
            with self.subTest(transport):
                self.assertEqual({each["errorCode"] for each in result["errors"]}, {REFUSED})
                self.assertNotIn("relay", [each["type"] for each in result["candidates"]])

    def test_a_certificate_of_an_unknown_authority_is_not_taken(self):
        [gathered] = self.browse("gather", configuration(*TURN.values()), profile=self.strict)
        self.assertEqual(gathered["errors"], [{"errorCode": UNREACHABLE, "url": TURN["tls"]}])
        self.assertEqual({each["url"] for each in gathered["candidates"] if each["type"] == "relay"},
                         {TURN["udp"], TURN["tcp"]})


if __name__ == "__main__":
    unittest.main()
