# SPDX-License-Identifier: Apache-2.0
"""A home behind a NAT, for clients whose own address must differ from the one that servers see: the namespace of the test
is the Internet, and two more are the router and the home."""
import subprocess

SERVER, ROUTER = "203.0.113.1", "203.0.113.2"
HOME, HOME_GATEWAY = "192.168.7.2", "192.168.7.1"
MASQUERADE = """table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "outside" masquerade
  }
}
"""
IN_HOME = ("ip", "netns", "exec", "home")
IN_ROUTER = ("ip", "netns", "exec", "router")


def make_home():
    """Everything is gone with the namespace of the test."""
    def run(*words, **more):
        subprocess.run(words, check=True, **more)

    run("mount", "-t", "tmpfs", "tmpfs", "/run")  # `ip netns` keeps its names there
    for namespace in ("router", "home"):
        run("ip", "netns", "add", namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
    run("ip", "link", "add", "internet", "type", "veth", "peer", "name", "outside", "netns", "router")
    run("ip", "-n", "router", "link", "add", "inside", "type", "veth", "peer", "name", "uplink", "netns", "home")
    for namespace, device, address in ((None, "internet", SERVER), ("router", "outside", ROUTER),
                                       ("router", "inside", HOME_GATEWAY), ("home", "uplink", HOME)):
        where = ("-n", namespace) if namespace else ()
        run("ip", *where, "address", "add", f"{address}/24", "dev", device)
        run("ip", *where, "link", "set", device, "up")
    run("ip", "-n", "home", "route", "add", "default", "via", HOME_GATEWAY)
    run(*IN_ROUTER, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    run(*IN_ROUTER, "nft", "-f", "-", input=MASQUERADE, text=True)
