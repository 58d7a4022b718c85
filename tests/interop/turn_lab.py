# SPDX-License-Identifier: Apache-2.0
"""TURN servers and coturn's tools in a network namespace of their own: the test runs itself again inside one, so that
nothing it does meets the machine's network and every port is free."""
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

DEADLINE = 60  # seconds; only a broken program gets there
COMMAND = os.environ["DIGNET_COMMAND"]
USER, PASSWORD, REALM = "user", "pass", "example.org"
# All on the loopback interface of the namespace. Ours and coturn's servers have addresses of their own, so that both
# may use every port.
OURS, OURS_TOO, THEIRS, THEIRS_TOO, PEER = "127.0.0.5", "127.0.0.6", "127.0.0.7", "127.0.0.8", "127.0.0.9"
OURS_6, THEIRS_6, PEER_6 = "fd00::1", "fd00::3", "fd00::9"


def enter_namespace():
    """Goes on inside a new network namespace; called first thing."""
    if os.environ.get("DIGNET_TEST_NAMESPACE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for address in (OURS_6, THEIRS_6, PEER_6):
            subprocess.run(["ip", "-6", "address", "add", f"{address}/128", "dev", "lo", "nodad"], check=True)
        return
    environment = os.environ | {"DIGNET_TEST_NAMESPACE": "1"}
    os.execvpe("unshare", ["unshare", "--map-root-user", "--net", "--mount", sys.executable, *sys.argv], environment)


class Program:
    """A server that runs while the block does, and its output."""

    def __init__(self, *command, ready=None):
        self.log = tempfile.TemporaryFile()
        self.said = None
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE if ready else self.log, stderr=self.log)
        self.first_line = self._read_line() if ready else None

    def _read_line(self):
        end = time.monotonic() + DEADLINE
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(self.output())
            piece = os.read(self.process.stdout.fileno(), 1)
            if not piece:
                raise RuntimeError(f"ended with {self.process.wait()}: {self.output()}")
            line += piece
        return line.decode()

    def output(self):
        if self.said is None:
            self.log.seek(0)
            return self.log.read().decode(errors="replace")
        return self.said

    def resident_kilobytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said = self.output()
        self.log.close()
        if self.process.stdout:
            self.process.stdout.close()


def dignet_turn(home, *flags):
    """Our server, ready. It may relay to the addresses of the lab."""
    listen = [] if "--listen" in flags else ["--listen", f"{OURS}:3478", "--listen", f"[{OURS_6}]:3478"]
    program = Program(COMMAND, "--home", home, "--json", "turn", *listen, "--realm", REALM, "--allow-peer",
                      "127.0.0.0/8", "--allow-peer", "fd00::/8", "--drain", "0", *flags, ready=True)
    program.ready = json.loads(program.first_line)
    if program.ready.get("event") != "ready":
        program.__exit__()
        raise RuntimeError(program.output())
    return program


def turnserver(folder, *flags, address, port, under=()):
    """Debian's coturn without any file but those in the folder, answering; `under` is a command that runs it."""
    program = Program(*under, "turnserver", "-n", "-c", "/dev/null", "--no-cli", "-L", address, "-E", address, "-p", port,
                      "--no-stdout-log", "-l", f"{folder}/log", "--pidfile", f"{folder}/pid", "--db", f"{folder}/db", *flags)
    wait_until_it_answers(program, address, port)
    return program


def coturn(folder, *flags, address=THEIRS):
    """Debian's coturn as the server beside ours: both IP versions, and it relays to this lab."""
    return turnserver(folder, "-L", THEIRS_6, "-E", THEIRS_6, "-r", REALM, "--allow-loopback-peers", *flags,
                      address=address, port=3478)


def name_hosts(folder, hosts):
    """Names that this namespace knows: {name: address}, in a hosts file that only this test and its children see."""
    file = folder / "hosts"
    file.write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))
    subprocess.run(["mount", "--bind", file, "/etc/hosts"], check=True)
    for address in set(hosts.values()):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)


def make_certificate(folder, *others, name="turn.example.org"):
    """A self-signed certificate for the name and other names and addresses, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = ",".join([f"DNS:{name}", *(f"IP:{other}" if other[0].isdigit() else f"DNS:{other}" for other in others)])
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}", "-addext",
                    f"subjectAltName={names}"], check=True, capture_output=True)
    return certificate, key


class BothServers(contextlib.ExitStack):
    """Ours, with the flags, and Debian's coturn, with the same user, realm and certificate; all transports on one port
    each. And the peers that send back what they get."""

    def __init__(self, *flags):
        super().__init__()
        with contextlib.ExitStack() as undo:
            undo.push(self)
            self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="dignet-turn-lab-")))
            self.certificate, key = make_certificate(self.folder, OURS, THEIRS)
            self.ours = self.enter_context(dignet_turn(
                self.folder / "home", "--user", f"{USER}:{PASSWORD}", "--tls-cert", self.certificate, "--tls-key", key,
                *flags))
            self.theirs = self.enter_context(coturn(
                self.folder, "-a", "-u", f"{USER}:{PASSWORD}", "--cert", self.certificate, "--pkey", key,
                "--tls-listening-port", "3478"))
            self.enter_context(echo_peers())
            undo.pop_all()


@contextlib.contextmanager
def echo_peers():
    with Program("turnutils_peer", "-L", PEER, "-p", "3480"), Program("turnutils_peer", "-L", PEER_6, "-p", "3480"):
        yield


def wait_until_it_answers(program, address, port):
    """A server tells of its readiness by answering a Binding request (RFC 8489): type, length, cookie, id."""
    request = bytes.fromhex("000100002112a442") + os.urandom(12)
    end = time.monotonic() + DEADLINE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.1)
        asking.connect((address, port))
        while time.monotonic() < end and program.process.poll() is None:
            try:
                asking.send(request)
                if asking.recv(2048)[8:20] == request[8:]:
                    return
            except (TimeoutError, ConnectionRefusedError):
                continue
    program.__exit__()
    raise TimeoutError(f"{address}: {program.output()}")


def wait_until_it_listens(program, address, port):
    """A TCP server is ready when it takes a connection."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end and program.process.poll() is None:
        try:
            return socket.create_connection((address, port), 1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
    program.__exit__()
    raise TimeoutError(f"{address}: {program.output()}")


def tool(name, *arguments, limit=DEADLINE):
    """Runs one of coturn's tools: (exit code, everything it said). At its limit it is ended, with the code None."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([name, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
        log.seek(0)
        return code, log.read().decode(errors="replace")
