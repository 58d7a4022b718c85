#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists the error codes of errors.def that no source produces, or that no test mentions.

usage: check_errors_used.py     exit code 1 when a code is used nowhere in src/; codes without a test are only listed
"""
import pathlib
import re
import sys

import generate_errors_md

TREE = generate_errors_md.TREE


def mentioned(paths):
    names = set()
    for path in paths:
        names |= set(re.findall(r"\bErrc::(\w+)", path.read_text(encoding="utf-8")))
        names |= set(re.findall(r"\bDN-[A-Z]+-\d{3}\b", path.read_text(encoding="utf-8")))
    return names


def main():
    sources = [path for path in (TREE / "src").rglob("*.[ch]pp")]
    tests = [path for path in sources if path.name.endswith("_test.cpp")]
    tests += [path for folder in ("tests", "sim") for path in (TREE / folder).rglob("*")
              if path.suffix in {".cpp", ".py", ".sh", ".mjs"} and "node_modules" not in path.parts]
    in_code = mentioned(path for path in sources if path not in set(tests))
    in_tests = mentioned(tests)
    entries = [entry for _, entries in generate_errors_md.read_table() for entry in entries]
    unused = [f"{code} {name}" for name, code, *_ in entries if not {name, code} & in_code]
    untested = [f"{code} {name}" for name, code, *_ in entries if not {name, code} & in_tests]
    for line in untested:
        print(f"mentioned in no test: {line}")
    for line in unused:
        print(f"used nowhere in src/: {line}")
    print(f"{len(entries)} codes, {len(unused)} unused, {len(untested)} without a test")
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main())
