# SPDX-License-Identifier: Apache-2.0
"""A bootstrap server as an open TURN relay, and a node of which its owner wants the same, which is one once the bootstrap
server's datagram has reached its relay ports: Debian's aioice, with credentials that a js-libp2p peer asks for, talks through
them with a plain UDP program that knows nothing of TURN. Server, node, client and program are in namespaces with a router
between them, which gives server and node a second, mapped address; all addresses look like those of the Internet, as an
open relay serves no others."""
import contextlib
import os
import pathlib
import select
import socket
import sys
import tempfile
import time
import unittest

import pair_relay_test as pair
import turn_lab
from pair_relay_test import PORT, in_home, run

HERE = pathlib.Path(__file__).parent
SERVER, SERVER_TOO, MAPPED, INSIDE = "8.8.4.4", "8.8.4.5", "8.8.8.8", "10.0.0.2"
CLIENT, FAR, FAR_PRIVATE, ECHO_PORT = "9.9.9.9", "1.1.1.1", "10.1.1.1", 7000
NODE, NODE_TOO, NODE_MAPPED, NODE_INSIDE = "4.2.2.1", "4.2.2.2", "7.7.7.7", "10.0.0.3"
# The private address stands first: a relay that takes the first one it finds would send from there.
HOMES = {"server": (INSIDE, SERVER, SERVER_TOO), "client": (CLIENT,), "far": (FAR, FAR_PRIVATE), "node": (NODE, NODE_TOO),
         "mapped": (NODE_INSIDE,)}
IS_REACHED = "a datagram from outside has reached a relay port"
# Of a node: its own port is open, its relay ports are not.
FIREWALL = """table inet closed {
  chain input {
    type filter hook input priority 0; policy accept;
    udp dport 50000-50099 drop
  }
}
"""
# One address inside for one outside, as clouds have it. What is not mapped passes as it is.
NAT = f"""table ip nat {{
  chain incoming {{
    type nat hook prerouting priority dstnat;
    ip daddr {MAPPED} dnat to {INSIDE}
    ip daddr {NODE_MAPPED} dnat to {NODE_INSIDE}
  }}
  chain outgoing {{
    type nat hook postrouting priority srcnat;
    ip saddr {INSIDE} ip daddr != {FAR_PRIVATE} snat to {MAPPED}
    ip saddr {NODE_INSIDE} snat to {NODE_MAPPED}
  }}
}}
"""


def make_lab():
    run("mount", "-t", "tmpfs", "tmpfs", "/run")  # `ip netns` keeps its names there
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for number, (name, addresses) in enumerate(HOMES.items()):
        router = f"192.168.{number}.1"
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "uplink", "netns", name)
        run("ip", "address", "add", f"{router}/32", "dev", f"to-{name}")
        run("ip", "link", "set", f"to-{name}", "up")
        for address in addresses:
            run("ip", "-n", name, "address", "add", f"{address}/32", "dev", "uplink")
        run("ip", "-n", name, "link", "set", "uplink", "up")
        run("ip", "-n", name, "route", "add", router, "dev", "uplink")
        run("ip", "-n", name, "route", "add", "default", "via", router, "src", addresses[0])
        for address in addresses:
            run("ip", "route", "add", address, "dev", f"to-{name}")
    run("nft", "-f", "-", input=NAT, text=True)


@contextlib.contextmanager
def bootstrap(home, *flags, at=SERVER, environment=None):
    with in_home_with(environment, "server", turn_lab.COMMAND, "--home", home, "--json", "bootstrap", "--port", PORT,
                      *flags) as child:
        child.ready = child.next("ready")
        child.role = child.next("turn_role") if "--no-turn" not in flags else None
        child.address = f"/ip4/{at}/tcp/{PORT}/p2p/{child.ready['peer_id']}"
        yield child


def in_home_with(environment, name, *command):
    return pair.Child("ip", "netns", "exec", name, *command, environment=environment)


class OpenRelayTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory(prefix="dignet-open-relay-")))
        make_lab()
        cls.asker, cls.target = (cls.stack.enter_context(in_home("client", pair.NODE_JS, HERE / "turn_credentials_peer.mjs"))
                                 for _ in range(2))
        for peer in (cls.asker, cls.target):
            peer.peer_id = peer.next("ready")["peer_id"]
        cls.echo = cls.stack.enter_context(in_home("far", sys.executable, __file__, "echo"))
        cls.echo.next("ready")

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def tearDown(self):
        self.assertEqual(self.heard_until_now(), [], "more has left the relay than was asked for")

    def credentials(self, node):
        answer = self.asker.ask("answered", "ask", node.address, self.target.peer_id)
        self.assertEqual(answer["status"], "ok", answer)
        self.assertEqual(answer["kind"], "open")
        self.assertIn(f"turn:{node.address.split('/')[2]}:{PORT}", answer["servers"])
        return answer

    def client(self, stack, credentials, transport="udp", server=SERVER):
        return stack.enter_context(in_home("client", sys.executable, pair.__file__, "client", transport,
                                           credentials["username"], credentials["password"], server))

    def allocated(self, client, address=SERVER):
        event = client.next("allocated", "refused")
        self.assertEqual(event["event"], "allocated", event)
        self.assertEqual(event["address"][0], address)
        return event["address"]

    def refusal(self, credentials):
        with contextlib.ExitStack() as stack:
            return self.client(stack, credentials).next("refused", "allocated").get("code")

    def exchange(self, client, relayed, text):
        """There and back; the program sees the relayed address that the client was told."""
        self.assertEqual(client.ask("bound", "bind", FAR, ECHO_PORT)["code"], 0)
        client.ask("sent", "send", FAR, ECHO_PORT, text)
        self.assertEqual(self.echo.next("heard"), {"event": "heard", "on": FAR, "from": relayed, "size": len(text)})
        self.assertEqual(client.next("received"), {"event": "received", "text": text, "address": [FAR, ECHO_PORT]})

    def test_data_passes_to_anybody_on_the_internet_and_to_nobody_else(self):
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(bootstrap(self.folder / "home", "--min-port", 50000, "--max-port", 50099))
            self.assertEqual((node.role["state"], node.role["kind"]), ("on", "open"))
            for transport in ("udp", "tcp"):
                with self.subTest(transport), contextlib.ExitStack() as clients:
                    client = self.client(clients, self.credentials(node), transport)
                    other = self.client(clients, self.credentials(node))
                    relayed, to_other = self.allocated(client), self.allocated(other)
                    self.assertTrue(50000 <= relayed[1] <= 50099, relayed)
                    for size in (1, 1001, 1200):
                        self.exchange(client, relayed, "x" * size)
                    # From a program that nobody has written to.
                    for address, port in ((FAR_PRIVATE, ECHO_PORT), (INSIDE, PORT), ("127.0.0.1", PORT),
                                          ("192.168.0.1", 53), ("169.254.169.254", 80), ("100.64.0.1", 80),
                                          ("224.0.0.1", 5353), ("255.255.255.255", 9), ("0.0.0.0", PORT),
                                          (SERVER, PORT), (SERVER, 80), (SERVER_TOO, PORT), (SERVER_TOO, 50001)):
                        self.assertEqual(client.ask("bound", "bind", address, port)["code"], 403, (address, port))
                    # Another allocation of the server is a peer as any.
                    self.assertEqual(client.ask("bound", "bind", *to_other)["code"], 0)
                    self.assertEqual(other.ask("bound", "bind", *relayed)["code"], 0)
                    client.ask("sent", "send", *to_other, "neighbour")
                    self.assertEqual(other.next("received"), {"event": "received", "text": "neighbour",
                                                              "address": relayed})
                    self.exchange(client, relayed, "after")

    def test_the_server_itself_reaches_the_private_address(self):
        """So that what is refused is refused by the relay."""
        send = "import socket, sys; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', (sys.argv[1], int(sys.argv[2])))"
        run("ip", "netns", "exec", "server", sys.executable, "-c", send, FAR_PRIVATE, ECHO_PORT)
        self.assertEqual(self.echo.next("heard")["on"], FAR_PRIVATE)

    def test_behind_a_mapped_address(self):
        flags = ("--listen", f"/ip4/{INSIDE}/tcp/{PORT}", "--public-ip", MAPPED, "--relay-ip", INSIDE, "--min-port",
                 50000, "--max-port", 50001)
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(bootstrap(self.folder / "mapped", *flags, at=MAPPED))
            given = self.credentials(node)
            clients = [self.client(stack, given, server=MAPPED) for _ in range(2)]
            for client in clients:
                self.exchange(client, self.allocated(client, MAPPED), "hello")
            full = self.client(stack, given, server=MAPPED)
            self.assertEqual(full.next("refused", "allocated").get("code"), 508)

    def test_an_address_of_another_machine(self):
        child = in_home("server", turn_lab.COMMAND, "--home", self.folder / "foreign", "--json", "bootstrap", "--relay-ip",
                        FAR)
        with child:
            self.assertEqual(child.process.wait(turn_lab.DEADLINE), 2, child.output())

    def test_credentials_of_nobody_and_of_the_past(self):
        clock = self.folder / "clock"
        clock.write_text("+0\n")
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        environment = {"LD_PRELOAD": pair.FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
                       "FAKETIME_DONT_FAKE_MONOTONIC": "1", "ASAN_OPTIONS": options.lstrip(":")}
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(bootstrap(self.folder / "home", environment=environment))
            good, late = self.credentials(node), self.credentials(node)
            for wrong in (good | {"password": "guessed"}, good | {"username": "alice"}):
                self.assertEqual(self.refusal(wrong), 401)
            client = self.client(stack, good)
            self.exchange(client, self.allocated(client), "in-time")
            clock.write_text(f"+{good['expires_in'] + 1}\n")
            self.assertEqual(self.refusal(late), 401)
            self.assertEqual(client.ask("bound", "bind", FAR, ECHO_PORT + 1)["code"], 401)

    def test_an_owner_who_limits_the_month(self):
        home = self.folder / "frugal"
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(bootstrap(home, "--turn-max-gb-per-month", "0.000003"))
            client = self.client(stack, self.credentials(node))
            late = self.credentials(node)
            self.exchange(client, self.allocated(client), "x" * 1200)  # 2400 bytes, there and back
            client.ask("sent", "send", FAR, ECHO_PORT, "y" * 1200)
            self.assertEqual(self.refusal(late), 508)
            off = node.next("turn_role")
            self.assertEqual((off["state"], off["kind"], off["why"]), ("off", "open", "this month's volume is used up"))
        self.assertEqual((home / "turn.volume").read_text().split()[1], "3000")
        self.assertEqual(self.heard_until_now(), [])

    def test_an_owner_who_limits_the_rate(self):
        """10 kB a second, and one second of it at once."""
        with contextlib.ExitStack() as stack:
            node = stack.enter_context(bootstrap(self.folder / "slow", "--turn-max-mbps", "0.08"))
            client = self.client(stack, self.credentials(node))
            begin = time.monotonic()
            self.exchange(client, self.allocated(client), "x" * 1000)
            for _ in range(60):
                client.ask("sent", "send", FAR, ECHO_PORT, "x" * 1000)
            self.assertEqual(client.ask("bound", "bind", FAR, ECHO_PORT)["code"], 0)  # behind all of them
            heard = self.heard_until_now()
            self.assertGreater(len(heard), 0)
            self.assertLess(len(heard) * 1000, 10_000 + (time.monotonic() - begin) * 10_000)
            self.assertLess(len(heard), 60)

    def heard_until_now(self):
        """What the program has heard before a datagram that goes to it without a relay."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:  # of the router's namespace
            sender.bind(("192.168.2.1", 0))
            sender.sendto(b"mark", (FAR, ECHO_PORT))
            own, heard = list(sender.getsockname()), []
            while (event := self.echo.next("heard"))["from"] != own:
                heard.append(event)
        return heard

    def test_an_owner_who_does_not_want_it(self):
        with bootstrap(self.folder / "home", "--no-turn") as node:
            answer = self.asker.ask("answered", "ask", node.address, self.target.peer_id)
            self.assertEqual(answer["error"], "UnsupportedProtocolError", answer)

    def serve_open(self, stack, name, *flags, home="node", at=NODE):
        node = stack.enter_context(in_home(home, turn_lab.COMMAND, "--home", self.folder / name, "--json", "serve",
                                           "--port", PORT, "--turn-open", "--min-port", 50000, "--max-port", 50099, *flags))
        node.address = f"/ip4/{at}/tcp/{PORT}/p2p/{node.next('ready')['peer_id']}"
        return node

    def turn_role(self, node, why):
        """What a node of serve_open() says when this is the reason; until then it is no TURN server."""
        while (role := node.next("turn_role"))["why"] != why:
            self.assertEqual((role["state"], role["kind"]), ("off", "open"), role)
        return role["state"]

    def assert_no_turn_server(self, node):
        answer = self.asker.ask("answered", "ask", node.address, self.target.peer_id)
        self.assertEqual(answer["error"], "UnsupportedProtocolError", answer)

    def test_a_node_whose_relay_ports_are_reached(self):
        server = self.stack_of_test().enter_context(bootstrap(self.folder / "home"))
        for name, flags, at, relayed_at in (("open", (), NODE, NODE), ("other", ("--relay-ip", NODE_TOO), NODE, NODE_TOO),
                                            ("mapped", ("--listen", f"/ip4/{NODE_INSIDE}/tcp/{PORT}", "--announce",
                                                        f"/ip4/{NODE_MAPPED}/tcp/{PORT}"), NODE_MAPPED, NODE_MAPPED)):
            with self.subTest(name), contextlib.ExitStack() as stack:
                node = self.serve_open(stack, name, "--bootstrap", server.address, *flags,
                                       home="mapped" if name == "mapped" else "node", at=at)
                self.assertEqual(self.turn_role(node, IS_REACHED), "on")
                client = self.client(stack, self.credentials(node), server=at)
                relayed = self.allocated(client, relayed_at)
                self.assertTrue(50000 <= relayed[1] <= 50099, relayed)
                self.exchange(client, relayed, "hello")
                self.assertEqual(client.ask("bound", "bind", FAR_PRIVATE, ECHO_PORT)["code"], 403)

    def test_a_node_whose_relay_ports_are_closed(self):
        stack = self.stack_of_test()
        server = stack.enter_context(bootstrap(self.folder / "home"))
        run("ip", "netns", "exec", "node", "nft", "-f", "-", input=FIREWALL, text=True)
        stack.callback(run, "ip", "netns", "exec", "node", "nft", "flush", "ruleset")
        node = self.serve_open(stack, "closed", "--bootstrap", server.address)
        self.assertEqual(self.turn_role(node, "no datagram from outside has reached a relay port"), "off")
        self.assert_no_turn_server(node)

    def test_a_node_whose_relay_ports_nobody_can_try(self):
        node = self.serve_open(self.stack_of_test(), "alone", "--announce", f"/ip4/{NODE}/tcp/{PORT}")
        self.assertEqual(self.turn_role(node, "no peer is connected that can try its relay ports"), "off")
        self.assert_no_turn_server(node)

    def stack_of_test(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        return stack


def be_echo():
    """Sends back what it gets and tells of it, on a public address and on a private one."""
    sockets = []
    for address in (FAR, FAR_PRIVATE):
        sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sockets[-1].bind((address, ECHO_PORT))
    pair.tell("ready")
    while sys.stdin not in (readable := select.select([sys.stdin, *sockets], [], [])[0]):
        for each in readable:
            data, sender = each.recvfrom(2048)
            each.sendto(data, sender)
            pair.tell("heard", **{"on": each.getsockname()[0], "from": list(sender), "size": len(data)})


if __name__ == "__main__":
    if sys.argv[1:] == ["echo"]:
        be_echo()
    else:
        turn_lab.enter_namespace()
        unittest.main()
