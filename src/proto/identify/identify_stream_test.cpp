// SPDX-License-Identifier: Apache-2.0
#include "proto/identify/identify_stream.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "wire/identity.hpp"

namespace dig::identify {
namespace {

class IdentifyTest : public ::testing::Test {
 protected:
  Identify message() const {
    Identify own;
    own.public_key = peer.public_key();
    own.listen_addresses = {Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value()};
    own.protocols = {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"};
    own.protocol_version = SafeText("dignet/1");
    own.agent_version = SafeText("dignet/0.1.0");
    return own;
  }
  static Bytes framed(BytesView message) {
    Bytes out;
    append_frame(out, message);
    return out;
  }
  Errc error(BytesView input) const {
    Reader reader(peer.peer_id());
    reader.handle_bytes(input);
    reader.handle_eof();
    EXPECT_TRUE(reader.result() && !*reader.result());
    return *reader.result() ? Errc::internal : reader.result()->error().code();
  }

  SeededRng rng{1};
  Identity peer = Identity::generate(rng);
};

TEST_F(IdentifyTest, WhatOneSideTellsTheOtherSideReads) {
  Sender sender(message());
  Reader reader(peer.peer_id());
  Bytes out(7);
  while (const std::size_t size = sender.poll_bytes(out)) reader.handle_bytes(BytesView(out).first(size));
  EXPECT_TRUE(sender.is_done());
  EXPECT_FALSE(reader.result().has_value()) << "the end of the stream completes the message";
  reader.handle_eof();
  ASSERT_TRUE(reader.result() && *reader.result());
  EXPECT_EQ(**reader.result(), message());
}

TEST_F(IdentifyTest, PartsAreMerged) {
  Identify first = message();
  first.protocols = {"/a"};
  Identify second;
  second.protocols = {"/b"};
  second.agent_version = SafeText("newer");
  Reader reader(peer.peer_id());
  Bytes input = framed(first.encode());
  append(input, framed(second.encode()));
  reader.handle_bytes(input);
  reader.handle_eof();
  ASSERT_TRUE(reader.result() && *reader.result());
  EXPECT_EQ((*reader.result())->protocols, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ((*reader.result())->agent_version, SafeText("newer"));
  EXPECT_EQ((*reader.result())->listen_addresses.size(), 1u);
}

TEST_F(IdentifyTest, TheKeyOfSomebodyElseIsRefused) {
  Identify forged = message();
  forged.public_key = Identity::generate(rng).public_key();
  EXPECT_EQ(error(framed(forged.encode())), Errc::peer_id_mismatch);
}

TEST_F(IdentifyTest, AMessageWithoutKeyIsAccepted) {
  Identify partial;
  partial.protocols = {"/a"};
  Reader reader(peer.peer_id());
  reader.handle_bytes(framed(partial.encode()));
  reader.handle_eof();
  ASSERT_TRUE(reader.result() && *reader.result());
}

TEST_F(IdentifyTest, EveryPrefixIsTruncated) {
  const Bytes whole = framed(message().encode());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(error(BytesView(whole).first(size)), Errc::truncated) << size;
  }
}

TEST_F(IdentifyTest, TotalSizeIsBoundedBeforeTheBytesArrive) {
  Reader reader(peer.peer_id());
  reader.handle_bytes(framed(Bytes(Identify::max_encoded_size + 1)));
  ASSERT_TRUE(reader.result() && !*reader.result());
  EXPECT_EQ(reader.result()->error().code(), Errc::oversized);
  EXPECT_LE(reader.snapshot().buffered_bytes, 9u);

  Bytes parts = framed(Bytes(Identify::max_encoded_size - 10));
  append(parts, framed(Bytes(11)));
  EXPECT_EQ(error(parts), Errc::oversized);
}

TEST_F(IdentifyTest, MoreThan10PartsAreAFlood) {
  Bytes parts = framed(message().encode());
  for (int i = 0; i < 9; ++i) append(parts, framed({}));
  Reader reader(peer.peer_id());
  reader.handle_bytes(parts);
  EXPECT_FALSE(reader.result().has_value());
  reader.handle_bytes(framed({}));
  ASSERT_TRUE(reader.result() && !*reader.result());
  EXPECT_EQ(reader.result()->error().code(), Errc::flood);
}

TEST_F(IdentifyTest, GarbageIsMalformed) {
  EXPECT_EQ(error(framed(as_bytes("not a protobuf"))), Errc::malformed);
  EXPECT_EQ(error(as_bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")), Errc::malformed);
}

}  // namespace
}  // namespace dig::identify
