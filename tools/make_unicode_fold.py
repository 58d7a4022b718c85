#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/store/unicode_fold_table.inc: how each code point folds (case folding, then canonical decomposition), and
which code points are combining marks. Run: tools/make_unicode_fold.py > src/store/unicode_fold_table.inc"""
import unicodedata

HANGUL = range(0xAC00, 0xD7A4)  # decomposed by arithmetic


def fold(text):
    previous = None
    while text != previous:
        previous = text
        text = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    return text


def rows(items, width=118):
    line = " "
    for item in items:
        if len(line) + 1 + len(item) > width:
            yield line
            line = " "
        line += " " + item
    yield line


folds = []
marks = []
for value in range(0x110000):
    if 0xD800 <= value <= 0xDFFF or value in HANGUL:
        continue
    folded = fold(chr(value))
    if folded != chr(value):
        folds.append((value, folded))
    if unicodedata.combining(chr(value)):
        if marks and marks[-1][1] == value - 1:
            marks[-1][1] = value
        else:
            marks.append([value, value])

pool = ""
entries = []
for value, folded in folds:
    at = pool.find(folded)
    if at < 0:
        at = len(pool)
        pool += folded
    entries.append(f"{{{value:#x},{at},{len(folded)}}},")

print("// SPDX-License-Identifier: Apache-2.0")
print(f"// Made by tools/make_unicode_fold.py from Unicode {unicodedata.unidata_version}; do not edit.")
print("// clang-format off")
print("constexpr char32_t k_fold_pool[] = {")
print("\n".join(rows(f"{ord(c):#x}," for c in pool)))
print("};")
print("constexpr Fold k_folds[] = {")
print("\n".join(rows(entries)))
print("};")
print("constexpr MarkRange k_marks[] = {")
print("\n".join(rows(f"{{{a:#x},{b:#x}}}," for a, b in marks)))
print("};")
print("// clang-format on")
