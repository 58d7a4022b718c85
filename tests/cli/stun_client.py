# SPDX-License-Identifier: Apache-2.0
"""A TURN client over UDP in a few lines, independent of the code under test: RFC 8489 with long-term credentials (MD5 and
MESSAGE-INTEGRITY), RFC 8656 as far as the tests of the command need it."""
import hashlib
import hmac
import os
import select
import socket
import struct
import time

COOKIE = 0x2112A442
BINDING, ALLOCATE, REFRESH, SEND, DATA, CREATE_PERMISSION = 0x001, 0x003, 0x004, 0x006, 0x007, 0x008
USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, LIFETIME, XOR_PEER_ADDRESS, DATA_ATTRIBUTE, REALM, NONCE = (
    0x0006, 0x0008, 0x0009, 0x000D, 0x0012, 0x0013, 0x0014, 0x0015)
REQUESTED_TRANSPORT, ICMP, ALTERNATE_SERVER = 0x0019, 0x8004, 0x8023
INDICATION = 0x010
REPEATS, REPEAT_AFTER = 20, 1.0  # over UDP a request or its answer may be lost
DEADLINE = 30  # seconds; only a broken server gets there


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def xor_address(host, port):
    address = struct.unpack("!I", socket.inet_aton(host))[0]
    return struct.pack("!BBHI", 0, 1, port ^ (COOKIE >> 16), address ^ COOKIE)


def from_xor_address(value):
    port, address = struct.unpack("!HI", value[2:8])
    return socket.inet_ntoa(struct.pack("!I", address ^ COOKIE)), port ^ (COOKIE >> 16)


class Message:
    def __init__(self, raw):
        self.kind, length, _ = struct.unpack("!HHI", raw[:8])
        self.transaction = raw[8:20]
        self.attributes = {}
        at = 20
        while at < 20 + length:
            kind, size = struct.unpack("!HH", raw[at:at + 4])
            self.attributes.setdefault(kind, raw[at + 4:at + 4 + size])
            at += 4 + size + -size % 4

    @property
    def error(self):
        """0 for a success."""
        value = self.attributes.get(ERROR_CODE)
        return value[2] * 100 + value[3] if value else 0


class TurnClient:
    def __init__(self, port, user="alice", password="secret", host="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE)
        self.socket.connect((host, port))
        self.user, self.password = user, password
        self.realm = self.nonce = b""

    def close(self):
        self.socket.close()

    def exchange(self, method, *attributes, signed=False):
        transaction = os.urandom(12)
        body = b"".join(attributes)
        if signed:
            body += (attribute(USERNAME, self.user.encode()) + attribute(REALM, self.realm) + attribute(NONCE, self.nonce))
            head = struct.pack("!HHI", method, len(body) + 24, COOKIE) + transaction
            key = hashlib.md5(b":".join([self.user.encode(), self.realm, self.password.encode()])).digest()
            body += attribute(MESSAGE_INTEGRITY, hmac.new(key, head + body, hashlib.sha1).digest())
        for _ in range(REPEATS):
            self.socket.send(struct.pack("!HHI", method, len(body), COOKIE) + transaction + body)
            end = time.monotonic() + REPEAT_AFTER
            while select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
                answer = Message(self.socket.recv(4096))
                if answer.transaction == transaction:
                    return answer
        raise TimeoutError("no answer")

    def request(self, method, *attributes):
        """With credentials; the realm and the nonce come from a challenge."""
        if not self.nonce:
            challenge = self.exchange(method, *attributes)
            assert challenge.error == 401, challenge.error
            self.realm, self.nonce = challenge.attributes[REALM], challenge.attributes[NONCE]
        return self.exchange(method, *attributes, signed=True)

    def allocate(self):
        return self.request(ALLOCATE, attribute(REQUESTED_TRANSPORT, b"\x11\0\0\0"))

    def refresh(self, lifetime):
        return self.request(REFRESH, attribute(LIFETIME, struct.pack("!I", lifetime)))

    def permit(self, host):
        return self.request(CREATE_PERMISSION, attribute(XOR_PEER_ADDRESS, xor_address(host, 0)))

    def send(self, host, port, data):
        body = attribute(XOR_PEER_ADDRESS, xor_address(host, port)) + attribute(DATA_ATTRIBUTE, data)
        self.socket.send(struct.pack("!HHI", SEND | INDICATION, len(body), COOKIE) + os.urandom(12) + body)

    def indication(self):
        """The next Data indication."""
        while True:
            message = Message(self.socket.recv(4096))
            if message.kind == DATA | INDICATION:
                return message
