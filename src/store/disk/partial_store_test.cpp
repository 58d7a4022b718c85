// SPDX-License-Identifier: Apache-2.0
#include "store/disk/partial_store.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "store/disk/leaves_file.hpp"
#include "store/testing/disk_fixture.hpp"

namespace dig::store {
namespace {

using testing::HeldStore;

const StoreId k_store_id = StoreId{SeededRng(99).array<32>()};

struct PartialStoreTest : testing::DiskTest {
  HeldStore held{random_bytes(5 * k_chunk_size + 1000, 1), k_store_id};

  std::unique_ptr<PartialStore> open() {
    auto partial = PartialStore::open(folder(), held.manifest);
    EXPECT_TRUE(partial) << partial.error().message();
    return partial ? std::move(*partial) : nullptr;
  }
  Result<void> put(PartialStore& partial, std::uint64_t index) {
    return partial.write_chunk(index, held.chunk(index), held.tree.proof(index));
  }
  fs::path file(const char* extension) const {
    return folder() / (k_store_id.to_hex() + "-" + held.root().to_hex() + extension);
  }
};

TEST_F(PartialStoreTest, ChunksAreVerifiedWrittenAndRemembered) {
  {
    const auto partial = open();
    EXPECT_TRUE(partial->have().none());
    EXPECT_EQ(partial->chunks(), 6U);
    for (const std::uint64_t index : {5U, 0U, 3U}) EXPECT_TRUE(put(*partial, index));
    EXPECT_TRUE(put(*partial, 3));  // again
    EXPECT_EQ(partial->have().count(), 3U);
  }
  const auto partial = open();
  EXPECT_EQ(partial->have().count(), 3U);
  EXPECT_TRUE(partial->have().test(5));
  Bytes out(k_chunk_size);
  EXPECT_EQ(*partial->read_at(chunk_offset(5), out), 1000U);
  EXPECT_TRUE(equal(BytesView(out).first(1000), held.chunk(5)));
}

TEST_F(PartialStoreTest, NothingWrongIsEverWritten) {
  const auto partial = open();
  ASSERT_TRUE(put(*partial, 0));
  const Bytes before = read(file(".part"));
  const auto refused = [&](std::uint64_t index, BytesView data, const std::vector<Hash256>& proof) {
    const auto result = partial->write_chunk(index, data, proof);
    return !result && result.error().code() == Errc::chunk_mismatch;
  };
  Bytes flipped = to_bytes(held.chunk(1));
  flipped[777] ^= std::byte{1};
  const auto proof = held.tree.proof(1);
  EXPECT_TRUE(refused(1, flipped, proof));
  EXPECT_TRUE(refused(2, held.chunk(1), proof));  // right chunk, wrong place
  EXPECT_TRUE(refused(1, held.chunk(1), held.tree.proof(2)));
  EXPECT_TRUE(refused(1, held.chunk(1).first(k_chunk_size - 1), proof));  // short
  EXPECT_TRUE(refused(5, held.chunk(0), held.tree.proof(5)));             // long
  EXPECT_TRUE(refused(6, {}, {}));                                        // past the end
  EXPECT_TRUE(refused(UINT64_MAX, held.chunk(1), proof));
  EXPECT_TRUE(refused(1, held.chunk(1), {}));
  auto longer = proof;
  longer.push_back(proof[0]);
  EXPECT_TRUE(refused(1, held.chunk(1), longer));
  EXPECT_TRUE(read(file(".part")) == before);
  EXPECT_EQ(partial->have().count(), 1U);
}

TEST_F(PartialStoreTest, SpaceIsTakenOnlyOnceTheSizeIsProven) {
  const SignedManifest liar = make_unsigned_manifest(k_store_id, held.root(), k_max_store_size);
  {
    const auto partial = PartialStore::open(folder(), liar);
    ASSERT_TRUE(partial);
    EXPECT_FALSE((*partial)->write_chunk(0, held.chunk(0), held.tree.proof(0)));
    EXPECT_EQ(fs::file_size(file(".part")), 0U);
  }
  const auto partial = open();  // the lie left nothing that would be in the way
  EXPECT_TRUE(put(*partial, 0));
  EXPECT_EQ(fs::file_size(file(".part")), held.content.size());
  EXPECT_EQ(PartialStore::open(folder(), make_unsigned_manifest(k_store_id, held.root(), k_max_store_size + 1))
                .error()
                .code(),
            Errc::limit_reached);
}

TEST_F(PartialStoreTest, OnceProvenAnotherSizeIsRefused) {
  ASSERT_TRUE(put(*open(), 0));
  const auto partial = PartialStore::open(folder(), make_unsigned_manifest(k_store_id, held.root(), 77));
  ASSERT_FALSE(partial);
  EXPECT_EQ(partial.error().code(), Errc::manifest_mismatch);
}

TEST_F(PartialStoreTest, OnlyOneMayHaveItOpen) {
  auto first = open();
  const auto second = PartialStore::open(folder(), held.manifest);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Errc::store_busy);
  first.reset();
  EXPECT_TRUE(PartialStore::open(folder(), held.manifest));
}

TEST_F(PartialStoreTest, ClaimsThatTheDiskDoesNotKeepAreDropped) {
  {
    const auto partial = open();
    for (std::uint64_t index = 0; index < 6; ++index) ASSERT_TRUE(put(*partial, index));
  }
  flip_byte(file(".part"), chunk_offset(2) + 5);    // lost data
  flip_byte(file(".leaves"), leaf_offset(4) + 31);  // torn leaf hash
  const auto partial = open();
  EXPECT_EQ(partial->have().count(), 4U);
  EXPECT_FALSE(partial->have().test(2));
  EXPECT_FALSE(partial->have().test(4));
  EXPECT_TRUE(put(*partial, 2));
  EXPECT_TRUE(put(*partial, 4));
  EXPECT_TRUE(partial->have().all());
}

TEST_F(PartialStoreTest, ATruncatedDataFileLosesOnlyWhatWasCut) {
  {
    const auto partial = open();
    for (std::uint64_t index = 0; index < 6; ++index) ASSERT_TRUE(put(*partial, index));
  }
  fs::resize_file(file(".part"), chunk_offset(3));
  EXPECT_EQ(open()->have().count(), 3U);
}

TEST_F(PartialStoreTest, ADamagedHeaderStartsAfresh) {
  ASSERT_TRUE(put(*open(), 1));
  for (const std::uint64_t offset : {0U, 8U, 40U, 72U, 80U, 127U}) {
    flip_byte(file(".leaves"), offset);
    const auto partial = open();
    EXPECT_TRUE(partial->have().none()) << offset;
    EXPECT_TRUE(put(*partial, 1));
  }
  fs::resize_file(file(".leaves"), 100);
  EXPECT_TRUE(open()->have().none());
}

TEST_F(PartialStoreTest, ReadingWhatIsNotHereSaysSo) {
  const auto partial = open();
  ASSERT_TRUE(put(*partial, 1));
  Bytes out(10);
  EXPECT_EQ(partial->read_at(0, out).error().code(), Errc::not_here);
  EXPECT_EQ(partial->read_at(chunk_offset(2) - 5, out).error().code(), Errc::not_here);
  EXPECT_EQ(*partial->read_at(chunk_offset(2) - 10, out), 10U);
  EXPECT_EQ(*partial->read_at(held.content.size(), out), 0U);
  EXPECT_EQ(*partial->read_at(UINT64_MAX, out), 0U);
}

TEST_F(PartialStoreTest, SeveralThreadsMayWriteAtOnce) {
  const HeldStore large(random_bytes(40 * k_chunk_size, 4), k_store_id);
  auto opened = PartialStore::open(folder(), large.manifest);
  ASSERT_TRUE(opened);
  PartialStore& partial = **opened;
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint64_t index = t; index < 40; index += 4) {
          EXPECT_TRUE(partial.write_chunk(index, large.chunk(index), large.tree.proof(index)));
          (void)partial.have();
        }
      });
    }
  }
  EXPECT_TRUE(partial.have().all());
  Bytes all(large.content.size());
  EXPECT_EQ(*partial.read_at(0, all), all.size());
  EXPECT_EQ(all, large.content);
}

// A child writes chunks one after another and is killed; what it had done when it told us must be here.
TEST_F(PartialStoreTest, KillAtAnyMomentLosesNothingThatWasDone) {
  std::uint64_t expected = 0;
  for (int round = 0; round < 6; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto partial = PartialStore::open(folder(), held.manifest);
      if (!partial) ::_exit(1);
      for (std::uint64_t index = 0; index < held.chunks(); ++index) {
        if ((*partial)->have().test(index)) continue;
        if (!put(**partial, index)) ::_exit(2);
        const char done = 'x';
        if (::write(ends[1], &done, 1) != 1) ::_exit(3);
      }
      ::pause();
    }
    ::close(ends[1]);
    char done = 0;
    ASSERT_EQ(::read(ends[0], &done, 1), 1);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(ends[0]);
    const auto partial = open();
    ++expected;
    EXPECT_GE(partial->have().count(), expected);
    expected = partial->have().count();
    for (std::uint64_t index = 0; index < held.chunks(); ++index) {
      if (!partial->have().test(index)) continue;
      Bytes out(held.chunk(index).size());
      ASSERT_TRUE(partial->read_at(chunk_offset(index), out));
      EXPECT_TRUE(equal(out, held.chunk(index)));
    }
    if (partial->have().all()) return;
  }
}

TEST(LeavesHeader, RoundTripsAndRefusesEverythingElse) {
  SeededRng rng(1);
  const LeavesHeader header{StoreId{rng.array<32>()}, RootHash{rng.array<32>()}, 12345};
  const Bytes encoded = header.encode();
  ASSERT_EQ(encoded.size(), LeavesHeader::encoded_bytes);
  EXPECT_EQ(*LeavesHeader::decode(encoded), header);
  for (std::size_t size = 0; size < encoded.size(); ++size)
    EXPECT_FALSE(LeavesHeader::decode(BytesView(encoded).first(size)));
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    Bytes changed = encoded;
    changed[i] ^= std::byte{1};
    EXPECT_FALSE(LeavesHeader::decode(changed)) << i;
  }
  EXPECT_TRUE(LeavesHeader::decode(LeavesHeader{header.store_id, header.root, k_max_store_size}.encode()));
  EXPECT_EQ(
      LeavesHeader::decode(LeavesHeader{header.store_id, header.root, k_max_store_size + 1}.encode()).error().code(),
      Errc::oversized);
}

}  // namespace
}  // namespace dig::store
