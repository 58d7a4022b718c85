// SPDX-License-Identifier: Apache-2.0
#include "proto/store_exchange/client.hpp"

#include <gtest/gtest.h>

#include "store/merkle.hpp"

namespace dig::exchange {
namespace {

constexpr Instant k_start{1h};
constexpr std::uint64_t k_size = 10 * store::k_chunk_size + 77;  // 11 chunks

ArchiveId test_archive() { return {.store = {{std::byte{1}}}, .root = {{std::byte{2}}}, .size = k_size}; }

Bytes framed(const StoreResponse& response) {
  Bytes out;
  append_frame(out, encode_store_response(response));
  return out;
}
Bytes refusal(StoreStatus status) { return framed({.status = status, .body = {}}); }
Bytes have_answer() { return framed({.body = HaveResponse{test_archive().root, k_size, {{0, 11}}}}); }
Bytes chunk_header(std::uint64_t index, std::uint32_t size, std::size_t proof = 4) {
  return framed({.body = ChunkHeader{index, size, std::vector<Hash256>(proof)}});
}
Bytes chunk_answer(std::uint64_t index) {
  const auto size = static_cast<std::uint32_t>(store::chunk_size_at(k_size, index));
  Bytes out = chunk_header(index, size);
  out.resize(out.size() + size, std::byte(index));
  return out;
}

class ClientTest : public testing::Test {
 protected:
  void ask(std::uint64_t first, std::uint32_t count) {
    ASSERT_TRUE(client_.request_chunks(now_, test_archive(), first, count));
  }
  void receive(BytesView bytes) {
    client_.handle_bytes(now_, bytes);
    drain();
  }
  void drain() {
    while (auto event = client_.poll_event()) events_.push_back(std::move(*event));
  }
  template <class T>
  const T& last() {
    EXPECT_FALSE(events_.empty());
    EXPECT_TRUE(std::holds_alternative<T>(events_.back()));
    return std::get<T>(events_.back());
  }
  Errc failure() { return last<ClientFailed>().error.code(); }

  Instant now_ = k_start;
  BufferPool pool_;
  ExchangeClient client_{k_start, pool_};
  std::vector<ClientEvent> events_;
};

TEST_F(ClientTest, writes_requests_that_a_server_understands) {
  ASSERT_TRUE(client_.request_have(now_, test_archive().store, std::nullopt));
  ASSERT_TRUE(client_.request_manifest(now_, test_archive().store, test_archive().root));
  ask(3, 4);
  Bytes out(1000);
  out.resize(client_.poll_bytes(now_, out));
  EXPECT_EQ(client_.poll_bytes(now_, out), 0u);
  std::vector<StoreRequest> requests;
  FrameReader frames(k_max_store_request);
  for (BytesView rest = out; !rest.empty();) {
    rest = rest.subspan(frames.feed(rest).value());
    requests.push_back(decode_store_request(frames.take_frame().value()).value());
  }
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0], StoreRequest(HaveRequest{test_archive().store, std::nullopt}));
  EXPECT_EQ(requests[1], StoreRequest(ManifestRequest{test_archive().store, test_archive().root}));
  EXPECT_EQ(requests[2], StoreRequest(ChunksRequest{test_archive().store, test_archive().root, 3, 4}));
}

TEST_F(ClientTest, hands_on_have_and_manifest) {
  ASSERT_TRUE(client_.request_have(now_, test_archive().store, std::nullopt));
  ASSERT_TRUE(client_.request_manifest(now_, test_archive().store, std::nullopt));
  receive(have_answer());
  EXPECT_EQ(last<HaveReceived>().have.size, k_size);
  const Manifest manifest{.store_id = test_archive().store, .root = test_archive().root, .size = k_size};
  const SignedManifest signed_manifest{.manifest = manifest.encode(), .signature = {}};
  receive(framed({.body = ManifestResponse{signed_manifest.encode()}}));
  EXPECT_EQ(last<ManifestReceived>().manifest, signed_manifest);
  EXPECT_EQ(client_.snapshot().requests_outstanding, 0u);
}

TEST_F(ClientTest, receives_chunks_in_pieces_of_any_size) {
  ask(9, 2);
  Bytes all = chunk_answer(9);
  append(all, chunk_answer(10));
  for (const std::size_t piece : {std::size_t{1000}, std::size_t{70000}, all.size()}) {
    ExchangeClient client(now_, pool_);
    ASSERT_TRUE(client.request_chunks(now_, test_archive(), 9, 2));
    for (BytesView rest = all; !rest.empty();) {
      const std::size_t size = std::min(piece, rest.size());
      client.handle_bytes(now_, rest.first(size));
      rest = rest.subspan(size);
    }
    const auto first = std::get<ChunkReceived>(client.poll_event().value());
    const auto second = std::get<ChunkReceived>(client.poll_event().value());
    EXPECT_EQ(first.index, 9u);
    EXPECT_EQ(first.data, Bytes(store::k_chunk_size, std::byte{9}));
    EXPECT_EQ(first.proof.size(), 4u);
    EXPECT_EQ(second.data, Bytes(77, std::byte{10}));
  }
}

TEST_F(ClientTest, chunk_bytes_are_received_straight_into_the_chunk) {
  ask(0, 1);
  const Bytes all = chunk_answer(0);
  BytesView rest = all;
  std::size_t copied = 0;
  while (!rest.empty()) {
    const MutableBytes space = client_.receive_space();
    ASSERT_FALSE(space.empty());
    const std::size_t size = std::min(space.size(), rest.size());
    if (space.size() <= 1024) copied += size;
    std::copy_n(rest.begin(), size, space.begin());
    client_.handle_received(now_, size);
    rest = rest.subspan(size);
  }
  drain();
  EXPECT_EQ(last<ChunkReceived>().data, Bytes(store::k_chunk_size, std::byte{0}));
  EXPECT_LE(copied, 1024u);
  EXPECT_EQ(client_.snapshot().first_chunk_byte, k_start);
}

TEST_F(ClientTest, a_recycled_buffer_is_used_again) {
  ask(0, 2);
  receive(chunk_answer(0));
  Bytes data = std::get<ChunkReceived>(events_.back()).data;
  const std::byte* const where = data.data();
  pool_.give(std::move(data));
  receive(chunk_answer(1));
  EXPECT_EQ(last<ChunkReceived>().data.data(), where);
}

TEST_F(ClientTest, refusals_become_codes_and_end_one_request) {
  const std::pair<StoreStatus, Errc> table[] = {{StoreStatus::not_found, Errc::store_not_found},
                                                {StoreStatus::busy, Errc::limit_reached},
                                                {StoreStatus::malformed, Errc::holder_refused},
                                                {StoreStatus::failed, Errc::holder_refused}};
  for (const auto& [status, code] : table) {
    ask(0, 5);
    receive(chunk_answer(0));
    receive(refusal(status));
    EXPECT_EQ(last<RequestRefused>().error.code(), code);
    EXPECT_EQ(last<RequestRefused>().first, 1u);
    EXPECT_EQ(last<RequestRefused>().count, 4u);
  }
  ask(6, 1);
  receive(chunk_answer(6));
  EXPECT_EQ(last<ChunkReceived>().index, 6u);
}

TEST_F(ClientTest, refuses_an_answer_that_nobody_asked_for) {
  receive(have_answer());
  EXPECT_EQ(failure(), Errc::protocol_violation);
  EXPECT_FALSE(client_.wants_bytes());
}

TEST_F(ClientTest, refuses_data_behind_the_last_answer) {
  ask(10, 1);
  Bytes all = chunk_answer(10);
  all.push_back(std::byte{0});
  receive(all);
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(failure(), Errc::protocol_violation);
}

TEST_F(ClientTest, refuses_chunks_out_of_order_or_never_asked_for) {
  for (const std::uint64_t wrong : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{7}, std::uint64_t{1000}}) {
    ExchangeClient client(now_, pool_);
    ASSERT_TRUE(client.request_chunks(now_, test_archive(), 6, 2));
    client.handle_bytes(now_, chunk_header(wrong, store::k_chunk_size));
    EXPECT_EQ(std::get<ClientFailed>(client.poll_event().value()).error.code(), Errc::protocol_violation) << wrong;
  }
}

TEST_F(ClientTest, refuses_chunks_of_the_wrong_size_before_their_bytes) {
  const std::pair<std::uint64_t, std::uint32_t> table[] = {
      {0, 0}, {0, 1}, {0, store::k_chunk_size - 1}, {10, 76}, {10, 78}, {10, store::k_chunk_size}, {10, 0}};
  for (const auto& [index, size] : table) {
    ExchangeClient client(now_, pool_);
    ASSERT_TRUE(client.request_chunks(now_, test_archive(), index, 1));
    client.handle_bytes(now_, chunk_header(index, size));
    EXPECT_EQ(std::get<ClientFailed>(client.poll_event().value()).error.code(), Errc::chunk_mismatch);
  }
}

TEST_F(ClientTest, refuses_a_proof_longer_than_the_tree) {
  ask(0, 1);
  receive(chunk_header(0, store::k_chunk_size, 5));
  EXPECT_EQ(failure(), Errc::chunk_mismatch);
}

TEST_F(ClientTest, refuses_an_answer_of_another_kind_version_or_extent) {
  const StoreId store = test_archive().store;
  const auto failure_of = [&](const std::optional<RootHash>& root, const Bytes& answer) {
    ExchangeClient client(now_, pool_);
    EXPECT_TRUE(client.request_have(now_, store, root));
    client.handle_bytes(now_, answer);
    const auto event = client.poll_event();
    return event && std::holds_alternative<ClientFailed>(*event);
  };
  EXPECT_FALSE(failure_of(test_archive().root, have_answer()));
  EXPECT_TRUE(failure_of(RootHash{}, have_answer()));
  EXPECT_TRUE(failure_of(std::nullopt, chunk_answer(0)));
  EXPECT_TRUE(failure_of(std::nullopt, framed({.body = HaveResponse{test_archive().root, k_size, {{0, 12}}}})));
  EXPECT_TRUE(failure_of(std::nullopt, framed({.body = ManifestResponse{to_bytes("?")}})));
  EXPECT_TRUE(failure_of(std::nullopt, to_bytes("\x02\xff\xff")));
}

TEST_F(ClientTest, refuses_a_manifest_that_does_not_decode) {
  ASSERT_TRUE(client_.request_manifest(now_, test_archive().store, std::nullopt));
  receive(framed({.body = ManifestResponse{to_bytes("nonsense")}}));
  (void)last<ClientFailed>();
}

TEST_F(ClientTest, refuses_an_announced_length_above_the_limit) {
  ask(0, 1);
  Bytes prefix;
  write_uvarint(prefix, k_max_store_response + 1);
  receive(prefix);
  EXPECT_EQ(failure(), Errc::oversized);
}

TEST_F(ClientTest, the_end_of_the_stream_is_a_failure_at_every_prefix) {
  const Bytes all = chunk_answer(10);
  for (std::size_t size = 0; size < all.size(); ++size) {
    ExchangeClient client(now_, pool_);
    ASSERT_TRUE(client.request_chunks(now_, test_archive(), 10, 1));
    client.handle_bytes(now_, BytesView(all).first(size));
    EXPECT_FALSE(client.poll_event()) << size;
    client.handle_eof(now_);
    EXPECT_EQ(std::get<ClientFailed>(client.poll_event().value()).error.code(), Errc::stream_closed);
  }
}

TEST_F(ClientTest, a_silent_holder_fails_after_ten_seconds_and_each_byte_gives_it_time) {
  EXPECT_EQ(client_.next_timeout(), std::nullopt);
  now_ = now_ + 100s;
  ask(0, 1);
  EXPECT_EQ(client_.next_timeout(), now_ + 10s);
  now_ = now_ + 9s;
  receive(BytesView(chunk_answer(0)).first(1));
  client_.handle_timeout(now_ + 9s);
  drain();
  EXPECT_TRUE(events_.empty());
  client_.handle_timeout(now_ + 10s);
  drain();
  EXPECT_EQ(failure(), Errc::peer_silent);
  EXPECT_EQ(client_.next_timeout(), std::nullopt);
}

TEST_F(ClientTest, too_many_or_impossible_requests_are_refused_here) {
  const auto code = [&](std::uint64_t first, std::uint32_t count) {
    const auto result = client_.request_chunks(now_, test_archive(), first, count);
    return result ? Errc::internal : result.error().code();
  };
  EXPECT_EQ(code(0, 0), Errc::invalid_argument);
  EXPECT_EQ(code(0, 12), Errc::invalid_argument);
  EXPECT_EQ(code(11, 1), Errc::invalid_argument);
  EXPECT_EQ(code(~std::uint64_t{0}, 1), Errc::invalid_argument);
  EXPECT_EQ(code(0, 257), Errc::invalid_argument);
  for (int i = 0; i < 16; ++i) ask(0, 1);
  EXPECT_FALSE(client_.can_request());
  EXPECT_EQ(code(0, 1), Errc::limit_reached);
  client_.handle_eof(now_);
  EXPECT_EQ(code(0, 1), Errc::stream_closed);
}

}  // namespace
}  // namespace dig::exchange
