#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests that the layer checker accepts a good tree and can fail: each broken rule is reported."""
import pathlib
import shutil
import tempfile
import unittest

import check_layers

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
PROJECT = pathlib.Path(__file__).resolve().parent.parent


class CheckLayers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.tree = pathlib.Path(self.folder.name)
        shutil.copy(PROJECT / "layers.toml", self.tree / "layers.toml")
        self.write("include/dignet/error.hpp", "#include <string>\n")
        self.write("src/base/bytes.hpp", "#include <span>\n")
        self.write("src/base/testing/helper.hpp", "")
        self.write("src/net/driver.hpp", "#include <thread>\n")
        self.write("src/store/disk/files.hpp", "#include <filesystem>\n")

    def write(self, name, text, spdx=SPDX):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(spdx + text, encoding="utf-8")

    def problems(self):
        return check_layers.Checker(self.tree).check()

    def expect_problem(self, name, text, words):
        self.write(name, text)
        found = [problem for problem in self.problems() if problem.startswith(name)]
        self.assertTrue(found, f"nothing reported for {text!r}")
        self.assertIn(words, "\n".join(found))

    def expect_good(self, name, text):
        self.write(name, text)
        self.assertEqual(self.problems(), [])

    def test_good_tree_passes(self):
        self.assertEqual(self.problems(), [])

    def test_include_downwards_passes(self):
        self.expect_good("src/wire/a.cpp", '#include "base/bytes.hpp"\n#include "dignet/error.hpp"\n')

    def test_include_upwards_fails(self):
        self.expect_problem("src/base/a.cpp", '#include "net/driver.hpp"\n', "may not include src/net")

    def test_pure_store_may_not_include_the_disk(self):
        self.expect_problem("src/store/a.cpp", '#include "store/disk/files.hpp"\n', "may not include src/store/disk")

    def test_a_test_is_held_to_its_layer(self):
        self.expect_problem("src/base/a_test.cpp", '#include "net/driver.hpp"\n', "may not include src/net")

    def test_unknown_quoted_include_fails(self):
        self.expect_problem("src/base/a.cpp", '#include "nowhere.hpp"\n', "no file of the project")

    def test_impure_includes_fail_below_the_shell(self):
        for header in ("boost/asio.hpp", "sys/socket.h", "netinet/in.h", "thread", "mutex", "iostream", "fstream",
                       "filesystem", "coroutine", "zip.h"):
            self.expect_problem("src/proto/a.cpp", f"#include <{header}>\n", "no input or output")

    def test_impure_code_fails_below_the_shell(self):
        for code in ("auto t = std::chrono::steady_clock::now();", "clock_gettime(0, &t);", "gettimeofday(&t, nullptr);",
                     "auto t = std::time(nullptr);", "auto t = time(NULL);", "std::random_device d;", "int r = rand();",
                     'auto e = std::getenv("X");', "co_await f();", "std::thread t;"):
            self.expect_problem("src/node/a.cpp", code + "\n", "src/node/a.cpp:2")

    def test_words_in_comments_and_strings_pass(self):
        self.expect_good("src/node/a.cpp", '// never calls time(nullptr)\n/* rand() */ const char* s = "getenv(x) co_await";\n')

    def test_members_named_like_clocks_pass(self):
        self.expect_good("src/node/a.cpp", "auto t = record.time(0); auto r = x.rand(); int brand(int);\n")

    def test_tests_may_do_input_and_output(self):
        self.expect_good("src/node/a_test.cpp", "#include <fstream>\n#include <gtest/gtest.h>\n")

    def test_openssl_belongs_to_crypto(self):
        self.expect_problem("src/net/a.cpp", "#include <openssl/evp.h>\n", "src/crypto only")
        (self.tree / "src/net/a.cpp").unlink()
        self.expect_good("src/crypto/a.cpp", "#include <openssl/evp.h>\n")

    def test_generated_protobuf_belongs_to_wire(self):
        self.expect_problem("src/proto/a.cpp", '#include "wire/proto/x.pb.h"\n', "src/wire only")
        (self.tree / "src/proto/a.cpp").unlink()
        self.expect_good("src/wire/a.cpp", '#include "wire/proto/x.pb.h"\n')

    def test_public_header_shows_nothing_private(self):
        self.expect_problem("include/dignet/a.hpp", '#include "base/bytes.hpp"\n', "may not include src/base")
        self.expect_problem("include/dignet/a.hpp", "#include <boost/asio.hpp>\n", "must not need Boost")

    def test_test_helpers_stay_out_of_the_library(self):
        self.expect_problem("src/base/a.cpp", '#include "base/testing/helper.hpp"\n', "for tests only")

    def test_long_file_fails(self):
        self.expect_problem("src/base/a.cpp", "\n" * 600, "the limit is 600")

    def test_missing_spdx_line_fails(self):
        self.write("src/base/a.cpp", "int a;\n", spdx="")
        self.assertIn("SPDX", "\n".join(self.problems()))

    def test_file_outside_every_layer_fails(self):
        self.expect_problem("src/new/a.cpp", "\n", "no folder that layers.toml knows")

    def test_capturing_lambda_in_co_await_fails(self):
        self.expect_problem("src/net/a.cpp", "co_await spawn(e, [p = std::move(q)]() mutable {\n f();\n });\n", "GCC 12")
        self.expect_problem("src/net/a.cpp", "auto r = co_await spawn(e,\n  [&]() { f(); });\n", "GCC 12")

    def test_named_lambda_and_subscript_in_co_await_pass(self):
        self.expect_good("src/net/a.cpp", "auto f = [&]() {};\nco_await g(f, list[0](), h[i]);\nco_await g([]() {});\n")


if __name__ == "__main__":
    unittest.main()
