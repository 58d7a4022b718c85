// SPDX-License-Identifier: Apache-2.0
// The directory beside a model that says what it does and nothing about how: random peers register, change, leave and
// expire while the disk works, lags and fails, and every look-up must give what the model has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "proto/directory/testing/server_fixture.hpp"

namespace dig::directory {
namespace {

using namespace testing;

constexpr std::uint64_t k_peers = 10;
constexpr std::uint64_t k_stores = 6;
constexpr std::uint32_t k_pages = 3;
constexpr std::uint64_t k_two_hours_ms = 7'200'000;
constexpr std::uint64_t k_hour_ms = 3'600'000;

struct ModelPage {
  Bytes envelope;
  std::uint64_t sequence = 0;
  std::set<StoreId> stores;
};
struct ModelPeer {
  bool is_live = false;
  Bytes envelope;
  std::uint64_t sequence = 0;
  Instant end;  // of its life
  NodeRoles roles;
  std::uint32_t page_count = 0;
  std::map<std::uint32_t, ModelPage> pages;
};

class ModelRun {
 public:
  ModelRun(std::uint64_t seed, bool can_disk_fail) : rng_(seed), can_disk_fail_(can_disk_fail) {
    for (std::uint64_t i = 0; i < k_peers; ++i) nodes_.emplace_back(i + 1);
  }

  void all(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      step();
      if (i % 5 == 0) compare(fixture_);
    }
    while (fixture_.batch) fixture_.persist(PersistOutcome{});
    fixture_.drain();
    EXPECT_EQ(fixture_.acknowledged.size(), accepted_) << "each that was accepted is answered";
    if (!can_disk_fail_) compare_with_the_disk();
    EXPECT_GT(accepted_, static_cast<std::size_t>(steps / 8)) << "the run must not consist of refusals";
  }

 private:
  void step() {
    const TestNode& node = nodes_[rng_.below(k_peers)];
    switch (rng_.below(10)) {
      case 0:
      case 1:
      case 2:
        return register_record(node);
      case 3:
      case 4:
      case 5:
        return register_page(node);
      case 6:
        return remove(node);
      case 7:
        return advance();
      default:
        return write();
    }
  }

  [[nodiscard]] std::uint64_t wall_ms() const {
    return k_wall_ms + static_cast<std::uint64_t>((fixture_.now - k_start) / 1ms);
  }
  // Mostly about now; now and then far off, or exactly what is known.
  std::uint64_t pick_sequence(std::uint64_t known) {
    switch (rng_.below(8)) {
      case 0:
        return wall_ms() + rng_.below(2 * k_hour_ms);
      case 1:
        return wall_ms() - rng_.below(2 * k_two_hours_ms);
      case 2:
        return std::max<std::uint64_t>(known, 1);
      case 3:
        return known + 1;
      default:
        return wall_ms() - 1000 + rng_.below(2000);
    }
  }

  void expect(const Result<void>& result, std::optional<Errc> expected, const char* what) {
    if (result) ++accepted_;
    ASSERT_EQ(result.has_value(), !expected) << what << (result ? "" : result.error().message());
    if (expected) {
      ASSERT_EQ(result.error().code(), *expected) << what;
    }
    fixture_.drain();
  }

  void register_record(const TestNode& node) {
    ModelPeer& known = model_[node.peer()];
    NodeRecord record = node.record(pick_sequence(known.sequence));
    record.lifetime = std::chrono::seconds(1 + rng_.below(7200));
    record.roles = {static_cast<std::uint32_t>(rng_.below(32))};
    record.pages = static_cast<std::uint32_t>(rng_.below(k_pages + 1));
    const Bytes envelope = rng_.below(4) == 0 && known.is_live ? known.envelope : node.sign(record);
    record = read_statement<NodeRecord>(SignedEnvelope::decode(envelope).value()).value();
    const auto lifetime_ms = static_cast<std::uint64_t>(record.lifetime / 1ms);
    const std::uint64_t age = wall_ms() > record.sequence ? wall_ms() - record.sequence : 0;
    std::optional<Errc> expected;
    if (record.sequence > wall_ms() + k_hour_ms) {
      expected = Errc::record_from_future;
    } else if (age >= lifetime_ms) {
      expected = Errc::record_expired;
    } else if (envelope != known.envelope && record.sequence <= known.sequence) {
      expected = Errc::record_outdated;
    }
    expect(fixture_.try_register(node, {envelope}, 1 + rng_.below(3)), expected, "record");
    if (expected || envelope == known.envelope) return;
    known.envelope = envelope;
    known.sequence = record.sequence;
    known.end = fixture_.now + std::chrono::milliseconds(lifetime_ms - age);
    known.is_live = true;
    known.roles = record.roles;
    known.page_count = record.pages;
    std::erase_if(known.pages, [&](const auto& page) { return page.first >= record.pages; });
  }

  void register_page(const TestNode& node) {
    ModelPeer& known = model_[node.peer()];
    const auto number = static_cast<std::uint32_t>(rng_.below(k_pages));
    const ModelPage* const kept = known.pages.contains(number) ? &known.pages[number] : nullptr;
    ModelPage page{.envelope = {}, .sequence = pick_sequence(kept != nullptr ? kept->sequence : 0), .stores = {}};
    while (page.stores.empty()) {
      for (std::uint64_t i = 0; i < k_stores; ++i) {
        if (rng_.below(2) == 0) page.stores.insert(store_of(i));
      }
    }
    page.envelope = node.signed_page(page.sequence, number, {page.stores.begin(), page.stores.end()});
    if (kept != nullptr && rng_.below(4) == 0) page = *kept;
    std::optional<Errc> expected;
    if (page.sequence > wall_ms() + k_hour_ms) {
      expected = Errc::record_from_future;
    } else if (!known.is_live) {
      expected = Errc::record_expired;
    } else if (number >= known.page_count) {
      expected = Errc::malformed;
    } else if (kept != nullptr && page.envelope != kept->envelope && page.sequence <= kept->sequence) {
      expected = Errc::record_outdated;
    }
    expect(fixture_.try_register(node, {page.envelope}), expected, "page");
    if (!expected) known.pages[number] = page;
  }

  void remove(const TestNode& node) {
    ModelPeer& known = model_[node.peer()];
    const std::uint64_t sequence = pick_sequence(known.sequence);
    std::optional<Errc> expected;
    if (sequence > wall_ms() + k_hour_ms) {
      expected = Errc::record_from_future;
    } else if (sequence + k_two_hours_ms <= wall_ms()) {
      expected = Errc::record_expired;
    } else if (sequence < known.sequence || (sequence == known.sequence && known.is_live)) {
      expected = Errc::record_outdated;
    }
    ++fixture_.request;
    expect(fixture_.server.remove(fixture_.now, {1, fixture_.request}, {node.peer(), 1}, node.removal(sequence)),
           expected, "removal");
    if (!expected) end(known, sequence);
  }

  static void end(ModelPeer& known, std::uint64_t sequence) {
    known = {};
    known.sequence = sequence;
  }

  void advance() {
    const Duration time = rng_.below(3) == 0 ? Duration(std::chrono::minutes(rng_.below(120)))
                                             : Duration(std::chrono::milliseconds(rng_.below(60'000)));
    fixture_.advance(time);
    for (auto& [peer, known] : model_) {
      if (known.is_live && known.end <= fixture_.now) end(known, known.sequence);
      if (!known.is_live && known.sequence + k_two_hours_ms <= wall_ms()) known = {};
    }
  }

  void write() {
    fixture_.drain();
    if (!fixture_.batch) return;
    if (can_disk_fail_ && rng_.below(3) == 0) return fixture_.persist(fail(Errc::io_failed));
    fixture_.persist(PersistOutcome{.is_replicated = rng_.below(2) == 0});
  }

  template <class Matches>
  [[nodiscard]] std::set<PeerId> peers_where(Matches matches) const {
    std::set<PeerId> peers;
    for (const auto& [peer, known] : model_) {
      if (known.is_live && matches(known)) peers.insert(peer);
    }
    return peers;
  }
  template <class Find>
  std::set<PeerId> list(Find find) {
    std::set<PeerId> peers;
    std::optional<DirectoryCursor> cursor;
    do {
      const FoundRecords found = find(cursor, static_cast<std::uint32_t>(1 + rng_.below(4)));
      for (const PeerId& peer : peers_of(found.records)) EXPECT_TRUE(peers.insert(peer).second) << "twice";
      cursor = found.cursor;
    } while (cursor);
    return peers;
  }
  void compare(ServerFixture& fixture) {
    for (std::uint64_t i = 0; i < k_stores; ++i) {
      const auto has_store = [&](const ModelPeer& known) {
        return std::ranges::any_of(known.pages,
                                   [&](const auto& page) { return page.second.stores.contains(store_of(i)); });
      };
      ASSERT_EQ(
          list([&](const auto& cursor, auto limit) { return fixture.server.find_holders(store_of(i), cursor, limit); }),
          peers_where(has_store));
    }
    const NodeRoles roles{static_cast<std::uint32_t>(1 + rng_.below(31))};
    ASSERT_EQ(list([&](const auto& cursor, auto limit) { return fixture.server.find_roles(roles, cursor, limit); }),
              peers_where([&](const ModelPeer& known) { return known.roles.has_all(roles); }));
    for (const TestNode& node : nodes_) {
      const FoundRecords found = fixture.server.find_peer(node.peer());
      const auto known = model_.find(node.peer());
      const bool is_live = known != model_.end() && known->second.is_live;
      ASSERT_EQ(found.records.size(), is_live ? 1u : 0u);
      if (is_live) {
        ASSERT_EQ(found.records[0].record, known->second.envelope);
      }
    }
    const ServerStatus status = fixture.server.snapshot();
    ASSERT_EQ(status.live, peers_where([](const ModelPeer&) { return true; }).size());
  }
  // The rows say how long they had left when they were written; none was written later than its end.
  void compare_with_the_disk() {
    ServerFixture again;
    again.now = fixture_.now;
    again.server.set_wall_clock(fixture_.now, {static_cast<std::int64_t>(wall_ms() / 1000)});
    for (const auto& [name, row] : fixture_.disk) {
      store::DirectoryRow left = row;
      const auto known = model_.find(row.peer);
      if (row.slot == 0 && row.lifetime > 0s) {
        left.lifetime = known != model_.end() && known->second.is_live ? known->second.end - again.now : Duration(0);
      }
      const bool is_page_of_the_dead = row.slot > 0 && !(known != model_.end() && known->second.is_live);
      ASSERT_EQ(again.server.load(again.now, left, RowOrigin::own_disk).has_value(), !is_page_of_the_dead);
    }
    compare(again);
  }

  SeededRng rng_;
  bool can_disk_fail_;
  ServerFixture fixture_;
  std::vector<TestNode> nodes_;
  std::map<PeerId, ModelPeer> model_;
  std::size_t accepted_ = 0;
};

TEST(DirectoryModel, DoesWhatTheModelDoes) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    ModelRun(seed, false).all(800);
    if (HasFailure()) return;
  }
}

TEST(DirectoryModel, DoesWhatTheModelDoesWhenTheDiskFails) {
  for (std::uint64_t seed = 101; seed <= 110; ++seed) {
    SCOPED_TRACE(seed);
    ModelRun(seed, true).all(800);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace dig::directory
