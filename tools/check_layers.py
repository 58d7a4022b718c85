#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that includes point down only, as layers.toml says, and a few more rules of the tree.

usage: check_layers.py [TREE]      prints one line per broken rule; exit code 1 if there is any.
"""
import pathlib
import re
import sys
import tomllib

SOURCE_SUFFIXES = {".cpp", ".hpp", ".def", ".h"}
COUNTED_SUFFIXES = SOURCE_SUFFIXES | {".py", ".sh", ".mjs", ".cmake"}
SKIPPED_FOLDERS = {"build", "node_modules", ".git", "__pycache__"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# What no pure layer may include. Tests may: a test may read a file or run a thread to check that code without any works.
IMPURE_INCLUDES = re.compile(
    r"^(boost/asio.*|boost/beast.*|sys/socket\.h|sys/un\.h|sys/epoll\.h|sys/select\.h|sys/ioctl\.h|sys/stat\.h|sys/mman\.h"
    r"|netinet/.*|arpa/.*|net/if\.h|netdb\.h|ifaddrs\.h|poll\.h|unistd\.h|fcntl\.h|pthread\.h|signal\.h|csignal"
    r"|thread|mutex|shared_mutex|condition_variable|future|stop_token|semaphore|barrier|latch"
    r"|iostream|ostream|istream|fstream|filesystem|coroutine|ctime|time\.h|sys/time\.h"
    r"|spdlog/.*|sqlite3\.h|zip\.h)$")
IMPURE_CODE = [
    (re.compile(r"\b\w*clock\w*::now\s*\(|\bClock::now\s*\("), "reads a clock"),
    (re.compile(r"\b(clock_gettime|gettimeofday|timespec_get)\s*\("), "reads a clock"),
    (re.compile(r"(\bstd::|(?<![\w.>:]))time\s*\(\s*(NULL|nullptr|0|&\w+)\s*\)"), "reads a clock"),
    (re.compile(r"\brandom_device\b"), "uses a random device"),
    (re.compile(r"(?<![\w.>])s?rand\s*\("), "uses a hidden random generator"),
    (re.compile(r"\b(secure_)?getenv\s*\("), "reads the environment"),
    (re.compile(r"\bco_(await|return|yield)\b"), "is a coroutine"),
    (re.compile(r"\bstd::(thread|jthread|mutex|this_thread)\b"), "uses threads"),
]
CO_EXPRESSION = re.compile(r"\bco_(await|return|yield)\b")
CAPTURING_LAMBDA = re.compile(r"(?<![\w\])])\[\s*[^\[\]\s][^\[\]]*\]\s*(\(|\{|mutable\b|<|->)")


def strip_comments_and_strings(text):
    """Blanks comments and the insides of string literals, and keeps line breaks."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)

    def blank(match):
        found = match.group(0)
        newlines = "\n" * found.count("\n")
        return newlines if found.startswith("/") else '""' + newlines

    return pattern.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def full_expression(text, start):
    """The text from `start` to the end of the statement or of the enclosing bracket."""
    depth = 0
    for position in range(start, len(text)):
        character = text[position]
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                return text[start:position]
        elif character == ";" and depth == 0:
            return text[start:position]
    return text[start:]


def is_test(path):
    return path.name.endswith("_test.cpp") or "testing" in path.parts


class Checker:
    def __init__(self, tree):
        self.tree = tree
        config = tomllib.loads((tree / "layers.toml").read_text(encoding="utf-8"))
        self.vocabulary = set(config["vocabulary"])
        self.max_lines = config["limits"]["max_lines"]
        self.layers = {layer["folder"]: layer for layer in config["layer"]}
        self.problems = []
        for folder, layer in self.layers.items():
            for target in layer["may_include"]:
                if target not in self.layers:
                    self.problems.append(f"layers.toml: {folder} names the unknown folder {target}")

    def layer_of(self, relative):
        folder = relative.parent
        while folder != pathlib.PurePath("."):
            if folder.as_posix() in self.layers:
                return self.layers[folder.as_posix()]
            folder = folder.parent
        return None

    def report(self, relative, line, text):
        self.problems.append(f"{relative.as_posix()}:{line}: {text}")

    def resolve(self, path, name):
        """The project file that a quoted include means, or None."""
        for root in (self.tree / "src", self.tree / "include", self.tree, path.parent):
            if (root / name).is_file():
                return (root / name).resolve().relative_to(self.tree.resolve())
        return None

    def check_include(self, path, relative, layer, line, quote, name):
        test = is_test(relative)
        folder = layer["folder"]
        if name.endswith(".pb.h"):
            if folder != "src/wire":
                self.report(relative, line, f"includes {name}: generated protobuf code is seen by src/wire only")
            return
        if name.startswith("openssl/"):
            if folder != "src/crypto":
                self.report(relative, line, f"includes <{name}>: OpenSSL is seen by src/crypto only")
            return
        if layer.get("no_boost") and name.startswith("boost/"):
            self.report(relative, line, f"includes <{name}>: {layer['why']}")
        if layer["pure"] and not test and IMPURE_INCLUDES.match(name):
            self.report(relative, line, f"includes <{name}>, but {folder} does no input or output: {layer['why']}")
        target = self.resolve(path, name)
        if target is None:
            if quote == '"':
                self.report(relative, line, f'includes "{name}", which is no file of the project (write <…> for others)')
            return
        if target.as_posix() in self.vocabulary:
            return
        target_layer = self.layer_of(target)
        if target_layer is None:
            self.report(relative, line, f"includes {name}, which stands in no layer")
        elif target_layer is not layer and target_layer["folder"] not in layer["may_include"]:
            self.report(relative, line, f"includes {name}: {folder} may not include {target_layer['folder']} "
                                        f"({layer['why']})")
        in_code = relative.parts[0] in ("src", "include", "apps")
        if "testing" in target.parts and in_code and not test:
            self.report(relative, line, f"includes {name}, which is for tests only")

    def check_source(self, path, relative):
        layer = self.layer_of(relative)
        if layer is None:
            self.report(relative, 1, "stands in no folder that layers.toml knows")
            return
        raw = path.read_text(encoding="utf-8")
        if not raw.startswith("// SPDX-License-Identifier: Apache-2.0"):
            self.report(relative, 1, "does not begin with the SPDX line")
        for match in INCLUDE.finditer(raw):
            self.check_include(path, relative, layer, line_of(raw, match.start(2)), match.group(1), match.group(2))
        code = strip_comments_and_strings(raw)
        if layer["pure"] and not is_test(relative):
            for pattern, what in IMPURE_CODE:
                for match in pattern.finditer(code):
                    self.report(relative, line_of(code, match.start()), f"{what}: {match.group(0).strip()}")
        for match in CO_EXPRESSION.finditer(code):
            if CAPTURING_LAMBDA.search(full_expression(code, match.end())):
                self.report(relative, line_of(code, match.start()),
                            "a capturing lambda inside a co_await expression: GCC 12 destroys its captures twice; "
                            "name the lambda first")

    def check(self):
        for path in sorted(self.tree.rglob("*")):
            relative = path.relative_to(self.tree)
            if SKIPPED_FOLDERS & set(relative.parts) or path.suffix not in COUNTED_SUFFIXES or not path.is_file():
                continue
            lines = path.read_bytes().count(b"\n")
            if lines > self.max_lines:
                self.report(relative, lines, f"{lines} lines; the limit is {self.max_lines}: split it")
            if path.suffix in SOURCE_SUFFIXES:
                self.check_source(path, relative)
        return self.problems


def main():
    tree = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    problems = Checker(tree).check()
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} broken rules; layers.toml says what may include what")
        return 1
    print("the layers hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
