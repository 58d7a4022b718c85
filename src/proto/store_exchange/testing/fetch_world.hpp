// SPDX-License-Identifier: Apache-2.0
// A fetch with scripted holders and a disk in virtual time: for the tests of Fetch.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "proto/store_exchange/fetch.hpp"
#include "proto/store_exchange/testing/test_store.hpp"

namespace dig::exchange::testing {

// How one holder behaves; the defaults are an honest one.
struct Script {
  const TestStore* store = nullptr;       // absent: the store of the world
  Duration delay = 2ms;                   // from question to answer
  Duration chunk_time = 1ms;              // and from one chunk to the next
  std::optional<HaveResponse> have = {};  // instead of the truth
  std::optional<Error> have_error = {};
  std::optional<SignedManifest> manifest = {};
  std::optional<Error> manifest_error = {};
  bool answers_versions = true;
  std::uint64_t silent_after = ~std::uint64_t{0};  // chunks, then nothing
  std::uint64_t vanish_after = ~std::uint64_t{0};  // chunks, then the connection is gone
  std::uint64_t corrupt_from = ~std::uint64_t{0};  // the nth chunk and later have a wrong byte
  std::uint64_t refuse_from = ~std::uint64_t{0};   // the nth chunk and later are refused with
  Error refusal = Error(Errc::holder_refused);
  std::uint64_t refusals = ~std::uint64_t{0};  // so many times
};

class FetchWorld {
 public:
  FetchWorld(const TestStore& store, FetchTarget target, Fetch::Limits limits = {}, std::uint64_t seed = 1)
      : store_(store), rng_(seed), limits_(limits), fetch(std::move(target), pool, limits) {}

  HolderId add(Script script) {
    const HolderId id{next_holder_++};
    return add(id, std::move(script));
  }
  HolderId add(HolderId id, Script script) {
    holders_[id] = Holder{std::move(script)};
    fetch.holder_added(now, id);
    drain();
    return id;
  }
  void at(Duration delay, std::function<void()> action) { actions_.emplace(now + delay, std::move(action)); }

  // Until nothing more happens, or the time is over.
  void run(Duration time = 1h) {
    const Instant end = now + time;
    drain();
    for (std::size_t steps = 0; !is_over(); ++steps) {
      ASSERT_LT(steps, 200'000u) << "the fetch does not come to an end";
      const std::optional<Instant> timer = fetch.next_timeout();
      const std::optional<Instant> action = actions_.empty() ? std::nullopt : std::optional(actions_.begin()->first);
      const std::optional<Instant> next = earliest(timer, action);
      if (!next || *next > end) break;
      now = std::max(now, *next);
      if (action && *action <= now) {
        auto step = actions_.extract(actions_.begin());
        step.mapped()();
      } else {
        fetch.handle_timeout(now);
        const std::optional<Instant> again = fetch.next_timeout();
        ASSERT_TRUE(!again || *again > now) << "a timer that is due for ever";
      }
      drain();
    }
  }

  [[nodiscard]] bool is_over() const { return done || failed; }
  [[nodiscard]] bool has_all() const { return disk.have.size() == store_.chunks() && disk.have.all(); }
  [[nodiscard]] std::optional<Errc> dropped(HolderId id) const {
    const auto found = drops.find(id);
    return found == drops.end() ? std::nullopt : std::optional(found->second);
  }
  void expect_done() {
    run();
    EXPECT_TRUE(done) << (failed ? failed->message() : "no end");
    EXPECT_TRUE(has_all());
    EXPECT_EQ(fetch.snapshot().bytes, store_.size());
  }
  void expect_failed(Errc code) {
    run();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->code(), code) << failed->message();
  }

  Instant now{1h};
  BufferPool pool;
  TestDisk disk;
  std::optional<Result<store::ChunkSet>> open_answer;  // instead of the disk's
  Duration disk_delay = 1ms;
  bool is_disk_random = false;
  std::map<HolderId, Errc> drops;
  std::map<HolderId, std::uint64_t> asked;  // chunks
  std::uint32_t opens = 0;
  std::uint32_t completions = 0;
  std::uint32_t writes = 0;
  std::optional<Progress> progress;
  bool done = false;
  std::optional<Error> failed;

 private:
  struct Holder {
    Script script;
    bool is_gone = false;
    Instant free{};
    std::uint64_t sent = 0;
    std::uint64_t refused = 0;
  };

  const TestStore& store_;
  SeededRng rng_;
  Fetch::Limits limits_;
  std::map<HolderId, Holder> holders_;
  std::multimap<Instant, std::function<void()>> actions_;
  std::uint64_t next_holder_ = 1;
  std::uint32_t writing_ = 0;

 public:
  Fetch fetch;

 private:
  void drain() {
    while (auto event = fetch.poll_event()) {
      ASSERT_FALSE(is_over()) << "an event after the last one";
      std::visit([this](auto& e) { handle(e); }, *event);
    }
    const FetchStatus status = fetch.snapshot();
    EXPECT_LE(status.outstanding_bytes, std::max(limits_.max_window, store::k_chunk_size));
    EXPECT_LE(status.outstanding_bytes, status.window_bytes);
  }

  Holder* holder(HolderId id) {
    const auto found = holders_.find(id);
    return found == holders_.end() || found->second.is_gone ? nullptr : &found->second;
  }
  const TestStore& store_of(const Holder& h) { return h.script.store != nullptr ? *h.script.store : store_; }

  void handle(AskHave& ask) {
    Holder* const h = holder(ask.holder);
    ASSERT_NE(h, nullptr) << "a dropped holder is asked";
    if (!h->script.answers_versions) return;
    at(h->script.delay, [this, ask] {
      Holder* const asked_holder = holder(ask.holder);
      if (asked_holder == nullptr) return;
      const Script& script = asked_holder->script;
      const HaveResponse have = script.have.value_or(store_of(*asked_holder).have_all());
      if (script.have_error) return fetch.handle_have(now, ask.holder, std::unexpected(*script.have_error));
      if (ask.root && *ask.root != have.root) return fetch.handle_have(now, ask.holder, fail(Errc::store_not_found));
      fetch.handle_have(now, ask.holder, have);
    });
  }
  void handle(AskManifest& ask) {
    Holder* const h = holder(ask.holder);
    ASSERT_NE(h, nullptr) << "a dropped holder is asked";
    if (!h->script.answers_versions) return;
    at(h->script.delay, [this, ask] {
      Holder* const asked_holder = holder(ask.holder);
      if (asked_holder == nullptr) return;
      const Script& script = asked_holder->script;
      if (script.manifest_error) {
        return fetch.handle_manifest(now, ask.holder, std::unexpected(*script.manifest_error));
      }
      fetch.handle_manifest(now, ask.holder, script.manifest.value_or(store_of(*asked_holder).signed_manifest));
    });
  }
  void handle(AskChunks& ask) {
    Holder* const h = holder(ask.holder);
    ASSERT_NE(h, nullptr) << "a dropped holder is asked";
    ASSERT_GE(ask.count, 1u);
    ASSERT_LE(ask.count, limits_.max_chunks_per_request);
    asked[ask.holder] += ask.count;
    for (std::uint32_t i = 0; i < ask.count; ++i) skipped_.erase({ask.holder, ask.first + i});
    h->free = std::max(h->free, now + h->script.delay);
    deliver(ask.holder, ask.first, ask.first + ask.count);
  }
  void deliver(HolderId id, std::uint64_t index, std::uint64_t end) {
    Holder* const h = holder(id);
    h->free = h->free + h->script.chunk_time;
    actions_.emplace(h->free, [this, id, index, end] { send_chunk(id, index, end); });
    if (index + 1 < end) deliver(id, index + 1, end);
  }
  void send_chunk(HolderId id, std::uint64_t index, std::uint64_t end) {
    Holder* const h = holder(id);
    if (h == nullptr || skipped_.contains({id, index})) return;
    const Script& script = h->script;
    if (h->sent >= script.silent_after) {
      if (h->sent++ == script.silent_after) {
        at(10s, [this, id] { remove(id, Error(Errc::peer_silent)); });
      }
      return;
    }
    if (h->sent >= script.vanish_after) return remove(id, Error(Errc::connection_reset));
    if (h->sent >= script.refuse_from && h->refused < script.refusals) {
      ++h->refused;
      for (std::uint64_t skipped = index + 1; skipped < end; ++skipped) skipped_.insert({id, skipped});
      return fetch.handle_refused(now, id, index, end - index, script.refusal);
    }
    const TestStore& store = store_of(*h);
    const bool is_real = index < store.chunks();  // a liar is asked for chunks that it only claims
    Bytes data = is_real ? store.chunk(index) : Bytes(store::chunk_size_at(script.have->size, index));
    if (h->sent >= script.corrupt_from) data.back() ^= std::byte{1};
    ++h->sent;
    fetch.handle_chunk(now, id, index, std::move(data), is_real ? store.proof(index) : std::vector<Hash256>());
  }
  void remove(HolderId id, Error error) {
    if (holder(id) == nullptr) return;
    holders_[id].is_gone = true;
    fetch.holder_removed(now, id, std::move(error));
  }
  void handle(DropHolder& drop) {
    drops.emplace(drop.holder, drop.error.code());
    holders_[drop.holder].is_gone = true;
  }
  void handle(OpenPartial& open) {
    ++opens;
    disk.open(open.manifest);
    at(disk_delay, [this] {
      if (open_answer) return fetch.handle_partial_opened(now, *open_answer);
      fetch.handle_partial_opened(now, disk.have);
    });
  }
  void handle(WriteChunk& write) {
    ++writing_;
    ++writes;
    const Duration delay = is_disk_random ? std::chrono::microseconds(rng_.below(20'000)) : disk_delay;
    auto shared = std::make_shared<WriteChunk>(std::move(write));
    at(delay, [this, shared] {
      --writing_;
      const Result<void> result = disk.write(shared->index, shared->data, shared->proof);
      pool.give(std::move(shared->data));
      fetch.handle_chunk_written(now, shared->index, result);
    });
  }
  void handle(Progress& p) {
    EXPECT_LE(p.bytes, p.total);
    if (progress) {
      EXPECT_GE(p.bytes, progress->bytes);
    }
    progress = p;
  }
  void handle(WantedComplete&) { ++completions; }
  void handle(FetchDone&) {
    done = true;
    EXPECT_EQ(writing_, 0u);
  }
  void handle(FetchFailed& f) {
    failed = f.error;
    EXPECT_EQ(writing_, 0u);
  }

  std::set<std::pair<HolderId, std::uint64_t>> skipped_;
};

}  // namespace dig::exchange::testing
