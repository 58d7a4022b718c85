#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the first corpus of the fuzz targets autonat_message, dial_back_order, autonat_server, autonat_client and
reachability_prober into fuzz/corpus/."""
import pathlib
import struct

ROOT = pathlib.Path(__file__).parent / "corpus"


def put(target, name, content):
    folder = ROOT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def uvarint(number):
    out = b""
    while number > 127:
        out += bytes([number % 128 + 128])
        number //= 128
    return out + bytes([number])


def field(number, content):
    return uvarint(number * 8 + 2) + uvarint(len(content)) + content


def number(tag, value):
    return uvarint(tag * 8) + uvarint(value)


def fixed(tag, value):
    return uvarint(tag * 8 + 1) + struct.pack("<Q", value)


def framed(message):
    return uvarint(len(message)) + message


def tcp4(*octets, port=4001):
    return b"\x04" + bytes(octets) + b"\x06" + struct.pack(">H", port)


TCP6 = b"\x29" + bytes.fromhex("2a000000000000000000000000000008") + b"\x06\x0f\xa1"
PEER = bytes.fromhex("002408011220") + bytes(32)
SEEN, ELSEWHERE, PRIVATE = tcp4(8, 8, 8, 8), tcp4(9, 9, 9, 9), tcp4(10, 0, 0, 1)


def request(*addresses, nonce=77):
    return field(1, b"".join(field(1, address) for address in addresses) + fixed(2, nonce))


def response(status, index=0, dial=0):
    parts = [number(tag, value) for tag, value in ((1, status), (2, index), (3, dial)) if value]
    return field(2, b"".join(parts))


def data_request(index, size):
    return field(3, number(1, index) + number(2, size))


def data(size):
    return field(4, field(1, bytes(size)))


MESSAGES = {
    "request": request(SEEN, TCP6), "request_empty": field(1, b""), "request_50": request(*[SEEN] * 50),
    "request_51": request(*[SEEN] * 51), "request_strange": request(b"", b"\x84\x01", b"\x04\x01", SEEN),
    "request_peer": request(SEEN + b"\xa5\x03" + uvarint(len(PEER)) + PEER), "request_long": request(bytes(1025)),
    "response_ok": response(200, 1, 200), "response_error": response(200, 0, 100), "response_refused": response(101),
    "response_rejected": response(100), "response_internal": response(0), "response_back_error": response(200, 0, 101),
    "response_unknown_status": response(1), "response_unknown_dial": response(200, 0, 7),
    "response_negative": field(2, b"\x08" + b"\xff" * 9 + b"\x01"), "data_request": data_request(1, 30_000),
    "data_request_huge": data_request(0, 2**64 - 1), "data": data(100), "data_4096": data(4096),
    "data_4097": data(4097), "oversized": data(8190), "two_kinds": request(SEEN) + response(200, 0, 200),
    "unknown_kind": field(5, b"x"), "cut": request(SEEN)[:-3], "length_beyond_end": b"\x0a\x7f\x0a", "empty": b"",
    "dial_back": fixed(1, 77), "dial_back_zero": fixed(1, 0), "dial_back_response": number(1, 0),
    "dial_back_response_unknown": number(1, 1),
}

ORDERS = {
    "order": field(1, PEER) + field(2, SEEN) + fixed(3, 77), "no_peer": field(2, SEEN) + fixed(3, 77),
    "no_address": field(1, PEER) + fixed(3, 77), "no_nonce": field(1, PEER) + field(2, SEEN),
    "bad_peer": field(1, PEER[:-1]) + field(2, SEEN) + fixed(3, 77), "private": field(1, PEER) + field(2, PRIVATE)
    + fixed(3, 77), "long_address": field(1, PEER) + field(2, bytes(1025)) + fixed(3, 77),
    "oversized": field(1, PEER) + field(2, bytes(2048)), "not_tried": number(1, 0), "dialled_back": number(1, 1),
    "not_connected": number(1, 2), "not_delivered": number(1, 3), "unknown_outcome": number(1, 4), "empty": b"",
}


# Operations of autonat_server: 0 some bytes of the stream, 3 a piece of dial data (its size / 16), 4 the result of the
# dial, 5 take output, 6 time passes, 207 the stream ends.
def given(stream):
    out = b""
    while stream:
        piece, stream = stream[:255], stream[255:]
        out += b"\x00" + bytes([len(piece)]) + piece
    return out


TAKE, DIALLED, NOT_CONNECTED, NOT_TRIED, WAIT, END = b"\xfd" * 3, b"\x0c", b"\x14", b"\x04", b"\xfe" * 8, b"\xcf"
PAY = b"\xfb" * 30

SERVER = {
    "seen": given(framed(request(SEEN))) + DIALLED + TAKE,
    "not_there": given(framed(request(SEEN))) + NOT_CONNECTED + TAKE,
    "internal": given(framed(request(SEEN))) + NOT_TRIED + TAKE,
    "second_address": given(framed(request(PRIVATE, b"", SEEN))) + DIALLED + TAKE,
    "elsewhere": given(framed(request(ELSEWHERE))) + TAKE + PAY + WAIT[:2] + DIALLED + TAKE,
    "elsewhere_unpaid": given(framed(request(ELSEWHERE))) + TAKE + PAY[:3] + WAIT,
    "elsewhere_tiny_pieces": given(framed(request(ELSEWHERE))) + given(framed(data(5))),
    "private": given(framed(request(PRIVATE))) + TAKE, "no_address": given(framed(request())) + TAKE,
    "two_requests": given(framed(request(ELSEWHERE)) * 2), "response": given(framed(response(200, 0, 200))),
    "ended": given(framed(request(SEEN))) + END + DIALLED + TAKE, "ended_early": given(framed(request(SEEN))[:9]) + END,
    "dial_too_long": given(framed(request(SEEN))) + WAIT[:4] + TAKE, "silence": WAIT,
    "bytewise": b"".join(given(bytes([byte])) for byte in framed(request(SEEN))) + DIALLED + TAKE,
    "oversized": given(b"\x81\x40"), "garbage": given(framed(b"not a protobuf")), "flood": given(bytes(2000)),
}

CLIENT = {
    "ok": framed(response(200, 0, 200)), "error": framed(response(200, 0, 100)), "rejected": framed(response(100)),
    "paid": framed(data_request(0, 20_000)), "too_much": framed(data_request(0, 20_001)),
    "twice": framed(data_request(0, 100)) * 2, "other_index": framed(data_request(1, 100)),
    "response_other_index": framed(response(200, 1, 200)), "says_nothing": framed(response(200)),
    "request": framed(request(SEEN)), "data": framed(data(50)), "unknown": framed(response(3)), "garbage": b"\xff" * 20,
}


def client(stream):
    out = b"\x00\x80\x80"
    while stream:
        piece, stream = stream[:127], stream[127:]
        out += bytes([len(piece)]) + piece
    return out + b"\xc7" * 8 + b"\x80\xff"


def pieces(stream, size):
    return b"\x01" + b"".join(bytes([len(stream[i:i + size])]) + stream[i:i + size]
                              for i in range(0, len(stream), size))


# Operations of reachability_prober, two bytes each: 0 a server comes, 1 it goes, 2 the candidates, 3 time passes, 4 a
# response, 5 a dial-back, 6 the network changes.
def steps(*pairs):
    return bytes(byte for pair in pairs for byte in pair)


PROBER = {
    "confirmed": steps((0, 0), (0, 33), (0, 66), (2, 1), (5, 0), (4, 64), (5, 0), (4, 64), (5, 0), (4, 64)),
    "confirmed_all": steps((0, 0), (0, 33), (0, 66), (2, 1), (5, 0), (5, 1), (5, 2), (4, 64), (4, 65), (4, 66)),
    "refuted": steps((0, 0), (0, 33), (0, 66), (2, 1), (4, 33), (4, 34), (4, 35)),
    "lie": steps((0, 0), (2, 1), (4, 64), (3, 6), (0, 0), (3, 255)),
    "wrong_nonce": steps((0, 0), (2, 1), (5, 200), (4, 64), (3, 6)),
    "wrong_way": steps((0, 0), (2, 1), (5, 130), (4, 64), (3, 6)),
    "late": steps((0, 0), (2, 1), (3, 40), (5, 0), (4, 64)),
    "gone": steps((0, 0), (2, 1), (1, 0), (4, 64), (0, 0)),
    "candidates_change": steps((0, 0), (2, 3), (2, 6), (5, 0), (4, 64), (2, 0)),
    "network_changes": steps((0, 0), (2, 1), (6, 0), (5, 0), (4, 64), (6, 1), (3, 7)),
    "rounds": steps((0, 0), (2, 1), *[(5, 0), (4, 64), (131, 30)] * 5),
    "many_servers": steps(*[(0, i) for i in range(8)], *[(1, i) for i in range(8)], (2, 255), (3, 30)),
    "rejected": steps((0, 0), (0, 33), (2, 7), (4, 16), (4, 17), (3, 255), (3, 255)),
}


def main():
    for name, content in MESSAGES.items():
        put("autonat_message", name, content)
    for name, content in ORDERS.items():
        put("dial_back_order", name, content)
        put("autonat_server", "order_" + name, b"\x01" + given(framed(content)) + DIALLED + TAKE + WAIT)
    for name, content in SERVER.items():
        put("autonat_server", name, b"\x00" + content)
    for name, content in CLIENT.items():
        put("autonat_client", name, client(content))
    for name, stream in {"dial_back": framed(fixed(1, 77)), "response": b"\x00", "response_status": framed(number(1, 1)),
                         "oversized": b"\x81\x08", "cut": framed(fixed(1, 77))[:5], "nothing": b""}.items():
        put("autonat_client", "back_" + name, pieces(stream, 200))
        put("autonat_client", "back_" + name + "_bytewise", pieces(stream, 1))
    for name, content in PROBER.items():
        put("reachability_prober", name, content)


if __name__ == "__main__":
    main()
