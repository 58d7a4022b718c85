#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks README.md: its C++ example is the file that the tests compile, and its links lead to files."""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parent.parent


def main():
    problems = []
    readme = (TREE / "README.md").read_text(encoding="utf-8")
    example = (TREE / "examples/fetch_store.cpp").read_text(encoding="utf-8").split("\n", 1)[1]
    blocks = re.findall(r"^```cpp\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    if blocks != [example]:
        problems.append("the C++ example of README.md is not examples/fetch_store.cpp (without its SPDX line)")
    for document in [TREE / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")] + sorted(
            (TREE / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if "://" not in link and not (document.parent / link).exists():
                problems.append(f"{document.relative_to(TREE)}: the link {link} leads nowhere")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
