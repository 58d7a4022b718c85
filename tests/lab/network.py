# SPDX-License-Identifier: Apache-2.0
"""Two networks that have nothing in common but a server: the namespace of the test is the server's machine, with a leg in
each, and forwards nothing; two more namespaces are the machines of two peers. And a capture of all that the server's machine
sees."""
import os
import select
import socket
import subprocess
import sys
import threading

SERVER = {"left": "203.0.113.1", "right": "198.51.100.1"}  # of the server, in the network of each peer
PEER = {"left": "203.0.113.2", "right": "198.51.100.2"}
EVERY_PROTOCOL = 3  # ETH_P_ALL


def enter_namespace():
    """Goes on inside a new network namespace; called first thing. Everything made there is gone with it."""
    if os.environ.get("DIGNET_TEST_NAMESPACE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    environment = os.environ | {"DIGNET_TEST_NAMESPACE": "1"}
    os.execvpe("unshare", ["unshare", "--map-root-user", "--net", "--mount", sys.executable, *sys.argv], environment)


def run(*words):
    subprocess.run(words, check=True)


def make_networks():
    run("mount", "-t", "tmpfs", "tmpfs", "/run")  # `ip netns` keeps its names there
    for side in SERVER:
        run("ip", "netns", "add", side)
        run("ip", "-n", side, "link", "set", "lo", "up")
        run("ip", "link", "add", f"to-{side}", "type", "veth", "peer", "name", "uplink", "netns", side)
        run("ip", "address", "add", f"{SERVER[side]}/24", "dev", f"to-{side}")
        run("ip", "-n", side, "address", "add", f"{PEER[side]}/24", "dev", "uplink")
        run("ip", "link", "set", f"to-{side}", "up")
        run("ip", "-n", side, "link", "set", "uplink", "up")


def inside(side):
    return ("ip", "netns", "exec", side)


class Capture:
    """Every packet on every device of this namespace, while the block runs."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)  # as much as the system allows
        self.packets = []
        self.is_over = False
        self.thread = threading.Thread(target=self._read)

    def _read(self):
        while True:
            ready = select.select([self.socket], [], [], 0.2)[0]
            if ready:
                self.packets.append(self.socket.recv(65536))
            elif self.is_over:
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()
        dropped = int.from_bytes(self.socket.getsockopt(263, 6, 8)[4:8], sys.byteorder)  # SOL_PACKET, PACKET_STATISTICS
        self.socket.close()
        assert dropped == 0, f"{dropped} packets are missing in the capture"

    def bytes(self):
        return sum(map(len, self.packets))

    def holds(self, needle):
        return any(needle in packet for packet in self.packets)
