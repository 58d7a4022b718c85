// SPDX-License-Identifier: Apache-2.0
// Fetch, client and server together over byte streams that are cut into random pieces, with holders that alter, cut or
// prolong what they send. It also shows how an owner wires the three machines.
#include <gtest/gtest.h>

#include <memory>

#include "proto/store_exchange/client.hpp"
#include "proto/store_exchange/fetch.hpp"
#include "proto/store_exchange/server.hpp"
#include "proto/store_exchange/testing/test_store.hpp"

namespace dig::exchange {
namespace {

using testing::TestDisk;
using testing::TestStore;

enum class Evil { none, flips_a_byte, cuts_the_stream, adds_bytes, sends_other_data };

const TestStore& test_store() {
  static const TestStore store(9 * store::k_chunk_size + 100, 6);
  return store;
}

class Exchange {
 public:
  explicit Exchange(std::uint64_t seed)
      : rng_(seed), fetch_({.store = test_store().id, .root = test_store().root}, pool_) {
    fetch_.start(now_);
  }
  void add(Evil evil) {
    Link link{.evil = evil, .evil_at = rng_.below(4 * store::k_chunk_size)};
    link.client = std::make_unique<ExchangeClient>(now_, pool_);
    link.server = std::make_unique<ExchangeServer>(now_, pool_);
    const HolderId id{links_.size() + 1};
    links_.emplace(id, std::move(link));
    fetch_.holder_added(now_, id);
  }
  void run() {
    for (int step = 0; step < 100'000 && !done_ && !failed_; ++step) {
      now_ = now_ + 100us;
      drain_fetch();
      for (auto& [id, link] : links_) move_bytes(id, link);
      finish_a_write();
      fetch_.handle_timeout(now_);
    }
  }
  [[nodiscard]] bool is_complete() const { return done_ && disk_.have.all(); }
  [[nodiscard]] const std::optional<Error>& failed() const { return failed_; }
  [[nodiscard]] FetchStatus status() const { return fetch_.snapshot(); }

 private:
  enum class Asked { have, manifest, chunks };
  struct Link {
    Evil evil = Evil::none;
    std::uint64_t evil_at = 0;
    std::unique_ptr<ExchangeClient> client = nullptr;
    std::unique_ptr<ExchangeServer> server = nullptr;
    std::map<RequestId, Asked> asked = {};
    std::vector<ServerEvent> wants = {};
    std::uint64_t moved = 0;
    bool is_gone = false;
  };

  void drain_fetch() {
    while (auto event = fetch_.poll_event()) {
      if (auto* have = std::get_if<AskHave>(&*event)) {
        Link& link = links_.at(have->holder);
        link.asked[link.client->request_have(now_, test_store().id, have->root).value()] = Asked::have;
      } else if (auto* manifest = std::get_if<AskManifest>(&*event)) {
        Link& link = links_.at(manifest->holder);
        link.asked[link.client->request_manifest(now_, test_store().id, manifest->root).value()] = Asked::manifest;
      } else if (auto* chunks = std::get_if<AskChunks>(&*event)) {
        Link& link = links_.at(chunks->holder);
        const ArchiveId archive{test_store().id, test_store().root, test_store().size()};
        link.asked[link.client->request_chunks(now_, archive, chunks->first, chunks->count).value()] = Asked::chunks;
      } else if (auto* drop = std::get_if<DropHolder>(&*event)) {
        links_.at(drop->holder).is_gone = true;
      } else if (auto* open = std::get_if<OpenPartial>(&*event)) {
        disk_.open(open->manifest);
        fetch_.handle_partial_opened(now_, disk_.have);
      } else if (auto* write = std::get_if<WriteChunk>(&*event)) {
        writes_.push_back(std::move(*write));
      } else if (std::holds_alternative<FetchDone>(*event)) {
        done_ = true;
      } else if (auto* failure = std::get_if<FetchFailed>(&*event)) {
        failed_ = failure->error;
      }
    }
  }

  void finish_a_write() {
    if (writes_.empty()) return;
    const auto chosen = writes_.begin() + static_cast<std::ptrdiff_t>(rng_.below(writes_.size()));
    const std::uint64_t index = chosen->index;
    const Result<void> result = disk_.write(index, chosen->data, chosen->proof);
    pool_.give(std::move(chosen->data));
    writes_.erase(chosen);
    fetch_.handle_chunk_written(now_, index, result);
  }

  void move_bytes(HolderId id, Link& link) {
    if (link.is_gone) return;
    Bytes piece(1 + rng_.below(60));
    piece.resize(link.client->poll_bytes(now_, piece));
    if (link.server->wants_bytes() && !piece.empty()) link.server->handle_bytes(now_, piece);
    while (auto event = link.server->poll_event()) link.wants.push_back(std::move(*event));
    if (!link.wants.empty()) answer(link);
    move_answers(link);
    while (!link.is_gone) {
      auto event = link.client->poll_event();
      if (!event) break;
      std::visit([&](auto& e) { handle(id, link, e); }, *event);
    }
  }

  // Straight from the server's buffers into the client's, as a connection would.
  void move_answers(Link& link) {
    const std::size_t most = 1 + rng_.below(100'000);
    for (std::size_t moved = 0; moved < most && !link.server->output().empty() && link.client->wants_bytes();) {
      const BytesView output = link.server->output();
      const MutableBytes space = link.client->receive_space();
      const std::size_t size = std::min({output.size(), space.size(), most - moved});
      std::copy_n(output.begin(), size, space.begin());
      const bool strikes = link.moved <= link.evil_at && link.evil_at < link.moved + size;
      if (strikes && link.evil == Evil::flips_a_byte) space[link.evil_at - link.moved] ^= std::byte{0x10};
      link.client->handle_received(now_, size);
      if (strikes && link.evil == Evil::cuts_the_stream) link.client->handle_eof(now_);
      if (strikes && link.evil == Evil::adds_bytes) link.client->handle_bytes(now_, Bytes(5000, std::byte{3}));
      link.server->handle_written(now_, size);
      link.moved += size;
      moved += size;
    }
  }

  void answer(Link& link) {
    const auto chosen = link.wants.begin() + static_cast<std::ptrdiff_t>(rng_.below(link.wants.size()));
    if (auto* have = std::get_if<WantHave>(&*chosen)) {
      link.server->answer_have(now_, have->token, test_store().have_all());
    } else if (auto* manifest = std::get_if<WantManifest>(&*chosen)) {
      link.server->answer_manifest(now_, manifest->token, test_store().signed_manifest.encode());
    } else if (auto* chunk = std::get_if<WantChunk>(&*chosen)) {
      Bytes data = test_store().chunk(chunk->index);
      if (link.evil == Evil::sends_other_data) data.front() ^= std::byte{1};
      link.server->answer_chunk(now_, chunk->token, ChunkData{std::move(data), test_store().proof(chunk->index)});
    }
    link.wants.erase(chosen);
  }

  void handle(HolderId id, Link&, HaveReceived& have) { fetch_.handle_have(now_, id, std::move(have.have)); }
  void handle(HolderId id, Link&, ManifestReceived& m) { fetch_.handle_manifest(now_, id, std::move(m.manifest)); }
  void handle(HolderId id, Link&, ChunkReceived& chunk) {
    fetch_.handle_chunk(now_, id, chunk.index, std::move(chunk.data), std::move(chunk.proof));
  }
  void handle(HolderId id, Link& link, RequestRefused& refused) {
    switch (link.asked.at(refused.request)) {
      case Asked::have:
        return fetch_.handle_have(now_, id, std::unexpected(refused.error));
      case Asked::manifest:
        return fetch_.handle_manifest(now_, id, std::unexpected(refused.error));
      case Asked::chunks:
        return fetch_.handle_refused(now_, id, refused.first, refused.count, refused.error);
    }
  }
  void handle(HolderId id, Link& link, ClientFailed& failure) {
    link.is_gone = true;
    fetch_.holder_removed(now_, id, failure.error);
  }

  Instant now_{1h};
  SeededRng rng_;
  BufferPool pool_;
  Fetch fetch_;
  TestDisk disk_;
  std::map<HolderId, Link> links_;
  std::vector<WriteChunk> writes_;
  bool done_ = false;
  std::optional<Error> failed_;
};

TEST(Exchange, a_store_crosses_from_server_to_client) {
  Exchange exchange(1);
  exchange.add(Evil::none);
  exchange.run();
  EXPECT_TRUE(exchange.is_complete());
  EXPECT_EQ(exchange.status().fetched_bytes, test_store().size());
}

TEST(Exchange, bytes_altered_cut_or_added_anywhere_never_spoil_the_store) {
  const Evil kinds[] = {Evil::flips_a_byte, Evil::cuts_the_stream, Evil::adds_bytes, Evil::sends_other_data};
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    Exchange exchange(seed);
    exchange.add(kinds[seed % 4]);
    exchange.add(kinds[(seed / 4) % 4]);
    exchange.add(Evil::none);
    exchange.run();
    EXPECT_TRUE(exchange.is_complete()) << seed << (exchange.failed() ? exchange.failed()->message() : " no end");
    EXPECT_LE(exchange.status().lost_holders.size(), 2u);
  }
}

}  // namespace
}  // namespace dig::exchange
