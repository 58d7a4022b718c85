# SPDX-License-Identifier: Apache-2.0
"""As much of a STUN and TURN client (RFC 8489, RFC 8656) over UDP as the tests need that send what no real client would."""
import hashlib
import hmac
import os
import socket
import struct

COOKIE = 0x2112A442
BINDING, ALLOCATE, REFRESH = 0x0001, 0x0003, 0x0004
USERNAME, INTEGRITY, ERROR_CODE, LIFETIME, REALM, NONCE, TRANSPORT = 0x06, 0x08, 0x09, 0x0D, 0x14, 0x15, 0x19
UDP = b"\x11\0\0\0"
REPEATS, WAIT = 7, 0.5  # RFC 8489 section 6.2.1: a request that is not answered is sent again, seven times in all


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(kind, attributes=b"", transaction=None, key=None):
    transaction = transaction or os.urandom(12)
    if key is None:
        return struct.pack("!HHI", kind, len(attributes), COOKIE) + transaction + attributes
    # RFC 8489 section 14.5: the length counts the integrity attribute, the bytes do not.
    covered = struct.pack("!HHI", kind, len(attributes) + 24, COOKIE) + transaction + attributes
    return covered + attribute(INTEGRITY, hmac.new(key, covered, hashlib.sha1).digest())


def attributes_of(answer):
    found, at = {}, 20
    while at < len(answer):
        kind, size = struct.unpack_from("!HH", answer, at)
        found.setdefault(kind, answer[at + 4:at + 4 + size])
        at += 4 + (size + 3) // 4 * 4
    return found


class Client:
    """One user at one address."""

    def __init__(self, server, user, password, address="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.connect(server)
        self.socket.settimeout(WAIT)
        self.user, self.password = user, password
        self.realm = self.nonce = b""

    def close(self):
        self.socket.close()

    def exchange(self, request):
        """The answer: its error code, or 0, and its attributes."""
        for _ in range(REPEATS):
            self.socket.send(request)
            try:
                while (answer := self.socket.recv(2048))[8:20] != request[8:20]:
                    pass
            except TimeoutError:
                continue
            found = attributes_of(answer)
            code = found.get(ERROR_CODE)
            return (0 if code is None else code[2] * 100 + code[3]), found
        raise TimeoutError("no answer")

    def request(self, kind, attributes):
        """With credentials; what the server says of realm and nonce is learnt and answered, once."""
        for _ in range(2):
            key = hashlib.md5(b":".join((self.user.encode(), self.realm, self.password.encode()))).digest()
            credentials = attribute(USERNAME, self.user.encode()) + attribute(REALM, self.realm) + \
                attribute(NONCE, self.nonce)
            has_nonce = bool(self.nonce)
            code, found = self.exchange(message(kind, attributes + credentials * has_nonce, key=key if has_nonce else None))
            if code not in (401, 438) or NONCE not in found:
                break
            self.realm, self.nonce = found[REALM], found[NONCE]
        return code, found

    def allocate(self):
        return self.request(ALLOCATE, attribute(TRANSPORT, UDP))[0]

    def release(self):
        return self.request(REFRESH, attribute(LIFETIME, bytes(4)))[0]
