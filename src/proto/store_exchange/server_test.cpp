// SPDX-License-Identifier: Apache-2.0
#include "proto/store_exchange/server.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace dig::exchange {
namespace {

constexpr Instant k_start{1h};

StoreId test_store() { return {{std::byte{1}}}; }
RootHash test_root() { return {{std::byte{2}}}; }

Bytes request_bytes(const StoreRequest& request) {
  Bytes out;
  append_frame(out, encode_store_request(request));
  return out;
}
Bytes chunks_request(std::uint64_t first, std::uint32_t count) {
  return request_bytes(ChunksRequest{test_store(), test_root(), first, count});
}
Bytes have_request() { return request_bytes(HaveRequest{test_store(), std::nullopt}); }
HaveResponse some_have() { return {.root = test_root(), .size = 1000, .ranges = {{0, 1}}}; }
ChunkData chunk_of(std::uint64_t index, std::size_t size = 100) {
  return {.data = Bytes(size, std::byte(index)), .proof = {Hash256{}}};
}

// A server, and what it asked and wrote so far.
class ServerTest : public testing::Test {
 protected:
  void send(BytesView bytes) {
    server_.handle_bytes(now_, bytes);
    drain();
  }
  void drain() {
    while (auto event = server_.poll_event()) {
      if (auto* finished = std::get_if<ServerFinished>(&*event)) finished_ = *finished;
      if (auto* chunk = std::get_if<WantChunk>(&*event)) wanted_.push_back(*chunk);
      if (auto* have = std::get_if<WantHave>(&*event)) haves_.push_back(have->token);
      if (auto* manifest = std::get_if<WantManifest>(&*event)) manifests_.push_back(manifest->token);
    }
  }
  void answer(const WantChunk& want, Result<ChunkData> data) {
    server_.answer_chunk(now_, want.token, std::move(data));
    drain();
  }
  void answer(const WantChunk& want) { answer(want, chunk_of(want.index)); }

  // What a client would make of the output: each status or chunk index in order.
  struct Output {
    StoreResponse response;
    Bytes data;
  };
  std::vector<Output> read_output(std::size_t piece = 70000) {
    Bytes raw(piece);
    while (const std::size_t size = server_.poll_bytes(now_, raw)) append(received_, BytesView(raw).first(size));
    drain();
    std::vector<Output> outputs;
    BytesView rest = received_;
    while (!rest.empty()) {
      FrameReader frames(k_max_store_response);
      const auto taken = frames.feed(rest);
      const auto frame = frames.take_frame();
      if (!taken || !frame) break;
      rest = rest.subspan(*taken);
      auto response = decode_store_response(*frame);
      EXPECT_TRUE(response.has_value());
      if (!response) break;
      Output output{*response, {}};
      if (const auto* header = std::get_if<ChunkHeader>(&response->body)) {
        output.data = to_bytes(rest.first(header->size));
        rest = rest.subspan(header->size);
      }
      outputs.push_back(std::move(output));
    }
    return outputs;
  }
  static std::uint64_t index_of(const Output& output) { return std::get<ChunkHeader>(output.response.body).index; }

  Instant now_ = k_start;
  BufferPool pool_;
  ExchangeServer server_{k_start, pool_};
  std::vector<WantChunk> wanted_;
  std::vector<ServerToken> haves_;
  std::vector<ServerToken> manifests_;
  std::optional<ServerFinished> finished_;
  Bytes received_;
};

TEST_F(ServerTest, answers_have_and_manifest) {
  send(have_request());
  send(request_bytes(ManifestRequest{test_store(), test_root()}));
  ASSERT_EQ(haves_.size(), 1u);
  ASSERT_EQ(manifests_.size(), 1u);
  server_.answer_have(now_, haves_[0], some_have());
  server_.answer_manifest(now_, manifests_[0], to_bytes("signed"));
  const auto output = read_output();
  ASSERT_EQ(output.size(), 2u);
  EXPECT_EQ(std::get<HaveResponse>(output[0].response.body), some_have());
  EXPECT_EQ(as_text(std::get<ManifestResponse>(output[1].response.body).signed_manifest), "signed");
}

TEST_F(ServerTest, keeps_the_order_of_requests_whatever_the_order_of_answers) {
  send(chunks_request(7, 3));
  send(have_request());
  ASSERT_EQ(wanted_.size(), 3u);
  ASSERT_EQ(haves_.size(), 1u);
  server_.answer_have(now_, haves_[0], some_have());
  answer(wanted_[2]);
  answer(wanted_[1]);
  EXPECT_TRUE(read_output().empty());
  answer(wanted_[0]);
  const auto output = read_output();
  ASSERT_EQ(output.size(), 4u);
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(index_of(output[i]), 7 + i);
    EXPECT_EQ(output[i].data, chunk_of(7 + i).data);
  }
  EXPECT_TRUE(std::holds_alternative<HaveResponse>(output[3].response.body));
}

TEST_F(ServerTest, reads_no_more_than_four_chunks_ahead_of_a_slow_peer) {
  send(chunks_request(0, 256));
  EXPECT_EQ(wanted_.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) answer(wanted_[i]);
  EXPECT_EQ(wanted_.size(), 4u);
  Bytes one(1);
  while (server_.snapshot().chunks_served == 0) ASSERT_EQ(server_.poll_bytes(now_, one), 1u);
  drain();
  EXPECT_EQ(wanted_.size(), 5u);
}

TEST_F(ServerTest, gives_sent_buffers_back_to_the_pool) {
  send(chunks_request(0, 2));
  answer(wanted_[0]);
  answer(wanted_[1]);
  EXPECT_EQ(read_output().size(), 2u);
  EXPECT_EQ(pool_.spare(), 2u);
}

TEST_F(ServerTest, an_error_ends_its_request_and_no_other) {
  send(chunks_request(0, 100));
  send(chunks_request(50, 1));
  answer(wanted_[2]);
  answer(wanted_[1], fail(Errc::io_failed));
  answer(wanted_[0]);
  answer(wanted_[3]);
  EXPECT_EQ(read_output().size(), 2u);
  ASSERT_EQ(wanted_.size(), 5u);
  answer(wanted_[4]);
  const auto output = read_output();
  ASSERT_EQ(output.size(), 3u);
  EXPECT_EQ(index_of(output[0]), 0u);
  EXPECT_EQ(output[1].response.status, StoreStatus::failed);
  EXPECT_EQ(index_of(output[2]), 50u);
}

TEST_F(ServerTest, two_errors_of_one_request_are_told_once) {
  send(chunks_request(0, 4));
  answer(wanted_[2], fail(Errc::io_failed));
  answer(wanted_[0], fail(Errc::limit_reached));
  answer(wanted_[1]);
  answer(wanted_[3]);
  send(have_request());
  EXPECT_EQ(read_output().size(), 1u);
  server_.answer_have(now_, haves_.at(0), fail(Errc::store_not_found));
  const auto output = read_output();
  ASSERT_EQ(output.size(), 2u);
  EXPECT_EQ(output[0].response.status, StoreStatus::busy);
  EXPECT_EQ(output[1].response.status, StoreStatus::not_found);
  EXPECT_EQ(server_.snapshot().requests_queued, 0u);
}

TEST_F(ServerTest, a_chunk_larger_than_the_protocol_allows_is_a_failure) {
  send(chunks_request(0, 1));
  answer(wanted_[0], chunk_of(0, k_store_chunk_size + 1));
  const auto output = read_output();
  ASSERT_EQ(output.size(), 1u);
  EXPECT_EQ(output[0].response.status, StoreStatus::failed);
}

TEST_F(ServerTest, requests_arrive_in_pieces_of_any_size) {
  Bytes all = have_request();
  append(all, chunks_request(3, 1));
  for (const std::byte b : all) send(BytesView(&b, 1));
  EXPECT_EQ(haves_.size(), 1u);
  EXPECT_EQ(wanted_.size(), 1u);
  EXPECT_FALSE(finished_);
}

TEST_F(ServerTest, more_than_sixteen_requests_wait_and_are_all_answered) {
  Bytes all;
  for (int i = 0; i < 100; ++i) append(all, have_request());
  send(all);
  EXPECT_FALSE(server_.wants_bytes());
  EXPECT_EQ(server_.snapshot().requests_queued, 16u);
  for (std::size_t i = 0; i < 100; ++i) {
    ASSERT_GT(haves_.size(), i);
    server_.answer_have(now_, haves_[i], some_have());
    Bytes out(1000);
    EXPECT_GT(server_.poll_bytes(now_, out), 0u);
    drain();
  }
  EXPECT_TRUE(server_.wants_bytes());
  EXPECT_EQ(server_.snapshot().requests_served, 100u);
}

TEST_F(ServerTest, a_flood_behind_a_full_queue_ends_the_stream) {
  Bytes all;
  while (all.size() < 66 * 1024) append(all, have_request());
  send(all);
  ASSERT_TRUE(finished_);
  EXPECT_EQ(finished_->error.value().code(), Errc::flood);
  EXPECT_TRUE(server_.output().empty());
}

TEST_F(ServerTest, what_it_cannot_understand_is_told_after_what_was_asked_before) {
  send(have_request());
  send(to_bytes("\x03xyz"));
  EXPECT_FALSE(server_.wants_bytes());
  server_.answer_have(now_, haves_.at(0), some_have());
  EXPECT_FALSE(finished_);
  const auto output = read_output();
  ASSERT_EQ(output.size(), 2u);
  EXPECT_EQ(output[1].response.status, StoreStatus::malformed);
  ASSERT_TRUE(finished_);
  EXPECT_TRUE(finished_->error.has_value());
}

TEST_F(ServerTest, an_oversized_request_is_refused_at_its_length) {
  Bytes prefix;
  write_uvarint(prefix, k_max_store_request + 1);
  send(prefix);
  EXPECT_EQ(read_output().at(0).response.status, StoreStatus::malformed);
  EXPECT_EQ(finished_.value().error.value().code(), Errc::oversized);
}

TEST_F(ServerTest, the_end_of_the_stream_comes_after_all_answers) {
  send(chunks_request(0, 1));
  server_.handle_eof(now_);
  drain();
  EXPECT_FALSE(finished_);
  answer(wanted_[0]);
  EXPECT_EQ(read_output().size(), 1u);
  ASSERT_TRUE(finished_);
  EXPECT_FALSE(finished_->error);
}

TEST_F(ServerTest, an_end_inside_a_request_is_an_error_at_every_prefix) {
  const Bytes request = have_request();
  for (std::size_t size = 0; size < request.size(); ++size) {
    ExchangeServer server(now_, pool_);
    server.handle_bytes(now_, BytesView(request).first(size));
    server.handle_eof(now_);
    const auto event = server.poll_event();
    ASSERT_TRUE(event && std::holds_alternative<ServerFinished>(*event)) << size;
    const auto& error = std::get<ServerFinished>(*event).error;
    EXPECT_EQ(error.has_value(), size != 0);
    if (error) {
      EXPECT_EQ(error->code(), Errc::truncated);
    }
  }
}

TEST_F(ServerTest, an_idle_stream_ends_after_a_minute_and_drops_of_bytes_do_not_keep_it) {
  const Bytes request = have_request();
  for (int second = 0; second < 59; ++second) {
    now_ = k_start + std::chrono::seconds(second);
    send(BytesView(request).subspan(static_cast<std::size_t>(second) % 2, 1).first(second < 2 ? 1 : 0));
    server_.handle_timeout(now_);
  }
  drain();
  EXPECT_FALSE(finished_);
  EXPECT_EQ(server_.next_timeout(), k_start + 60s);
  server_.handle_timeout(k_start + 60s);
  drain();
  EXPECT_EQ(finished_.value().error.value().code(), Errc::phase_timeout);
  EXPECT_EQ(server_.next_timeout(), std::nullopt);
}

TEST_F(ServerTest, a_peer_that_takes_nothing_is_given_up_after_a_minute) {
  send(chunks_request(0, 1));
  EXPECT_EQ(server_.next_timeout(), std::nullopt);  // the owner is working
  now_ = now_ + 5s;
  answer(wanted_[0], chunk_of(0, 1000));
  EXPECT_EQ(server_.next_timeout(), now_ + 60s);
  server_.handle_timeout(now_ + 59s);
  drain();
  EXPECT_FALSE(finished_);
  server_.handle_timeout(now_ + 60s);
  drain();
  EXPECT_EQ(finished_.value().error.value().code(), Errc::peer_silent);
  EXPECT_EQ(pool_.spare(), 1u);
}

TEST_F(ServerTest, a_peer_that_dribbles_loses_its_place_and_one_that_is_only_slow_keeps_it) {
  send(chunks_request(0, 1));
  answer(wanted_[0], chunk_of(0, 200'000));
  const auto take = [&](std::size_t size) { server_.handle_written(now_, std::min(size, server_.output().size())); };
  for (int period = 0; period < 2; ++period) {  // 70 KB in 59 s is progress
    now_ = now_ + 59s;
    take(1000);
    take(69'000);
    server_.handle_timeout(now_);
    drain();
    ASSERT_FALSE(finished_);
  }
  for (int i = 0; i < 59; ++i) {  // a byte a second is not
    now_ = now_ + 1s;
    take(1);
    server_.handle_timeout(now_);
    drain();
    ASSERT_FALSE(finished_) << i;
  }
  now_ = now_ + 1s;
  server_.handle_timeout(now_);
  drain();
  ASSERT_TRUE(finished_);
  EXPECT_EQ(finished_->error.value().code(), Errc::peer_silent);
}

TEST_F(ServerTest, late_answers_after_the_end_are_harmless) {
  send(chunks_request(0, 2));
  server_.handle_bytes(now_, Bytes(70 * 1024, std::byte{0}));
  drain();
  answer(wanted_[0]);
  answer(wanted_[1]);
  answer(wanted_[1]);
  server_.answer_have(now_, {999}, some_have());
  (void)read_output();
  EXPECT_TRUE(finished_);
}

TEST_F(ServerTest, output_without_a_copy_is_the_same_as_with_one) {
  send(chunks_request(0, 4));
  for (std::size_t i = 0; i < 4; ++i) answer(wanted_[i], chunk_of(i, 5000));
  Bytes seen;
  while (!server_.output().empty()) {
    const BytesView next = server_.output();
    const std::size_t size = std::min<std::size_t>(next.size(), 333);
    append(seen, next.first(size));
    server_.handle_written(now_, size);
  }
  received_ = seen;
  const auto output = read_output();
  ASSERT_EQ(output.size(), 4u);
  EXPECT_EQ(output[3].data, chunk_of(3, 5000).data);
}

}  // namespace
}  // namespace dig::exchange
