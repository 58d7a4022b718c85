#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a connection costs a bootstrap server that nobody asks anything: resident memory of the process, before and after
bench/idle_peers.cpp has connected so many peers, and with a record and a reservation for each. The kernel's buffers are not
in it.

usage: idle_bench.py [--peers 2000]
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("DIGNET_BIN_DIR", SOURCE / "build/release/bin"))
SETTLED = 20  # seconds: longer than any handshake and negotiation may take


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("no such process")


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(state, count):
    with tempfile.TemporaryDirectory(prefix="dignet-idle-") as home:
        server = subprocess.Popen([BIN / "dignet", "--home", home, "--json", "--log-level", "off", "bootstrap", "--listen",
                                   "/ip4/127.0.0.1/tcp/0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            ready = json.loads(server.stdout.readline())
            port = ready["addresses"][0].split("/")[4]
            reader = subprocess.Popen(["cat"], stdin=server.stdout, stdout=subprocess.DEVNULL)
            before = resident_kib(server.pid)
            peers = subprocess.Popen([BIN / "idle_peers", f"127.0.0.1:{port}", ready["peer_id"], str(count), state],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            started = cpu_of(server.pid)
            assert json.loads(peers.stdout.readline()) == {"peers": count}
            took = cpu_of(server.pid) - started
            time.sleep(SETTLED)
            idle = cpu_of(server.pid)
            time.sleep(SETTLED)
            idle = cpu_of(server.pid) - idle
            after = resident_kib(server.pid)
            peers.stdin.close()
            peers.wait()
        finally:
            server.terminate()
            server.wait()
            reader.wait()
    print(f"{state:10}  {count} peers: {(after - before) / count:.1f} KiB each ({before} KiB before, {after} KiB after), "
          f"{1000 * took / count:.2f} CPU ms to get there each, {100 * idle / SETTLED:.1f} % of a core while idle")


arguments = argparse.ArgumentParser()
arguments.add_argument("--peers", type=int, default=2000)
options = arguments.parse_args()
for what in ("connected", "registered"):
    measure(what, options.peers)
