#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/errors.md from include/dignet/errors.def.

usage: generate_errors_md.py            writes docs/errors.md
       generate_errors_md.py --check    fails when docs/errors.md is not what would be written
"""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent
TABLE = TREE / "include/dignet/errors.def"
DOCUMENT = TREE / "docs/errors.md"
EXIT_CODES = {"unexpected": 1, "usage": 2, "not_found": 3, "unreachable": 4, "integrity": 5, "refused": 6,
              "timed_out": 7, "interrupted": 130}

ENTRY = re.compile(r'DIG_ERROR\(\s*(\w+)\s*,\s*"([^"]+)"\s*,\s*(\w+)\s*,\s*"((?:\\.|[^"\\])*)"\s*,\s*'
                   r'"((?:\\.|[^"\\])*)"\s*\)')
SECTION = re.compile(r"^// --- (.+?) -+$")


def read_table():
    """The sections of errors.def: [(title, [(name, code, kind, meaning, hint)])]."""
    sections = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        section = SECTION.match(line)
        if section:
            sections.append((section.group(1), []))
        elif line.startswith("DIG_ERROR("):
            entry = ENTRY.match(line)
            if not entry:
                raise SystemExit(f"errors.def: cannot read: {line}")
            if entry.group(3) not in EXIT_CODES:
                raise SystemExit(f"errors.def: unknown kind {entry.group(3)}")
            sections[-1][1].append(entry.groups())
    return sections


def check_codes(sections):
    codes = [entry[1] for _, entries in sections for entry in entries]
    names = [entry[0] for _, entries in sections for entry in entries]
    for code in codes:
        if not re.fullmatch(r"DN-[A-Z]+-\d{3}", code):
            raise SystemExit(f"errors.def: {code} is not of the form DN-AREA-NNN")
    for values in (codes, names):
        repeated = {value for value in values if values.count(value) > 1}
        if repeated:
            raise SystemExit(f"errors.def: used twice: {', '.join(sorted(repeated))}")


def render(sections):
    def cell(text):
        return text.replace('\\"', '"').replace("|", "\\|")

    lines = ["# Error codes", "",
             "Made from `include/dignet/errors.def` by `tools/generate_errors_md.py`; do not edit. A code is a contract: it",
             "is never renumbered or reused. *Exit* is the exit code of the command `dignet`.", ""]
    for title, entries in sections:
        lines += [f"## {title[0].upper()}{title[1:]}", "", "| code | name | exit | meaning | what to do |",
                  "|---|---|---|---|---|"]
        for name, code, kind, meaning, hint in entries:
            lines.append(f"| {code} | `{name}` | {EXIT_CODES[kind]} | {cell(meaning)} | {cell(hint)} |")
        lines.append("")
    return "\n".join(lines)


def main():
    sections = read_table()
    check_codes(sections)
    text = render(sections)
    if sys.argv[1:] == ["--check"]:
        if not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != text:
            print("docs/errors.md is out of date: run tools/generate_errors_md.py")
            return 1
        print("docs/errors.md is current")
        return 0
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
