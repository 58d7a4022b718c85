#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two bootstrap servers that share 100,000 records through one redis-server which has every change on its disk before it
answers. The records are registered over real connections by bench/directory_load.cpp; then

  empty    Redis is killed and comes back with nothing: how long until registrations are acknowledged as replicated again,
           and until Redis has every record again
  fresh    a third server with nothing on its disk: how long until it has every record
  killed   one of the servers is killed and comes back: how long until it answers, and knows every record

while look-ups go on at each server and registrations of others at the first two. Wall clock from the moment the killed
process is started again; CPU time of each process until all is quiet again.

usage: sharing_bench.py [--records 100000] [--rounds 3] [--look-ups 100] [--registrations 50]
                        [--only empty,fresh,killed] [--homes DIR]
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("DIGNET_BIN_DIR", SOURCE / "build/release/bin"))
PATIENCE = 300  # seconds
STEP = 0.05
QUIET = 0.5     # of a core, all servers together: what the look-ups and registrations take
SEED = 1


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_until(holds, what):
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(STEP)


class Lines:
    """The lines of JSON that a process prints, with the time at which each was read."""

    def __init__(self, stream):
        self.seen = []
        self.thread = threading.Thread(target=self.read, args=(stream,), daemon=True)
        self.thread.start()

    def read(self, stream):
        for line in stream:
            self.seen.append((time.monotonic(), json.loads(line)))

    def since(self, start, **wanted):
        return [(at, line) for at, line in list(self.seen)
                if at >= start and all(line.get(key) == value for key, value in wanted.items())]


class Process:
    def __init__(self):
        self.process = None

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def waited(self):
        """How long its busiest thread has waited for a core that others had (Documentation/scheduler/sched-stats.rst)."""
        threads = [tuple(map(int, (thread / "schedstat").read_text().split()))
                   for thread in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()]
        return max(threads)[1] / 1e9

    def used(self):
        return self.cpu(), self.waited()

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None


class Redis(Process):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.port = free_port()
        self.start()

    def start(self):
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder),
             "--appendonly", "yes", "--appendfsync", "always", "--logfile", ""],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def lose_everything(self):
        shutil.rmtree(self.folder)

    def keys(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"DBSIZE\r\n")
                answer = connection.recv(64)
        except OSError:
            return 0
        return int(answer[1:]) if answer.startswith(b":") else 0


class Bootstrap(Process):
    def __init__(self, home, redis):
        super().__init__()
        self.home = home
        self.redis = redis
        self.port = free_port()
        self.lines = None
        self.address = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BIN / "dignet", "--home", self.home, "--json", "--log-level", "off", "bootstrap", "--listen",
             f"/ip4/127.0.0.1/tcp/{self.port}", "--redis", f"redis://127.0.0.1:{self.redis.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.lines = Lines(self.process.stdout)

    def wait_ready(self):
        wait_until(lambda: self.lines.since(0, event="ready"), "a server is not ready")
        at, ready = self.lines.since(0, event="ready")[0]
        self.address = ready["addresses"][0]
        return at

    def shared_at(self, start):
        """When it said for the last time that it shares the directory, unless it has lost it again."""
        told = self.lines.since(start, event="directory_sharing")
        return told[-1][0] if told and told[-1][1]["state"] == "up" else None

    def records(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status.json", timeout=5) as answer:
                return json.load(answer)["directory"]["records"]
        except OSError:
            return 0


class Probe:
    """Look-ups and registrations that go on beside what is measured."""

    def __init__(self, servers):
        self.process = subprocess.Popen(
            [BIN / "directory_load", "probe", str(SEED), str(options.records), str(options.look_ups),
             str(options.registrations), *(server.address for server in servers)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = Lines(self.process.stdout)

    def answers(self, start, end, **wanted):
        return [line for _, line in self.lines.since(0, **wanted) if start <= line["at"] <= end]

    def end(self):
        self.process.stdin.close()
        self.lines.thread.join()
        self.process.wait()


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


def describe_look_ups(probe, start, end, servers):
    texts = []
    for number, name in servers.items():
        answers = probe.answers(start, end, kind="look-up", server=number)
        times = [line["ms"] for line in answers if line["ok"]]
        texts.append(f"{name}: {len(times)} of {len(answers)}, p50 {percentile(times, 0.5):.1f}, p99 "
                     f"{percentile(times, 0.99):.1f}, max {max(times, default=float('nan')):.1f} ms")
    return "look-ups answered by " + "; ".join(texts)


def describe_cpu(before, processes):
    texts = []
    for name, process in processes.items():
        cpu, waited = (now - then for now, then in zip(process.used(), before.get(name, (0, 0))))
        texts.append(f"{name} {cpu:.1f} ({waited:.1f})")
    return ", ".join(texts) + " CPU s (and waited for a core)"


def wait_quiet(processes):
    """Until a second in which they do next to nothing; when that second began."""
    end = time.monotonic() + PATIENCE
    while True:
        before, began = sum(one.cpu() for one in processes.values()), time.monotonic()
        time.sleep(1)
        if sum(one.cpu() for one in processes.values()) - before < QUIET:
            return began
        if time.monotonic() > end:
            raise TimeoutError("never quiet")


def replicated_from(probe, start, end):
    """From when on every registration was acknowledged as replicated, and how many before were not."""
    answers = sorted(probe.answers(start, end, kind="registration"), key=lambda line: line["at"] + line["ms"] / 1000)
    last_bad = max((i for i, line in enumerate(answers) if not (line["ok"] and line["replicated"])), default=-1)
    if last_bad + 1 == len(answers):
        return float("nan"), len(answers)
    good = answers[last_bad + 1]
    return good["at"] + good["ms"] / 1000 - start, sum(not line.get("replicated") for line in answers)


class Bench:
    def __init__(self, root):
        self.root = root
        self.is_fed = options.homes is not None and options.homes.exists()
        if self.is_fed:
            shutil.copytree(options.homes, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        self.redis = Redis(root / "redis")
        self.one = Bootstrap(root / "one", self.redis)
        self.two = Bootstrap(root / "two", self.redis)
        self.results = {}
        for server in (self.one, self.two):
            server.wait_ready()
        self.processes = {"one": self.one, "two": self.two, "Redis": self.redis}

    def note(self, what, seconds):
        self.results.setdefault(what, []).append(seconds)
        return f"{what} after {seconds:.1f} s"

    def feed(self):
        before = {name: process.used() for name, process in self.processes.items()}
        started = time.monotonic()
        load = subprocess.run([BIN / "directory_load", "feed", str(SEED), str(options.records), "48", self.one.address,
                               self.two.address], stdout=subprocess.PIPE, text=True, check=True)
        took = time.monotonic() - started
        fed = json.loads(load.stdout)
        wait_until(lambda: self.redis.keys() >= options.records + 2, "Redis does not have all")
        everywhere = self.wait_records([self.one, self.two], started)
        print(f"feed: {fed['registered']} registered, {fed['replicated']} of them acknowledged as replicated, in {took:.1f} s "
              f"({fed['registered'] / took:.0f} a second), at both servers after {everywhere:.1f} s; "
              f"{describe_cpu(before, self.processes)}", flush=True)

    def wait_records(self, servers, started):
        wait_until(lambda: all(server.records() >= options.records for server in servers), "records are missing")
        return time.monotonic() - started

    def empty(self, _):
        probe = Probe([self.one, self.two])
        time.sleep(2)
        self.redis.kill()
        time.sleep(1)
        self.redis.lose_everything()
        before = {name: process.used() for name, process in self.processes.items() if process is not self.redis}
        started = time.monotonic()
        self.redis.start()
        wait_until(lambda: self.redis.keys() >= options.records + 2, "Redis is not filled")
        full = self.note("empty: Redis has every record", time.monotonic() - started)
        wait_until(lambda: all(server.shared_at(started) for server in (self.one, self.two)), "nothing is shared")
        shared = self.note("empty: both servers say so",
                           max(server.shared_at(started) for server in (self.one, self.two)) - started)
        healed = time.monotonic()
        cpu = describe_cpu(before, self.processes)
        quiet = self.note("empty: quiet", wait_quiet(self.processes) - started)
        probe.end()
        took, lost = replicated_from(probe, started, healed)
        self.note("empty: every registration is replicated", took)
        print(f"{full}; {shared}; {quiet}; every registration replicated from {took:.1f} s on, {lost} before were not; {cpu}; "
              f"{describe_look_ups(probe, started, healed, {0: 'one', 1: 'two'})}", flush=True)

    def fresh(self, number):
        home = self.root / f"fresh{number}"
        before = {name: process.used() for name, process in self.processes.items()}
        started = time.monotonic()
        third = Bootstrap(home, self.redis)
        processes = {**self.processes, "fresh": third}
        try:
            third.wait_ready()
            probe = Probe([self.one, self.two, third])
            known = self.note("fresh: knows every record", self.wait_records([third], started))
            wait_until(lambda: third.shared_at(started), "nothing is shared")
            shared = self.note("fresh: says so", third.shared_at(started) - started)
            healed = time.monotonic()
            cpu = describe_cpu(before, processes)
            quiet = self.note("fresh: quiet", wait_quiet(processes) - started)
            probe.end()
            print(f"{known}; {shared}; {quiet}; {cpu}; "
                  f"{describe_look_ups(probe, started, healed, {0: 'one', 1: 'two', 2: 'fresh'})}", flush=True)
        finally:
            third.kill()
            shutil.rmtree(home)

    def killed(self, _):
        self.one.kill()
        before = {"two": self.two.used(), "Redis": self.redis.used()}
        started = time.monotonic()
        self.one.start()
        ready = self.note("killed: answers", self.one.wait_ready() - started)
        probe = Probe([self.one, self.two])
        known = self.note("killed: knows every record", self.wait_records([self.one], started))
        wait_until(lambda: self.one.shared_at(started), "nothing is shared")
        shared = self.note("killed: says so", self.one.shared_at(started) - started)
        healed = time.monotonic()
        cpu = describe_cpu(before, self.processes)
        quiet = self.note("killed: quiet", wait_quiet(self.processes) - started)
        probe.end()
        found = probe.answers(started, healed, kind="look-up", server=0)
        print(f"{ready}; {known}, {sum(line.get('found', False) for line in found)} of {len(found)} look-ups found theirs; "
              f"{shared}; {quiet}; {cpu}; {describe_look_ups(probe, started, healed, {0: 'one', 1: 'two'})}", flush=True)

    def keep(self):
        """The homes, for runs within the next hour: the records live no longer."""
        for server in (self.one, self.two):
            server.process.terminate()
            server.process.wait()
            shutil.copytree(server.home, options.homes / server.home.name, ignore=shutil.ignore_patterns("*.sock"))
            server.start()
            server.wait_ready()

    def run(self):
        if self.is_fed:
            wait_until(lambda: self.redis.keys() >= options.records + 2, "Redis is not filled")
        else:
            self.feed()
            if options.homes is not None:
                self.keep()
        wait_quiet(self.processes)
        for what in options.only.split(","):
            for number in range(options.rounds):
                {"empty": self.empty, "fresh": self.fresh, "killed": self.killed}[what](number)
        for what, seconds in self.results.items():
            print(f"median of {len(seconds)}: {what} after {statistics.median(seconds):.1f} s")

    def close(self):
        for process in self.processes.values():
            process.kill()


arguments = argparse.ArgumentParser()
arguments.add_argument("--records", type=int, default=100_000)
arguments.add_argument("--rounds", type=int, default=3)
arguments.add_argument("--look-ups", type=int, default=100, help="a second, at each server")
arguments.add_argument("--registrations", type=int, default=50, help="a second")
arguments.add_argument("--only", default="empty,fresh,killed", help="of empty, fresh and killed")
arguments.add_argument("--homes", type=pathlib.Path, help="keeps the homes of the servers there, or begins with them")
options = arguments.parse_args()
with tempfile.TemporaryDirectory(prefix="dignet-sharing-") as folder:
    bench = Bench(pathlib.Path(folder))
    try:
        bench.run()
    finally:
        bench.close()
