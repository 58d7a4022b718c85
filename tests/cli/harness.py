# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command share: homes, runs with a deadline, a serving node, peers that misbehave."""
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

COMMAND = os.environ["DIGNET_COMMAND"]
DEADLINE = 90  # seconds; only a broken program gets there

# A well-formed PeerId that belongs to nobody here.
STRANGER = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf"

# Runs a command as an ordinary user without any capability, also when the tests run as root; what belongs to the user
# of the tests belongs to it. The network is its own: nothing is in it, and ports below 1024 are reserved there whatever
# the settings of this machine.
AS_ORDINARY_USER = ("unshare", "--map-user=1000", "--map-group=1000", "--net")


def environment(**more):
    """The environment without what could set the command."""
    settings = ("DIGNET_", "XDG_", "NO_COLOR", "COLUMNS", "HTTPS_PROXY", "NO_PROXY", "https_proxy", "no_proxy")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(settings)}
    clean["LC_ALL"] = "C.UTF-8"
    clean.update(more)
    return clean


class Result:
    def __init__(self, finished):
        self.code = finished.returncode
        self.out = finished.stdout.decode(errors="replace")
        self.err = finished.stderr.decode(errors="replace")

    def lines(self):
        """Every line of stdout as JSON: fails when one is not."""
        return [json.loads(line) for line in self.out.splitlines()]

    def last(self):
        return self.lines()[-1]

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


def run(*arguments, env=None, cwd=None, under=()):
    """Runs the command to its end; `under` is a command that runs it."""
    return Result(subprocess.run([*under, COMMAND, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                                 timeout=DEADLINE, env=environment(**(env or {})), cwd=cwd, check=False))


class Reader:
    """Lines of a pipe, each with a deadline."""

    def __init__(self, stream):
        self.stream = stream
        self.rest = b""
        os.set_blocking(stream.fileno(), False)

    def line(self):
        end = time.monotonic() + DEADLINE
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.stream], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"no line in time; so far {self.rest!r}")
            more = self.stream.read()
            if not more:
                return None
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def json(self):
        line = self.line()
        return None if line is None else json.loads(line)

    def json_until(self, wanted):
        """The first object for which wanted(object) holds."""
        while (value := self.json()) is not None:
            if wanted(value):
                return value
        raise EOFError("the output ended")


class Running:
    """A command that runs beside the test."""

    def __init__(self, *arguments, env=None, under=(), **popen):
        self.log = tempfile.TemporaryFile()
        popen.setdefault("stderr", self.log)
        self.process = subprocess.Popen([*under, COMMAND, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, env=environment(**(env or {})), **popen)
        self.output = Reader(self.process.stdout)

    def errors(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self):
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Silent:
    """A peer that accepts connections and never says anything."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.accepted = []

    def address(self, peer=STRANGER):
        return f"/ip4/127.0.0.1/tcp/{self.socket.getsockname()[1]}/p2p/{peer}"

    def accept(self):
        self.socket.settimeout(DEADLINE)
        self.accepted.append(self.socket.accept()[0])

    def close(self):
        for one in self.accepted:
            one.close()
        self.socket.close()


def flip_a_byte(path):
    """Damages a file as a bad disk would."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))


def make_certificate(folder, name):
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    fresh = [folder / "fresh.crt", folder / "fresh.key"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    fresh[1], "-out", fresh[0], "-days", "2", "-subj", f"/CN={name}"], check=True, capture_output=True)
    os.replace(fresh[1], key)
    os.replace(fresh[0], certificate)
    return certificate, key


class CommandTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="dignet-cli-"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)

    def home(self, name="home"):
        return self.root / name

    def folder(self, files=3, size=1000, seed=1):
        """A folder with deterministic content."""
        folder = self.root / f"content-{seed}-{size}"
        source = random.Random(seed)
        (folder / "sub").mkdir(parents=True)
        for number in range(files):
            where = folder / "sub" if number % 2 else folder
            (where / f"file{number}.bin").write_bytes(source.randbytes(size))
        (folder / "hello.txt").write_text("hello\n")
        return folder

    def ok(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.code, 0, result)
        return result

    def added(self, home, path, *flags):
        return self.ok("--home", home, "--json", "add", path, *flags).last()

    def serve(self, home, *flags, env=None):
        """A serving node and its ready line."""
        node = Running("--home", home, "--json", "serve", "--listen", "/ip4/127.0.0.1/tcp/0", *flags, env=env)
        self.addCleanup(node.close)
        ready = node.output.json()
        self.assertIsNotNone(ready, node.errors())
        self.assertEqual(ready.get("event"), "ready", ready)
        return node, ready

    def silent(self):
        peer = Silent()
        self.addCleanup(peer.close)
        return peer

    def closed_port(self):
        """A port of this machine on which nobody listens."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            return taken.getsockname()[1]

    def assert_error(self, result, code, exit_code):
        self.assertEqual(result.code, exit_code, result)
        last = result.last()
        self.assertIs(last["ok"], False, result)
        self.assertEqual(last["code"], code, result)
        self.assertTrue(last["detail"], result)
        self.assertTrue(last["hint"], result)
        return last
