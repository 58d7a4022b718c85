# SPDX-License-Identifier: Apache-2.0
"""The TURN client and the ICE agent of Debian's aioice against Debian's coturn, then against our server: ours must answer as
coturn answers."""
import asyncio
import logging
import ssl
import unittest

import turn_lab

turn_lab.enter_namespace()

import aioice  # noqa: E402
import aioice.ice  # noqa: E402
import aioice.turn  # noqa: E402

from turn_lab import DEADLINE, OURS, PASSWORD, PEER, THEIRS, USER  # noqa: E402

TRANSPORTS = ("udp", "tcp", "tls")
TO_THE_REFRESH = 550  # seconds; of an allocation's 600 s aioice lets 500 pass


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop that can skip some time, so that the time of a refresh comes."""
    skipped = 0

    def time(self):
        return super().time() + self.skipped


class Answers(logging.Handler):
    """What the server answered, by what aioice logs of each message."""

    def __enter__(self):
        self.waiting, self.seen = asyncio.Queue(), []
        aioice.turn.logger.addHandler(self)
        aioice.turn.logger.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_):
        aioice.turn.logger.removeHandler(self)
        aioice.turn.logger.setLevel(logging.NOTSET)

    def emit(self, record):
        if record.msg == "%s < %s %s":
            message = record.args[2]
            self.seen.append(f"{message.message_method.name} {message.message_class.name}")
            self.waiting.put_nowait(self.seen[-1])

    async def wait_for(self, answer):
        while await asyncio.wait_for(self.waiting.get(), DEADLINE) != answer:
            continue


class Inbox(asyncio.DatagramProtocol):
    """What comes out of a TURN transport."""

    def __init__(self):
        self.received, self.is_closed = asyncio.Queue(), asyncio.Event()

    def datagram_received(self, data, addr):
        self.received.put_nowait((data, addr))

    def connection_lost(self, _):
        self.is_closed.set()


class AioiceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = turn_lab.BothServers()
        cls.tls = ssl.create_default_context(cafile=cls.servers.certificate)

    @classmethod
    def tearDownClass(cls):
        cls.servers.close()

    def over(self, transport):
        return ("tcp", self.tls) if transport == "tls" else (transport, False)

    def on_every_server(self, scenario):
        for transport in TRANSPORTS:
            for server in (THEIRS, OURS):
                with self.subTest(transport=transport, server=server), asyncio.Runner(loop_factory=SkippingLoop) as runner:
                    runner.run(scenario(server, transport))

    async def echo(self, relay, inbox, size):
        """Odd sizes as well: a stream pads them (RFC 8656 section 12.5)."""
        relay.sendto(b"x" * size, (PEER, 3480))
        self.assertEqual(await asyncio.wait_for(inbox.received.get(), DEADLINE), (b"x" * size, (PEER, 3480)))

    async def live(self, server, transport):
        inner, tls = self.over(transport)
        with Answers() as answers:
            relay, inbox = await aioice.turn.create_turn_endpoint(
                Inbox, (server, 3478), USER, PASSWORD, channel_refresh_time=0, ssl=tls, transport=inner)
            self.assertEqual(relay.get_extra_info("sockname")[0], server)
            await self.echo(relay, inbox, 1001)
            asyncio.get_running_loop().skipped += TO_THE_REFRESH
            await answers.wait_for("REFRESH RESPONSE")
            await self.echo(relay, inbox, 1002)
            relay.close()
            await asyncio.wait_for(inbox.is_closed.wait(), DEADLINE)
        self.assertEqual(answers.seen, ["ALLOCATE ERROR", "ALLOCATE RESPONSE", "CHANNEL_BIND RESPONSE", "REFRESH RESPONSE",
                                        "CHANNEL_BIND RESPONSE", "REFRESH RESPONSE"])

    async def be_refused(self, server, transport):
        inner, tls = self.over(transport)
        with self.assertRaises(aioice.stun.TransactionFailed) as refused:
            await aioice.turn.create_turn_endpoint(Inbox, (server, 3478), USER, "wrong", ssl=tls, transport=inner)
        self.assertEqual(refused.exception.response.attributes["ERROR-CODE"][0], 401)

    async def connect_through(self, server, transport):
        inner, tls = self.over(transport)
        pair = [aioice.Connection(ice_controlling=is_first, turn_server=(server, 3478), turn_username=USER,
                                  turn_password=PASSWORD, turn_transport=inner, turn_ssl=tls,
                                  transport_policy=aioice.ice.TransportPolicy.RELAY) for is_first in (True, False)]
        await asyncio.gather(*(agent.gather_candidates() for agent in pair))
        for agent, other in zip(pair, reversed(pair)):
            self.assertEqual([(each.type, each.host) for each in other.local_candidates], [("relay", server)])
            agent.remote_username, agent.remote_password = other.local_username, other.local_password
            for candidate in (*other.local_candidates, None):
                await agent.add_remote_candidate(candidate)
        await asyncio.wait_for(asyncio.gather(*(agent.connect() for agent in pair)), DEADLINE)
        for number in range(20):
            for sender, receiver in (pair, reversed(pair)):
                data = bytes([number]) * (1000 + number)
                await sender.send(data)
                self.assertEqual(await asyncio.wait_for(receiver.recv(), DEADLINE), data)
        await asyncio.gather(*(agent.close() for agent in pair))

    def test_an_allocation_carries_data_is_refreshed_and_ends(self):
        self.on_every_server(self.live)

    def test_a_wrong_password_is_refused(self):
        self.on_every_server(self.be_refused)

    def test_two_ice_agents_connect_through_relays_alone(self):
        self.on_every_server(self.connect_through)


if __name__ == "__main__":
    unittest.main(warnings="ignore")  # aioice leaves its sockets to the garbage collector
