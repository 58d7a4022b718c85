#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the first corpus of the fuzz targets urn, merkle_proof, archive and leaves_file into fuzz/corpus/."""
import hashlib
import io
import pathlib
import struct
import zipfile

ROOT = pathlib.Path(__file__).parent / "corpus"
ID = "0123456789abcdef" * 4
HASH = "fedcba9876543210" * 4


def put(target, name, content):
    folder = ROOT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def urns():
    prefix = "urn:dig:chia:"
    cases = {
        "store": prefix + ID, "root": f"{prefix}{ID}:{HASH}", "resource": f"{prefix}{ID}:{HASH}/docs/a%20b.txt",
        "url": f"dig://{ID}/x", "upper_case": (prefix + ID).upper(), "folder_index": f"{prefix}{ID}/docs/",
        "unicode": f"{prefix}{ID}/grüße/日本.txt", "63_digits": prefix + ID[1:], "65_digits": prefix + ID + "0",
        "zero_root": f"{prefix}{ID}:{'0' * 64}", "empty_root": f"{prefix}{ID}:/", "prefix_only": prefix,
        "other_chain": f"urn:dig:eth:{ID}", "dot_dot": f"{prefix}{ID}/%2e%2e%2fx", "backslash": f"{prefix}{ID}/..\\x",
        "double_escape": f"{prefix}{ID}/%252e%252e", "bad_escape": f"{prefix}{ID}/%zz", "cut_escape": f"{prefix}{ID}/%2",
        "nul": f"{prefix}{ID}/%00", "drive": f"{prefix}{ID}/C:%5Cx", "device": f"{prefix}{ID}/con.txt",
        "query": f"{prefix}{ID}?=a", "fragment": f"{prefix}{ID}#a", "user": f"dig://user@{ID}/",
        "bidi": f"{prefix}{ID}/%e2%80%ae", "overlong": f"{prefix}{ID}/%c0%ae", "decomposed": "e\u0301\u0323",
        "hangul": "\uac00\uac01", "empty": "", "name": "a/b/c.txt",
    }
    for name, text in cases.items():
        put("urn", name, text.encode())


def proofs():
    for count in (1, 2, 3, 8, 21, 40):
        for index in (0, count - 1):
            hashes = 1 + sum(1 for _ in path(count, index))
            body = struct.pack(">BBQQ", count - 1, index, index, 0)
            put("merkle_proof", f"true_{count}_{index}", body + bytes(32 * hashes))
            put("merkle_proof", f"short_{count}_{index}", body + bytes(32 * (hashes - 1)))
            put("merkle_proof", f"long_{count}_{index}", body + bytes(32 * (hashes + 1)))
    put("merkle_proof", "wrong_index", struct.pack(">BBQQ", 3, 1, 2, 0) + bytes(96))
    put("merkle_proof", "wrong_size", struct.pack(">BBQQ", 3, 1, 1, 1) + bytes(96))
    put("merkle_proof", "wrong_leaf", struct.pack(">BBQQ", 3, 1, 1, 0) + b"\1" + bytes(95))
    put("merkle_proof", "huge_index", struct.pack(">BBQQ", 3, 1, 2**64 - 1, 0) + bytes(96))
    put("merkle_proof", "empty", b"")


def path(count, index):
    while count > 1:
        if index ^ 1 < count:
            yield index ^ 1
        index, count = index // 2, (count + 1) // 2


def zipped(files, method=zipfile.ZIP_STORED, comment=b"", mode=None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            if mode is not None:
                info.external_attr = mode << 16
            archive.writestr(info, content)
        archive.comment = comment
    return out.getvalue()


class Pipe(io.RawIOBase):
    """Not seekable, so that zipfile writes data descriptors."""

    def __init__(self):
        super().__init__()
        self.content = b""

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data)
        return len(data)


def archives():
    good = zipped([("a.txt", b"hello"), ("b/c.txt", b"world")])
    put("archive", "two_files", good)
    put("archive", "empty_archive", zipped([]))
    put("archive", "empty", b"")
    put("archive", "folder", zipped([("a/", b""), ("a/b", b"x")]))
    put("archive", "deflated", zipped([("a.txt", b"hello hello hello hello " * 40)], zipfile.ZIP_DEFLATED))
    put("archive", "bomb", zipped([("a.bin", bytes(3_000_000))], zipfile.ZIP_DEFLATED))
    put("archive", "bzip2", zipped([("a.txt", b"hello" * 50)], zipfile.ZIP_BZIP2))
    put("archive", "lzma", zipped([("a.txt", b"hello" * 50)], zipfile.ZIP_LZMA))
    put("archive", "comment", zipped([("a.txt", b"x")], comment=b"hello"))
    put("archive", "comment_with_end_record", zipped([("a.txt", b"x")], comment=zipped([])))
    put("archive", "prepended", b"#!/bin/sh\n" + good)
    put("archive", "appended", good + b"x")
    put("archive", "traversal", zipped([("../x", b"x")]))
    put("archive", "absolute", zipped([("/etc/passwd", b"x")]))
    put("archive", "backslash", zipped([("..\\x", b"x")]))
    put("archive", "device_name", zipped([("CON", b"x")]))
    put("archive", "link", zipped([("a", b"/etc/passwd")], mode=0o120777))
    put("archive", "set_id", zipped([("a", b"x")], mode=0o104755))
    put("archive", "case_collision", zipped([("A", b"x"), ("a", b"y")]))
    put("archive", "file_is_parent", zipped([("a", b"x"), ("a/b", b"y")]))
    put("archive", "duplicate", good.replace(b"b/c.txt", b"a.txt\0\0"))
    put("archive", "nested", zipped([("inner.zip", good)]))
    put("archive", "no_directory", good[:-22])
    put("archive", "half", good[: len(good) // 2])
    put("archive", "wrong_crc", good.replace(b"hello", b"jello"))
    put("archive", "two_end_records", good + good[-22:])
    end = good[-22:]
    fields = list(struct.unpack("<4s4H2LH", end))
    for name, at, value in (("count_low", 4, 1), ("count_high", 4, 65535), ("size_lies", 5, 1), ("offset_lies", 6, 5),
                            ("offset_huge", 6, 0xFFFFFFFF), ("second_disk", 1, 1), ("comment_lies", 7, 9)):
        changed = fields.copy()
        changed[at] = value
        if at == 4:
            changed[3] = value
        put("archive", name, good[:-22] + struct.pack("<4s4H2LH", *changed))
    directory = fields[6]
    zip64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, fields[5], directory)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(good) - 22, 1)
    end64 = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    put("archive", "zip64", good[:-22] + zip64 + locator + end64)
    put("archive", "zip64_locator_lies", good[:-22] + zip64 + struct.pack("<4sLQL", b"PK\6\7", 0, 2**63, 1) + end64)
    for name, at, value in (("encrypted", 8, 1), ("method_unknown", 10, 99), ("stored_size_lies", 20, 6),
                            ("size_lies_entry", 24, 200), ("entry_offset_lies", 42, 10), ("name_too_long", 28, 0xFFFF),
                            ("extra_too_long", 30, 0xFFFF)):
        changed = bytearray(good)
        struct.pack_into("<H", changed, directory + at, value)
        put("archive", name, bytes(changed))
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        archive.writestr("a.txt", "hello")
    put("archive", "data_descriptor", pipe.content)


def leaves():
    store, root = bytes.fromhex(ID), bytes.fromhex(HASH)
    fields = b"DIGPART1" + store + root + struct.pack(">Q", 12345)
    header = (fields + hashlib.sha256(fields).digest()).ljust(128, b"\0")
    put("leaves_file", "leaves", header)
    put("leaves_file", "leaves_and_hashes", header + bytes(64))
    put("leaves_file", "cut", header[:127])
    put("leaves_file", "wrong_digest", header[:80] + bytes(48))
    put("leaves_file", "padding_used", header[:127] + b"\1")
    huge = b"DIGPART1" + store + root + struct.pack(">Q", 2**63)
    put("leaves_file", "huge_size", (huge + hashlib.sha256(huge).digest()).ljust(128, b"\0"))
    tree = b"DIGTREE1" + struct.pack(">Q", 12345) + store + root + struct.pack(">QH", 2, 4) + b"mani" + struct.pack(">H", 0)
    put("leaves_file", "tree", (tree + hashlib.sha256(tree).digest()).ljust(4096, b"\0"))
    put("leaves_file", "tree_cut", tree)
    lie = tree.replace(struct.pack(">QH", 2, 4), struct.pack(">QH", 2, 0xFFFF))
    put("leaves_file", "tree_manifest_lies", (lie + hashlib.sha256(lie).digest()).ljust(512, b"\0"))
    huge = tree.replace(struct.pack(">Q", 12345), struct.pack(">Q", 2**62))
    put("leaves_file", "tree_huge_size", (huge + hashlib.sha256(huge).digest()).ljust(512, b"\0"))
    put("leaves_file", "empty", b"")


urns()
proofs()
archives()
leaves()
