#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A verified fetch of a store over loopback, against syncthing bringing a file of the same size, by turns in one run.

Both ends of either keep what they move in files, check it and encrypt it on the way. syncthing runs as two instances
that know each other's address, with everything that leaves the machine turned off. The receiver is new in each round; it
runs already and may connect from the moment the clock starts. The clock stops when its events say that the file is
complete; the rate of the transfer alone goes by the times in these events. `dignet get` is the whole command, from its
start to its end. CPU seconds are those of both processes over the same time. Everything runs in a network namespace in
which there is nothing but loopback.

usage: syncthing_bench.py [--mib 256] [--rounds 7]
"""
import argparse
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import fetch_bench

DEADLINE = 120  # seconds
KEY = "bench"
INSIDE = "DIGNET_BENCH_INSIDE"

CONFIG = """<configuration version="36">
  <folder id="bench" path="{folder}" type="{kind}" rescanIntervalS="0" fsWatcherEnabled="false">
    <device id="{own}"/><device id="{other}"/>
  </folder>
  <device id="{own}"><address>dynamic</address></device>
  <device id="{other}"><address>{other_address}</address><paused>{paused}</paused></device>
  <gui enabled="true" tls="false"><address>127.0.0.1:{api_port}</address><apikey>{key}</apikey></gui>
  <options>
    <listenAddress>tcp://127.0.0.1:{port}</listenAddress>
    <globalAnnounceEnabled>false</globalAnnounceEnabled>
    <localAnnounceEnabled>false</localAnnounceEnabled>
    <relaysEnabled>false</relaysEnabled>
    <natEnabled>false</natEnabled>
    <urAccepted>-1</urAccepted>
    <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
    <crashReportingEnabled>false</crashReportingEnabled>
    <startBrowser>false</startBrowser>
    <setLowPriority>false</setLowPriority>
  </options>
</configuration>
"""


def enter_empty_network():
    """Starts this program again in a network namespace of its own, and turns loopback on there."""
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--map-root-user", "--net", sys.executable, *sys.argv])
    with socket.socket() as any_socket:
        request = struct.pack("16sH14x", b"lo", 1)  # IFF_UP
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def file_sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Syncthing:
    """One instance with one folder, shared with one other."""

    def __init__(self, home, folder, kind, port):
        self.home, self.folder, self.kind, self.port = home, folder, kind, port
        self.process = None
        self.last_event = 0
        output = subprocess.run(["syncthing", "generate", f"--home={home}", "--no-default-folder",
                                 "--skip-port-probing"], check=True, capture_output=True, text=True, env=self.env())
        self.id = re.search(r"Device ID: (\S+)", output.stdout + output.stderr).group(1)

    def env(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "STNOUPGRADE": "1",
                "STMONITORED": "yes"}  # the instance itself, without a process that watches it

    def start(self, other, other_address, paused):
        """From nothing but its key: with an empty database, and the folder as it is."""
        for database in self.home.glob("index-*"):
            shutil.rmtree(database)
        (self.folder / ".stfolder").mkdir(parents=True, exist_ok=True)
        (self.home / "config.xml").write_text(CONFIG.format(
            folder=self.folder, kind=self.kind, own=self.id, other=other.id, other_address=other_address, paused=paused,
            api_port=self.port + 1, port=self.port, key=KEY))
        self.last_event = 0
        with open(self.home / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(["syncthing", "serve", f"--home={self.home}", "--no-browser"], stdout=log,
                                            stderr=log, env=self.env())
        end = time.monotonic() + DEADLINE
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"syncthing did not start: {(self.home / 'log').read_text()}")
            time.sleep(0.05)

    def call(self, path, method="GET", body=None, timeout=DEADLINE):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port + 1}/rest/{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"X-API-Key": KEY, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def is_up(self):
        try:
            return self.call("system/ping", timeout=5)["ping"] == "pong"
        except (urllib.error.URLError, OSError):
            return False

    def new_events(self, timeout):
        events = self.call(f"events?since={self.last_event}&timeout={timeout}&events=ItemStarted,ItemFinished") or []
        if events:
            self.last_event = events[-1]["id"]
        return events

    def wait_until_scanned(self, size):
        end = time.monotonic() + DEADLINE
        while (status := self.call("db/status?folder=bench"))["state"] != "idle" or status["localBytes"] != size:
            if time.monotonic() > end:
                sys.exit(f"syncthing did not read its folder: {status}")
            time.sleep(0.1)

    def cpu(self):
        return fetch_bench.cpu_of(self.process.pid)

    def peak(self):
        return fetch_bench.peak_kib(self.process.pid)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=DEADLINE)


def sync_once(sender, receiver, sha256):
    shutil.rmtree(receiver.folder, ignore_errors=True)
    receiver.start(sender, f"tcp://127.0.0.1:{sender.port}", paused="true")
    try:
        receiver.wait_until_scanned(0)
        receiver.new_events(timeout=0)  # only those after the first question are kept
        before = sender.cpu() + receiver.cpu()
        started = time.monotonic()
        receiver.call(f"config/devices/{sender.id}", "PATCH", {"paused": False})
        at = {}
        while "ItemFinished" not in at:
            events = receiver.new_events(timeout=DEADLINE)
            finished = time.monotonic()
            if not events:
                sys.exit(f"syncthing did not get there: {(receiver.home / 'log').read_text()}")
            for event in events:
                if event["data"].get("error") is not None:
                    sys.exit(f"syncthing failed: {event}")
                at[event["type"]] = datetime.datetime.fromisoformat(event["time"])
        cpu = sender.cpu() + receiver.cpu() - before
        if file_sha256(receiver.folder / "data.bin") != sha256:
            sys.exit("syncthing brought something else")
        return {"seconds": finished - started, "cpu_seconds": cpu, "peak_kib": receiver.peak(),
                "transfer_seconds": (at["ItemFinished"] - at["ItemStarted"]).total_seconds()}
    finally:
        receiver.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if shutil.which("syncthing") is None:
        sys.exit("syncthing is not installed: apt-get install syncthing, or ./dev bench")
    enter_empty_network()
    size = options.mib << 20
    fetches, syncs = [], []
    with tempfile.TemporaryDirectory(prefix="dignet-bench-") as name:
        scratch = pathlib.Path(name)
        sender = Syncthing(scratch / "sender", scratch / "sent", "sendonly", 22000)
        receiver = Syncthing(scratch / "receiver", scratch / "received", "receiveonly", 22010)
        holder = fetch_bench.Holder(scratch, size)
        try:
            sender.folder.mkdir()
            with open(sender.folder / "data.bin", "wb") as file:
                for _ in range(options.mib):
                    file.write(os.urandom(1 << 20))
            sha256 = file_sha256(sender.folder / "data.bin")
            sender.start(receiver, "dynamic", paused="false")
            sender.wait_until_scanned(size)
            for _ in range(options.rounds):
                syncs.append(sync_once(sender, receiver, sha256))
                fetches.append(fetch_bench.fetch_once(holder, scratch, with_hash=False))
        finally:
            holder.stop()
            sender.stop()
    median = fetch_bench.median
    fetch_rate, sync_rate = size / 1e6 / median(fetches, "wall"), size / 1e6 / median(syncs, "seconds")
    version = subprocess.run(["syncthing", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    print(json.dumps({
        "bench": "syncthing", "mib": options.mib, "rounds": options.rounds, "syncthing": version,
        "fetch_mb_s": round(fetch_rate), "syncthing_mb_s": round(sync_rate),
        "syncthing_transfer_mb_s": round(size / 1e6 / median(syncs, "transfer_seconds")),
        "fetch_over_syncthing": round(fetch_rate / sync_rate, 2),
        "fetch_cpu_s_per_gb": round(median(fetches, "cpu_seconds") / (size / 1e9), 2),
        "syncthing_cpu_s_per_gb": round(median(syncs, "cpu_seconds") / (size / 1e9), 2),
        "get_peak_mib": round(max(row["peak_kib"] for row in fetches) / 1024, 1),
        "syncthing_peak_mib": round(max(row["peak_kib"] for row in syncs) / 1024, 1)}))


if __name__ == "__main__":
    main()
