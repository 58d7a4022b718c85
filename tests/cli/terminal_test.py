# SPDX-License-Identifier: Apache-2.0
"""What a person sees on a terminal, and what a pipe gets instead."""
import fcntl
import os
import pty
import struct
import subprocess
import termios
import unittest

from harness import COMMAND, DEADLINE, CommandTest, environment, run


def run_on_terminal(*arguments, columns=100, env=None):
    """Runs the command with stderr on a terminal; returns (exit code, stdout, what the terminal got)."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([COMMAND, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=theirs, env=environment(TERM="xterm", **(env or {})))
    os.close(theirs)
    seen = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # EIO: the last writer closed the terminal
            break
        if not more:
            break
        seen += more
    out = process.stdout.read()
    process.stdout.close()
    os.close(ours)
    return process.wait(DEADLINE), out.decode(), seen.decode()


def frames(seen):
    """What the progress line showed, one after the other."""
    return [part.split("\x1b[K")[0] for part in seen.split("\r") if "\x1b[K" in part]


class Progress(CommandTest):
    def setUp(self):
        super().setUp()
        self.added_store = self.added(self.home("alice"), self.folder(files=4, size=1_500_000))
        _, ready = self.serve(self.home("alice"))
        self.get = ["get", "--peer", ready["addresses"][0], self.added_store["urn"]]

    def test_a_terminal_gets_a_bar_that_fits_and_is_removed_at_the_end(self):
        for columns in (100, 40):
            with self.subTest(columns):
                home = self.home(f"bob{columns}")
                code, out, seen = run_on_terminal("--home", home, "--color", "never", *self.get, columns=columns)
                self.assertEqual(code, 0, seen)
                drawn = frames(seen)
                self.assertTrue(any("%" in frame for frame in drawn), drawn)
                self.assertTrue(all(len(frame) < columns for frame in drawn), drawn)
                self.assertEqual(drawn[-1], "")
                self.assertIn("done", seen)
                self.assertEqual(out, self.added_store["urn"] + "\n")

    def test_columns_wins_over_the_terminal(self):
        _, _, seen = run_on_terminal("--home", self.home("bob"), *self.get, columns=200, env={"COLUMNS": "30"})
        self.assertTrue(all(len(frame) < 30 for frame in frames(seen)))

    def test_with_json_the_bar_stays_on_stderr(self):
        code, out, seen = run_on_terminal("--home", self.home("bob"), "--json", *self.get)
        self.assertEqual(code, 0, seen)
        self.assertTrue(any("%" in frame for frame in frames(seen)))
        self.assertNotIn("\x1b", out)
        self.assertTrue(all(line.startswith("{") for line in out.splitlines()))

    def test_quiet_shows_nothing(self):
        self.assertEqual(run_on_terminal("--home", self.home("bob"), "-q", *self.get)[2], "")

    def test_a_pipe_gets_no_control_characters(self):
        result = run("--home", self.home("bob"), *self.get)
        self.assertEqual(result.code, 0, result)
        self.assertNotIn("\x1b", result.err)
        self.assertNotIn("\r", result.err)

    def test_verbose_shows_the_attempts_of_a_success(self):
        result = run("--home", self.home("bob"), "-v", *self.get)
        self.assertIn("won", result.err)
        self.assertIn("skipped", result.err)


class AddProgress(CommandTest):
    def setUp(self):
        super().setUp()
        self.content = self.folder(files=4, size=1_500_000)

    def add(self, *flags, **options):
        return run_on_terminal("--home", self.home(), "--color", "never", *flags, "add", self.content, **options)

    def test_a_terminal_gets_a_bar_that_fits_and_is_removed_at_the_end(self):
        for columns in (100, 40):
            with self.subTest(columns):
                code, out, seen = self.add(columns=columns)
                self.assertEqual(code, 0, seen)
                drawn = frames(seen)
                self.assertEqual(drawn[0], "adding")
                self.assertTrue(any("%" in frame for frame in drawn), drawn)
                self.assertTrue(all(len(frame) < columns for frame in drawn), drawn)
                self.assertEqual(drawn[-1], "")
                self.assertRegex(out, r"^urn:dig:chia:\S+\n$")

    def test_with_json_the_bar_stays_on_stderr(self):
        code, out, seen = self.add("--json")
        self.assertEqual(code, 0, seen)
        self.assertTrue(any("%" in frame for frame in frames(seen)))
        self.assertTrue(all(line.startswith("{") for line in out.splitlines()))

    def test_quiet_shows_nothing(self):
        self.assertEqual(self.add("-q")[2], "")


class Color(CommandTest):
    def colored(self, *flags, env=None):
        _, _, seen = run_on_terminal("--home", self.home(), *flags, "rm", "no-urn", env=env)
        return "\x1b[31m" in seen

    def test_color_follows_flag_variable_and_terminal(self):
        self.assertTrue(self.colored())
        self.assertFalse(self.colored("--color", "never"))
        self.assertFalse(self.colored(env={"NO_COLOR": "1"}))
        self.assertTrue(self.colored("--color", "always", env={"NO_COLOR": "1"}))
        self.assertTrue(self.colored(env={"NO_COLOR": "1", "DIGNET_COLOR": "always"}))
        self.assertNotIn("\x1b", run("--home", self.home(), "rm", "no-urn").err)
        self.assertIn("\x1b[31m", run("--home", self.home(), "--color", "always", "rm", "no-urn").err)


if __name__ == "__main__":
    unittest.main()
