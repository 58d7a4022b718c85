// SPDX-License-Identifier: Apache-2.0
// Test-only: a directory server whose owner is the test: it writes batches when it is told to, and keeps what is
// acknowledged.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <vector>

#include "proto/directory/server.hpp"
#include "proto/directory/testing/signed_nodes.hpp"

namespace dig::directory::testing {

class ServerFixture {
 public:
  explicit ServerFixture(DirectoryServer::Limits limits = {}) : server(k_start, k_wall, rng, limits) {}

  // Without waiting for the disk.
  Result<void> try_register(const TestNode& node, std::vector<Bytes> envelopes, SourcePrefix source = 1) {
    return server.register_envelopes(now, {1, ++request}, {node.peer(), source}, envelopes);
  }
  // As a client sees it: the acknowledgement, or the refusal. The disk works at once.
  Result<Registered> register_all(const TestNode& node, std::vector<Bytes> envelopes, SourcePrefix source = 1) {
    DIG_CHECK(try_register(node, std::move(envelopes), source));
    return settle();
  }
  Result<Registered> remove(const TestNode& node, const Bytes& removal, SourcePrefix source = 1) {
    DIG_CHECK(server.remove(now, {1, ++request}, {node.peer(), source}, removal));
    return settle();
  }
  // The answer to the last request, once the disk has done all there is to do.
  Result<Registered> settle() {
    drain();
    while (batch) persist(PersistOutcome{});
    const auto found = acknowledged.find(request);
    if (found == acknowledged.end()) return fail(Errc::internal, "not acknowledged");
    return found->second;
  }
  void drain() {
    while (auto event = server.poll_event()) {
      if (auto* persist = std::get_if<Persist>(&*event)) {
        EXPECT_FALSE(batch) << "one batch at a time";
        batch = std::move(*persist);
      } else if (auto* done = std::get_if<Acknowledged>(&*event)) {
        EXPECT_TRUE(acknowledged.emplace(done->registration.request, done->result).second) << "acknowledged twice";
      }
    }
  }
  // Ends the batch that is being written.
  void persist(const Result<PersistOutcome>& result) {
    ASSERT_TRUE(batch);
    const Persist written = *std::move(batch);
    batch.reset();
    if (result) apply(written.changes);
    server.handle_persisted(now, written.token, result);
    drain();
  }
  void advance(Duration time) {
    now = now + time;
    server.handle_timeout(now);
    drain();
  }

  std::vector<PeerId> holders(const StoreId& store) { return peers_of(server.find_holders(store, {}, 64).records); }
  std::vector<PeerId> with_roles(NodeRoles roles) { return peers_of(server.find_roles(roles, {}, 64).records); }
  bool knows(const TestNode& node) { return !server.find_peer(node.peer()).records.empty(); }
  std::uint64_t verified() { return server.snapshot().verified; }

  SeededRng rng{1};
  Instant now = k_start;
  DirectoryServer server;
  std::uint64_t request = 0;
  std::optional<Persist> batch;
  std::map<std::uint64_t, Result<Registered>> acknowledged;
  std::map<std::pair<PeerId, std::uint32_t>, store::DirectoryRow> disk;

 private:
  void apply(const std::vector<store::DirectoryChange>& changes) {
    for (const store::DirectoryChange& change : changes) {
      if (const auto* row = std::get_if<store::DirectoryRow>(&change)) disk[{row->peer, row->slot}] = *row;
      const auto* gone = std::get_if<store::EraseRows>(&change);
      if (gone == nullptr) continue;
      std::erase_if(disk, [&](const auto& item) {
        return item.first.first == gone->peer && item.first.second >= gone->first_slot;
      });
    }
  }
};

}  // namespace dig::directory::testing
