// SPDX-License-Identifier: Apache-2.0
#include "store/disk/resource_reader.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "store/chunk_set.hpp"
#include "store/disk/archive.hpp"
#include "store/testing/disk_fixture.hpp"

namespace dig::store {
namespace {

// An archive of which only some chunks are here.
class SparseSource final : public ArchiveSource {
 public:
  explicit SparseSource(BytesView bytes) : bytes_(bytes), whole_(bytes), here(chunk_count(bytes.size())) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override {
    DIG_TRY(const std::size_t size, whole_.read_at(offset, out));
    const ChunkRange needed = chunks_of_bytes(offset, size);
    for (std::uint64_t i = 0; i < needed.count; ++i) {
      if (!here.test(needed.first + i)) return fail(Errc::not_here);
    }
    return size;
  }

 private:
  BytesView bytes_;
  MemorySource whole_;

 public:
  ChunkSet here;
};

struct ResourceReaderTest : testing::DiskTest {
  Bytes archive;
  Bytes big = random_bytes(1'300'000, 1);

  ResourceReaderTest() {
    write(folder() / "source" / "aa.bin", random_bytes(1'500'000, 2));
    write(folder() / "source" / "big.bin", big);
    write(folder() / "source" / "small.txt", "small");
    write(folder() / "source" / "zz.bin", random_bytes(1'000'000, 3));
    EXPECT_TRUE(make_archive(folder() / "source", folder() / "a.dig"));
    archive = read(folder() / "a.dig");
  }
};

TEST_F(ResourceReaderTest, ReadsResourcesOfAWholeArchive) {
  MemorySource source(archive);
  ResourceReader reader(source);
  EXPECT_EQ(as_text(*reader.read_all("small.txt", 100)), "small");
  EXPECT_EQ(*reader.read_all("big.bin", 10'000'000), big);
  const auto names = reader.list();
  ASSERT_TRUE(names);
  ASSERT_EQ(names->size(), 4U);
  EXPECT_EQ((*names)[1].name, "big.bin");
  EXPECT_EQ((*names)[1].size, big.size());
}

TEST_F(ResourceReaderTest, AbsentKeysAndLimitsAreErrors) {
  MemorySource source(archive);
  ResourceReader reader(source);
  EXPECT_EQ(reader.read_all("none", 100).error().code(), Errc::resource_not_found);
  EXPECT_EQ(reader.read_all("SMALL.TXT", 100).error().code(), Errc::resource_not_found);
  EXPECT_EQ(reader.read_all("", 100).error().code(), Errc::resource_not_found);
  EXPECT_TRUE(reader.read_all("small.txt", 5));
  EXPECT_EQ(reader.read_all("small.txt", 4).error().code(), Errc::limit_reached);
  EXPECT_FALSE(reader.missing());
}

TEST_F(ResourceReaderTest, OneResourceNeedsOnlyItsOwnChunks) {
  SparseSource source(archive);
  ResourceReader reader(source);
  int rounds = 0;
  while (true) {
    ASSERT_LT(++rounds, 10);
    const auto content = reader.read_all("big.bin", 10'000'000);
    if (content) {
      EXPECT_EQ(*content, big);
      break;
    }
    ASSERT_EQ(content.error().code(), Errc::not_here);
    ASSERT_TRUE(reader.missing());
    ASSERT_GT(reader.missing()->size, 0U);
    source.here.set_range(chunks_of_bytes(reader.missing()->offset, reader.missing()->size));
  }
  EXPECT_LE(rounds, 4);
  // Of 15 chunks: 5 or 6 of the resource, and the end of the archive.
  EXPECT_LE(source.here.count(), 8U);
}

TEST_F(ResourceReaderTest, TheSinkHearsNothingBeforeEverythingIsHere) {
  SparseSource source(archive);
  source.here = ChunkSet::full(chunk_count(archive.size()));
  source.here.reset(8);  // in the middle of big.bin
  ResourceReader reader(source);
  std::uint64_t heard = 0;
  const auto sink = [&](BytesView piece) -> Result<void> {
    heard += piece.size();
    return {};
  };
  EXPECT_EQ(reader.read("big.bin", sink).error().code(), Errc::not_here);
  EXPECT_EQ(heard, 0U);
  EXPECT_EQ(reader.missing()->offset, chunk_offset(8));
  source.here.set(8);
  EXPECT_EQ(*reader.read("big.bin", sink), big.size());
  EXPECT_EQ(heard, big.size());
}

TEST_F(ResourceReaderTest, TheSinksErrorEndsTheRead) {
  MemorySource source(archive);
  ResourceReader reader(source);
  const auto done = reader.read("big.bin", [](BytesView) -> Result<void> { return fail(Errc::disk_full); });
  EXPECT_EQ(done.error().code(), Errc::disk_full);
}

}  // namespace
}  // namespace dig::store
