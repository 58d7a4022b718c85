// SPDX-License-Identifier: Apache-2.0
// One fetch of one store from many holders: finds out which version to fetch and what proves it, opens the partial
// file, spreads the chunks over the holders by their speed, asks again elsewhere what a holder does not deliver, and
// drops holders that lie. Pure: the owner carries out the events (on streams and on a disk pool) and reports back.
//
// Promises:
//  - A chunk is written only through WriteChunk, whose executor checks it against the manifest's root before it writes.
//  - Chunks asked for and not yet written never exceed the window, whatever the holders do. (A chunk that is asked for
//    a second time because its holder is slow counts once; window_bytes of the status counts every ask.)
//  - The last event is FetchDone or FetchFailed, and no write or open is under way when it comes.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "base/strong_id.hpp"
#include "base/time.hpp"
#include "proto/store_exchange/buffer_pool.hpp"
#include "proto/store_exchange/fetch_holder.hpp"
#include "proto/store_exchange/range_set.hpp"
#include "store/chunk_set.hpp"
#include "store/manifest_check.hpp"
#include "wire/hash256.hpp"
#include "wire/manifest.hpp"
#include "wire/store_message.hpp"

namespace dig::exchange {

struct AskHave {
  HolderId holder;
  std::optional<RootHash> root;
};
struct AskManifest {
  HolderId holder;
  std::optional<RootHash> root;
};
struct AskChunks {
  HolderId holder;
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};
// Close its stream; it is not used any more (banned when its data was wrong).
struct DropHolder {
  HolderId holder;
  Error error;
};
// Open or create the partial file; answer with handle_partial_opened(). Comes once.
struct OpenPartial {
  SignedManifest signed_manifest;
  Manifest manifest;
};
// Verify and write; answer with handle_chunk_written(), then give the buffer back to the pool.
struct WriteChunk {
  std::uint64_t index = 0;
  Bytes data;
  std::vector<Hash256> proof;
  HolderId holder;
};
struct Progress {
  std::uint64_t bytes = 0;  // verified and on disk, of those wanted
  std::uint64_t total = 0;
};
// Only with `only_wanted`: everything named by want() so far is on disk. Call want() again or finish().
struct WantedComplete {};
struct FetchDone {};
struct FetchFailed {
  Error error;
};
using FetchEvent = std::variant<AskHave, AskManifest, AskChunks, DropHolder, OpenPartial, WriteChunk, Progress,
                                WantedComplete, FetchDone, FetchFailed>;

struct FetchTarget {
  StoreId store;
  std::optional<RootHash> root;  // pinned by the URN; absent: the newest version the owner signed
  bool accept_unpinned = false;  // take a version that neither a URN nor an owner's signature proves
  bool only_wanted = false;      // fetch the chunks named by want() instead of all
};

struct HolderStatus {
  HolderId holder;
  std::uint64_t bytes = 0;      // chunk bytes it delivered
  std::size_t in_flight = 0;    // bytes asked of it and not yet delivered
  double bytes_per_second = 0;  // 0: not measured yet
  std::optional<Duration> rtt;
};

struct FetchStatus {
  std::optional<Manifest> manifest;  // once chosen
  store::Trust trust = store::Trust::unpinned;
  std::uint64_t bytes = 0;          // verified and on disk, of those wanted
  std::uint64_t total = 0;          // wanted
  std::uint64_t fetched_bytes = 0;  // chunk bytes that came over the network, duplicates included
  std::uint64_t reused_bytes = 0;   // found verified in the partial file
  std::uint64_t window_bytes = 0;   // the most that was asked for and not yet written at once
  std::uint64_t outstanding_bytes = 0;
  std::optional<Instant> first_chunk;  // when the first chunk was complete
  std::vector<HolderStatus> holders;
  std::vector<std::pair<HolderId, Error>> lost_holders;  // why holders went, oldest first
  bool is_over = false;
};

class Fetch {
 public:
  using Event = FetchEvent;
  struct Limits {
    std::uint64_t window = 4 * 1024 * 1024;       // at start, over all holders; at least one chunk
    std::uint64_t max_window = 16 * 1024 * 1024;  // to which it grows with bandwidth x delay
    std::uint32_t max_chunks_per_request = 8;
    std::size_t max_requests_per_holder = 12;  // below the 16 of a stream, so that have and manifest always fit
    std::size_t max_holders = 32;
    std::size_t max_lost_holders = 64;  // reasons kept
    std::uint8_t max_copies = 3;        // of one chunk in flight at once
    std::size_t max_candidates = 64;    // different manifests
    Duration manifest_wait = 300ms;     // for a newer version, after the first answer
    Duration answer_deadline = 15s;     // for have and manifest
    Duration steal_after = 1s;          // a chunk is asked of another holder, when nothing else is left
    Duration first_chunk_stall = 3s;    // before a holder's speed is known
    Duration min_stall = 1s;            // a holder that delivers no chunk for so long (or 4 of its usual
    Duration max_stall = 5s;            // intervals) gets no more work, and others get what it has
    Duration chunk_deadline = 60s;      // a holder that delivers no whole chunk for so long is dropped
    Duration busy_backoff = 250ms;      // doubles with each BUSY
    std::uint32_t max_busy = 6;
  };

  // `pool` must outlive the machine; chunks that turn out to be duplicates go back to it.
  Fetch(FetchTarget target, BufferPool& pool, Limits limits);
  Fetch(FetchTarget target, BufferPool& pool) : Fetch(std::move(target), pool, Limits{}) {}

  void start(Instant now);

  // A stream to this holder is open; AskHave and AskManifest follow.
  void holder_added(Instant now, HolderId holder);
  // Its stream or connection is gone (also: its ExchangeClient failed). Nothing to do after DropHolder.
  void holder_removed(Instant now, HolderId holder, Error error);
  // Nobody else is being dialled: without holders the fetch fails from now on. Call expect_holders() to take it back.
  // A fetch of the newest version does not wait for more answers after this.
  void no_more_holders(Instant now);
  void expect_holders() { expects_holders_ = true; }

  void handle_have(Instant now, HolderId holder, Result<HaveResponse> have);
  void handle_manifest(Instant now, HolderId holder, Result<SignedManifest> manifest);
  void handle_chunk(Instant now, HolderId holder, std::uint64_t index, Bytes data, std::vector<Hash256> proof);
  // RequestRefused of a chunks request: [first, first + count) will not come.
  void handle_refused(Instant now, HolderId holder, std::uint64_t first, std::uint64_t count, Error error);
  // The chunks that are there and verified.
  void handle_partial_opened(Instant now, Result<store::ChunkSet> have);
  // chunk_mismatch blames the holder; any other error ends the fetch.
  void handle_chunk_written(Instant now, std::uint64_t index, Result<void> result);

  // With only_wanted, after OpenPartial: chunks to fetch as well. Outside the store: invalid_argument.
  [[nodiscard]] Result<void> want(Instant now, std::uint64_t first, std::uint64_t count);
  void finish(Instant now);

  void pause(Instant now);  // asks for nothing new
  void resume(Instant now);
  void cancel(Instant now);  // ends in FetchFailed{cancelled}

  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] FetchStatus snapshot() const;

 private:
  enum class Phase : std::uint8_t {
    idle,
    choosing,  // waiting for manifests
    probing,   // waiting for one chunk that proves the size an unsigned manifest claims
    opening,   // waiting for the partial file
    fetching,
    ending,  // waiting for writes that are under way
    over,
  };
  struct Candidate {
    SignedManifest signed_manifest;
    Manifest manifest;
    store::Trust trust = store::Trust::unpinned;
    bool is_refuted = false;
  };
  enum class FlightState : std::uint8_t { asked, writing, written };
  struct Flight {
    std::uint8_t asks = 0;  // holders that were asked for it and have not answered
    FlightState state = FlightState::asked;
    HolderId supplier;
  };
  struct Probe {
    std::uint64_t index = 0;
    Bytes data;
    std::vector<Hash256> proof;
    HolderId holder;
  };

  // fetch.cpp: the life of the fetch and of its holders
  void advance(Instant now);
  void fetch_more(Instant now);
  [[nodiscard]] FetchHolder* find(HolderId holder);
  void drop(HolderId holder, const Error& error);
  void ban(HolderId holder, const Error& error);
  void forget(HolderId holder, const Error& error);
  void fail_without_holders();
  void begin_fetching(store::ChunkSet have);
  void end(std::optional<Error> error);
  void drop_probe();
  void finish_if_quiet();
  void retry_later(Instant now, FetchHolder& holder);
  [[nodiscard]] bool is_running() const { return phase_ != Phase::ending && phase_ != Phase::over; }
  [[nodiscard]] static bool is_last_event(const Event& event);

  // fetch_choice.cpp: which version, and is it proven
  void ask_version(Instant now, FetchHolder& holder);
  void ask_have(Instant now, FetchHolder& holder, const std::optional<RootHash>& root);
  void ask_manifest(Instant now, FetchHolder& holder);
  [[nodiscard]] Result<std::size_t> add_candidate(SignedManifest manifest);
  void choose(Instant now);
  [[nodiscard]] bool is_waiting_for_manifests(Instant now) const;
  [[nodiscard]] std::optional<std::size_t> best_candidate() const;
  [[nodiscard]] bool is_signed(std::size_t candidate) const;
  [[nodiscard]] std::size_t supporters(std::size_t candidate) const;
  void drop_unpinned();
  void adopt(Instant now, std::size_t candidate);
  void drop_other_probes(const Manifest& chosen);
  void check_all_holders(Instant now);
  void check_holder(Instant now, FetchHolder& holder);
  [[nodiscard]] bool is_matching(const FetchHolder& holder) const;
  void probe(Instant now);
  void refute_current();
  void handle_probe(Instant now, Probe probe);
  void open(Instant now);

  // fetch_schedule.cpp: who is asked for what
  [[nodiscard]] std::size_t size_of(std::uint64_t index) const;
  [[nodiscard]] std::uint64_t size_of(store::ChunkRange range) const;
  void put(std::uint64_t index, Flight flight);
  void ask(Instant now, FetchHolder& holder, store::ChunkRange range);
  void shift(FetchHolder& holder);
  void unask_front(FetchHolder& holder);
  void add_wanted(std::uint64_t first, std::uint64_t count);
  [[nodiscard]] bool is_complete() const;
  [[nodiscard]] bool is_stuck() const;
  void note_delivery(Instant now, FetchHolder& holder, std::size_t size);
  void discard(std::uint64_t index, Bytes data);
  void schedule(Instant now);
  [[nodiscard]] bool assign(Instant now, FetchHolder& holder);
  [[nodiscard]] bool is_usable(Instant now, const FetchHolder& holder) const;
  [[nodiscard]] std::uint64_t budget_in_chunks(Instant now, const FetchHolder& holder) const;
  void grow_window();
  [[nodiscard]] Duration stall_time(const FetchHolder& holder) const;
  [[nodiscard]] bool is_overdue(Instant now, const FetchHolder& holder) const;
  [[nodiscard]] bool steal(Instant now, FetchHolder& thief, std::uint64_t max_count);
  [[nodiscard]] std::optional<store::ChunkRange> stealable(const FetchHolder& victim, const FetchHolder& thief,
                                                           std::uint64_t max_count) const;

  FetchTarget target_;
  BufferPool& pool_;
  Limits limits_;
  Phase phase_ = Phase::idle;
  Instant now_;
  bool expects_holders_ = true;
  bool is_paused_ = false;
  bool is_finishing_ = false;  // finish() was called
  bool is_announced_ = false;  // WantedComplete was given for what is wanted now
  bool is_opening_ = false;
  std::optional<Error> final_error_;

  std::map<HolderId, FetchHolder> holders_;
  std::set<HolderId> banned_;
  std::vector<Candidate> candidates_;
  std::optional<std::size_t> current_;  // the candidate that is fetched
  bool is_proven_ = false;              // its root and size hold: from now on a wrong chunk is its holder's fault
  std::optional<Instant> first_manifest_;
  std::optional<Probe> probe_;

  store::ChunkSet have_;
  store::ChunkSet wanted_;
  std::uint64_t missing_ = 0;  // wanted and not in have_
  RangeSet todo_;              // missing and neither asked for nor being written
  std::map<std::uint64_t, Flight> flights_;
  std::size_t asked_ = 0;  // flights in each state
  std::size_t writing_ = 0;
  std::uint64_t window_ = 0;
  std::uint64_t charged_ = 0;          // bytes of chunks asked for or being written, each counted once
  std::uint64_t duplicate_bytes_ = 0;  // bytes of all asks beyond that

  std::deque<Event> events_;
  bool is_progress_due_ = false;
  FetchStatus status_;
};

}  // namespace dig::exchange
