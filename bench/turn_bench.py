#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our TURN server against Debian's coturn in one run: CPU nanoseconds per relayed packet, counted at the far end, memory
per idle allocation, and how long a datagram takes from the client to the far end. Beside them a relay that does nothing
but a blocking recvfrom and sendto (bench/bare_relay.cpp).

All of them run on one core, with one thread that relays; the load comes from bench/turn_load.cpp on the other core. They
take turns; medians over the rounds are printed. CPU time is the process's, from the kernel's accounts, over the packets
that arrived. Everything runs in a network namespace in which there is nothing but loopback.

usage: turn_bench.py [--rounds 5] [--seconds 2] [--allocations 10000]
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

import fetch_bench

SOURCE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE / "tests/interop"))
os.environ.setdefault("DIGNET_COMMAND", str(fetch_bench.DIGNET))
import turn_lab  # noqa: E402

LOAD = fetch_bench.BIN / "turn_load"
BARE, BARE_SINK_PORT = "127.0.0.10", 4000
SERVERS = {"ours": turn_lab.OURS, "coturn": turn_lab.THEIRS, "bare": BARE}
# name: flags of the load
LOADS = {
    "one flow, saturated, 100 B": ["--size", "100"],
    "one flow, saturated, 1200 B": ["--size", "1200"],
    "100 client pairs, 1200 B": ["--size", "1200", "--clients", "100", "--pairs", "1", "--burst", "1"],
    "paced at 20 kpps, 1200 B": ["--size", "1200", "--burst", "1", "--pps", "20000"],
    "bursts of 16 by UDP_SEGMENT, 1200 B": ["--size", "1200", "--burst", "16", "--gso", "1"],
    "bursts of 16 by sendmmsg, 1200 B": ["--size", "1200", "--burst", "16"],
}
# One datagram in flight at a time.
LATENCIES = {
    "latency, one after another, 1200 B": [],
    "latency, 1000 a second, 1200 B": ["--pps", "1000"],
}


def cpu_nanoseconds(pid):
    """What /proc/PID/stat tells in hundredths of a second."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def pin(process, core):
    for task in os.listdir(f"/proc/{process.pid}/task"):
        os.sched_setaffinity(int(task), {core})


def load(server, *flags):
    return subprocess.Popen([LOAD, f"{server}:3478", turn_lab.USER, turn_lab.PASSWORD, *flags], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)


def run_load(program, server, flags):
    """What the load counted, and the CPU nanoseconds of the server meanwhile."""
    bare = ["--bare", str(BARE_SINK_PORT)] if server == BARE else []
    generator = load(server, *flags, *bare)
    if not generator.stdout.readline():
        sys.exit(f"no load on {server}")
    pin(generator, 1)
    before = cpu_nanoseconds(program.process.pid)
    generator.stdin.write("\n")
    generator.stdin.flush()
    result = json.loads(generator.stdout.readline())
    cpu = cpu_nanoseconds(program.process.pid) - before
    generator.communicate()
    return result, cpu


def measure(program, server, flags, seconds):
    """CPU nanoseconds per packet that arrived, packets a second, and the share that was lost."""
    result, cpu = run_load(program, server, [*flags, "--seconds", str(seconds)])
    arrived = max(1, result["arrived"])
    return cpu / arrived, arrived / seconds, 1 - arrived / max(1, result["sent"])


def measure_latency(program, server, flags, seconds):
    """Microseconds from the client to the sink: of half of the datagrams, and of 99 in 100, at most."""
    result, _ = run_load(program, server, [*flags, "--latency", "1", "--seconds", str(seconds)])
    return result["p50"] / 1000, result["p99"] / 1000


def by_turns(programs, rounds, measure_one):
    """The median of each figure, by program."""
    results = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            results[name].append(measure_one(program, SERVERS[name]))
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in results.items()}


def memory_per_allocation(program, server, count):
    before = program.resident_kilobytes()
    generator = load(server, "--clients", str(count), "--hold", "1")
    if not generator.stdout.readline():
        sys.exit(f"no allocations on {server}")
    grown = program.resident_kilobytes() - before
    generator.communicate("\n")
    return grown / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--allocations", type=int, default=10_000)
    arguments = parser.parse_args()
    turn_lab.enter_namespace()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as folder:
        user = f"{turn_lab.USER}:{turn_lab.PASSWORD}"
        os.mkdir(f"{folder}/theirs")
        most = str(arguments.allocations + 300 * arguments.rounds)  # each load leaves its own behind
        with turn_lab.dignet_turn(f"{folder}/home", "--user", user, "--user-quota", most, "--source-quota", most) as ours, \
                turn_lab.coturn(f"{folder}/theirs", "-a", "-u", user, "-m", "1", "--no-tls", "--no-dtls") as theirs:
            programs = {"ours": ours, "coturn": theirs}
            for name, program in programs.items():
                kilobytes = memory_per_allocation(program, SERVERS[name], arguments.allocations)
                print(f"memory of an idle allocation, {arguments.allocations} of them: {name} {kilobytes:.2f} KiB")
            with turn_lab.Program(fetch_bench.BIN / "bare_relay", f"{BARE}:3478", f"{BARE}:{BARE_SINK_PORT}",
                                  ready=True) as bare:
                compare(programs | {"bare": bare}, arguments.rounds, arguments.seconds)


def compare(programs, rounds, seconds):
    for program in programs.values():
        pin(program.process, 0)
    for title, flags in LOADS.items():
        able = {name: program for name, program in programs.items() if name != "bare" or "--pairs" not in flags}
        middle = by_turns(able, rounds, lambda program, server: measure(program, server, flags, seconds))
        print(f"{title}: " + ", ".join(
            f"{name} {cpu:.0f} ns a packet at {rate / 1000:.0f} kpps ({lost:.0%} lost)"
            for name, (cpu, rate, lost) in middle.items()) + f"; ratio {middle['ours'][0] / middle['coturn'][0]:.2f}")
    for title, flags in LATENCIES.items():
        middle = by_turns(programs, rounds, lambda program, server: measure_latency(program, server, flags, seconds))
        print(f"{title}: " + ", ".join(f"{name} p50 {half:.1f} us, p99 {most:.1f} us"
                                       for name, (half, most) in middle.items()))


if __name__ == "__main__":
    main()
