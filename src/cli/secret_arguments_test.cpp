// SPDX-License-Identifier: Apache-2.0
#include "cli/secret_arguments.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dig::cli {
namespace {

std::vector<std::string> hidden(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  hide_secret_arguments(pointers);
  return arguments;
}

using Words = std::vector<std::string>;

TEST(SecretArguments, PasswordsAreOverwritten) {
  EXPECT_EQ(hidden({"dignet", "turn-check", "--user", "bob", "--pass", "secret"}),
            (Words{"dignet", "turn-check", "--user", "bob", "--pass", "******"}));
  EXPECT_EQ(hidden({"--pass=secret"}), Words{"--pass=******"});
  EXPECT_EQ(hidden({"--user", "bob:se:cret"}), (Words{"--user", "bob:*******"}));
  EXPECT_EQ(hidden({"--user=bob:s"}), Words{"--user=bob:*"});
  EXPECT_EQ(hidden({"--redis", "redis://u:p@h:1/2"}), (Words{"--redis", "redis://***@h:1/2"}));
  EXPECT_EQ(hidden({"--redis=redis://:p@ss@h"}), Words{"--redis=redis://*****@h"});
}

TEST(SecretArguments, WhatIsNoSecretStays) {
  for (const Words& words :
       {Words{"--password", "x"}, Words{"--pass"}, Words{"--pass="}, Words{"--user", "bob"},
        Words{"--redis", "redis://host:6379"}, Words{"--redis", "a@b"}, Words{"--peer", "a:b"}, Words{}}) {
    EXPECT_EQ(hidden(words), words);
  }
}

}  // namespace
}  // namespace dig::cli
