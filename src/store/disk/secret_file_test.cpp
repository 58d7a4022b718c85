// SPDX-License-Identifier: Apache-2.0
#include "store/disk/secret_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace dig::store {
namespace {

class SecretFileTest : public ::testing::Test {
 protected:
  SecretFileTest() {
    std::string pattern = (fs::temp_directory_path() / "dignet-secret-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SecretFileTest() override { fs::remove_all(folder_); }

  fs::path write(const std::string& text, mode_t mode) {
    const fs::path path = folder_ / "secret";
    std::ofstream(path, std::ios::binary) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }

  fs::path folder_;
};

TEST_F(SecretFileTest, IsReadWithoutItsLastLineEnd) {
  EXPECT_EQ(read_secret_file(write("s3cret\n", 0600)), "s3cret");
  EXPECT_EQ(read_secret_file(write("s3cret", 0400)), "s3cret");
  EXPECT_EQ(read_secret_file(write("s3cret", 0640)), "s3cret");
  EXPECT_EQ(read_secret_file(write("a:b\r\nc:d\r\n", 0600)), "a:b\r\nc:d");
}

TEST_F(SecretFileTest, MustBeClosedToOthers) {
  for (const mode_t mode : {0604U, 0620U, 0602U, 0601U}) {
    const auto text = read_secret_file(write("s3cret\n", mode));
    ASSERT_FALSE(text) << std::oct << mode;
    EXPECT_EQ(text.error().code(), Errc::secret_insecure);
  }
}

TEST_F(SecretFileTest, MustBeASmallRegularFileWithSomethingInIt) {
  EXPECT_EQ(read_secret_file(folder_ / "nothing").error().code(), Errc::file_not_found);
  EXPECT_EQ(read_secret_file(folder_).error().code(), Errc::not_a_regular_file);
  EXPECT_EQ(read_secret_file(write("\n\n", 0600)).error().code(), Errc::invalid_argument);
  EXPECT_EQ(read_secret_file(write(std::string(64 * 1024 + 1, 'a'), 0600)).error().code(), Errc::limit_reached);
  EXPECT_EQ(read_secret_file(write(std::string(64 * 1024, 'a'), 0600))->size(), 64U * 1024U);
}

}  // namespace
}  // namespace dig::store
