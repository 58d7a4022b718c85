// SPDX-License-Identifier: Apache-2.0
#include "store/disk/sequence_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <limits>

namespace dig::store {
namespace {

class SequenceFile : public ::testing::Test {
 protected:
  void put(std::string_view text) const {
    const auto written = File::open(path(), O_WRONLY | O_CREAT | O_TRUNC);
    ASSERT_TRUE(written);
    ASSERT_TRUE(written->write_at(0, as_bytes(text)));
  }
  [[nodiscard]] fs::path path() const { return sequence_file(folder.path()); }

  TemporaryFolder folder = TemporaryFolder::create(fs::temp_directory_path()).value();
};

TEST_F(SequenceFile, BeginsAtZero) { EXPECT_EQ(read_sequence(path()), 0U); }

TEST_F(SequenceFile, KeepsTheLastOne) {
  for (const std::uint64_t sequence : {std::uint64_t{1'700'000'000'000}, std::numeric_limits<std::uint64_t>::max()}) {
    ASSERT_TRUE(write_sequence(path(), sequence));
    EXPECT_EQ(read_sequence(path()), sequence);
  }
}

TEST_F(SequenceFile, WhatIsNoNumberIsToldAndNotTakenForZero) {
  for (const std::string_view text : {"", "\n", "12", "12 \n", "-1\n", "0x12\n", "12\n\n", "99999999999999999999\n"}) {
    put(text);
    const auto read = read_sequence(path());
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code(), Errc::malformed);
  }
  put(std::string(1000, '1'));
  EXPECT_EQ(read_sequence(path()).error().code(), Errc::limit_reached);
}

}  // namespace
}  // namespace dig::store
