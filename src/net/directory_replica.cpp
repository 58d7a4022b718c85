// SPDX-License-Identifier: Apache-2.0
#include "net/directory_replica.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <unordered_set>
#include <utility>

#include "base/byte_writer.hpp"
#include "base/sip_hash.hpp"
#include "net/clock.hpp"
#include "net/redis_client.hpp"
#include "net/redis_directory.hpp"
#include "net/replica_writer.hpp"
#include "store/shared_row.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_rows_at_once = 16;  // whose signatures are checked before others have their turn
constexpr Duration k_owner_is_busy = 20ms;
constexpr std::size_t k_replays_at_once = 8;                   // readings of the disk that are on their way to Redis
constexpr std::size_t k_read_ahead = std::size_t{512} * 1024;  // bytes; what is read at once may be twice that
constexpr Duration k_first_retry = 100ms;
constexpr Duration k_between_syncs = 2s;
// Of syncs for pages without their record, which a peer can bring about.
constexpr Duration k_between_syncs_for_missing = 30s;
constexpr std::size_t k_max_present = std::size_t{1} << 20U;

// Nobody signed what is refused for one of these.
bool is_forged(Errc code) {
  constexpr std::array k_codes{Errc::malformed,      Errc::truncated,     Errc::oversized,
                               Errc::bad_public_key, Errc::bad_signature, Errc::record_of_another_peer};
  return std::ranges::find(k_codes, code) != k_codes.end();
}

Error forgotten() { return Error(Errc::redis_down, "Redis has lost what it had"); }

}  // namespace

class DirectoryReplica::Impl final : private ReplicaWriter::Watcher {
 public:
  Impl(Loop& loop, Resolver& resolver, Rng& rng, Config config, ReplicaOwner& owner)
      : loop_(loop),
        rng_(rng),
        config_(std::move(config)),
        owner_(owner),
        present_key_(SipKey::random(rng)),
        directory_(config_.prefix, random_word(rng)),
        write_timer_(loop, [this](Instant now) { end_late_writes(now); }),
        give_timer_(loop, [this](Instant) { give(); }),
        sync_timer_(loop,
                    [this](Instant) {
                      if (is_connected()) start_sync();
                    }),
        write_client_(loop, resolver, rng, client_config(),
                      [this](Result<void> state) { handle_connection(write_state_, std::move(state)); }),
        read_client_(loop, resolver, rng, client_config(),
                     [this](Result<void> state) { handle_connection(read_state_, std::move(state)); }),
        writer_(write_client_, directory_, rng, *this) {}

  void write(std::span<const store::DirectoryChange> changes, OnWritten done) {
    std::vector<SharedPut> puts;
    for (const store::DirectoryChange& change : changes) {
      const auto* const row = std::get_if<store::DirectoryRow>(&change);
      if (row != nullptr && is_present(*row)) continue;  // mostly what was read there just now
      if (auto put = directory_.put_of(change)) puts.push_back(std::move(*put));
    }
    const bool is_full = writer_.waiting_bytes() > config_.max_waiting;
    if (is_full) sync_soon();  // finds on the disk what is not written now
    if (!write_client_.is_up() || is_full || puts.empty()) {
      const bool is_replicated = write_client_.is_up() && !is_full;
      return loop_.post([done = std::move(done), is_replicated, alive = std::weak_ptr(alive_)]() mutable {
        if (!alive.expired()) done(is_replicated);
      });
    }
    const auto write = std::make_shared<Write>(std::move(done), monotonic_now() + config_.deadline, losses_);
    writes_.push_back(write);
    write_timer_.set(writes_.front()->deadline);
    writer_.put(std::move(puts), [this, write](const ReplicaWriter::Outcome& outcome) { finish(*write, outcome); });
  }

  [[nodiscard]] ReplicaStatus snapshot() const {
    ReplicaStatus status = status_;
    status.is_up = phase_ == Phase::following;
    status.waiting = writer_.waiting_bytes();
    return status;
  }

 private:
  enum class Phase : std::uint8_t { down, syncing, following };
  struct Write {
    OnWritten done;
    Instant deadline;
    std::uint64_t losses;  // before it
    bool is_answered = false;
  };

  [[nodiscard]] RedisClient::Config client_config() const {
    return {.url = config_.url,
            .leg = config_.leg,
            .command_timeout = config_.deadline,
            .first_retry = k_first_retry,
            .longest_retry = config_.longest_retry};
  }

  // --- writing ---
  void finish(Write& write, const ReplicaWriter::Outcome& outcome) {
    status_.written += outcome.there.size();
    if (write.is_answered) return tell_replicated(outcome.there, write.losses);
    write.is_answered = true;
    while (!writes_.empty() && writes_.front()->is_answered) writes_.pop_front();
    write.done(outcome.is_all_there && write.losses == losses_);
  }

  // What Redis had before a loss says nothing after it.
  void tell_replicated(std::span<const store::RowName> there, std::uint64_t losses) {
    if (losses == losses_) owner_.handle_replicated(there);
  }

  void end_late_writes(Instant now) {
    std::vector<std::shared_ptr<Write>> late;
    while (!writes_.empty() && (writes_.front()->is_answered || writes_.front()->deadline <= now)) {
      if (!writes_.front()->is_answered) late.push_back(writes_.front());
      writes_.pop_front();
    }
    write_timer_.set(writes_.empty() ? std::nullopt : std::optional(writes_.front()->deadline));
    for (const auto& write : late) {
      write->is_answered = true;
      write->done(false);
    }
  }

  // --- ReplicaWriter::Watcher ---
  void handle_epoch(const std::string& epoch) override {
    if (!epoch_.empty() && epoch != epoch_) start_over(forgotten());
  }
  void handle_missing() override {
    is_record_missing_ = true;
    want_sync(std::max(last_sync_ + k_between_syncs, next_for_missing_));
  }
  void handle_trouble(const Error& why) override { start_over(why); }

  // --- up and down ---
  // Empty: nothing is known yet.
  using Connection = std::optional<Result<void>>;

  [[nodiscard]] bool is_connected() const {
    return write_state_ && write_state_->has_value() && read_state_ && read_state_->has_value();
  }

  void handle_connection(Connection& of, Result<void> state) {
    of = std::move(state);
    if (!of->has_value()) return go_down(of->error());
    if (is_connected()) start_sync();
  }

  void go_down(const Error& why) {
    ++generation_;
    phase_ = Phase::down;
    epoch_.clear();
    forget_heard();
    sync_timer_.set(std::nullopt);
    tell_loss(why);
  }

  // The connections stand, but what is behind them has failed or forgotten.
  void start_over(const Error& why) {
    if (phase_ == Phase::down) return;
    go_down(why);
    sync_timer_.set(monotonic_now() + retry_);
    retry_ = std::min(2 * retry_, config_.longest_retry);
  }

  void sync_soon() { want_sync(last_sync_ + k_between_syncs); }
  // Once the one under way has ended, if there is one.
  void want_sync(Instant earliest) {
    wanted_sync_ = std::min(wanted_sync_.value_or(earliest), earliest);
    set_sync_timer();
  }
  void set_sync_timer() {
    if (phase_ == Phase::following && wanted_sync_) sync_timer_.set(std::max(monotonic_now(), *wanted_sync_));
  }

  // What was read in a generation of which nothing goes on.
  void forget_heard() {
    is_reading_ = false;
    cursor_.reset();
    wanted_.clear();
    heard_.clear();
    heard_bytes_ = 0;
    present_.clear();
    give_timer_.set(std::nullopt);
  }

  void tell_loss(const Error& why) {
    ++losses_;
    owner_.handle_replica_loss();
    tell(std::unexpected(why));
  }
  void tell(const Result<void>& state) {
    const bool is_up = state.has_value();
    if (std::exchange(told_, is_up) != is_up) owner_.handle_replica_state(state);
  }

  // A command of this sync; its failure ends it, and nothing of it is heard once the next one has begun.
  template <class OnReply>
  void ask(RedisClient& client, const std::vector<std::string>& words, OnReply on_reply,
           std::optional<Duration> timeout = {}) {
    client.command(
        words,
        [this, generation = generation_, on_reply = std::move(on_reply)](Result<RedisReply> reply) mutable {
          if (generation != generation_) return;
          Result<void> taken;
          if (reply) {
            taken = on_reply(*reply);
          } else {
            taken = std::unexpected(reply.error());
          }
          // The end of a connection is told by handle_connection().
          if (!taken && taken.error().code() != Errc::redis_down) start_over(taken.error());
        },
        timeout);
  }

  // --- making both sides equal ---
  void start_sync() {
    ++generation_;
    ++status_.syncs;
    last_sync_ = monotonic_now();
    phase_ = Phase::syncing;
    forget_heard();
    replay_ = {};
    sync_timer_.set(std::nullopt);
    wanted_sync_.reset();
    if (std::exchange(is_record_missing_, false)) next_for_missing_ = last_sync_ + k_between_syncs_for_missing;
    check_durability();
    ask(write_client_, directory_.put({}, random_word(rng_)), [this](const RedisReply& reply) -> Result<void> {
      DIG_TRY(const PutReply read, RedisDirectory::read_put(reply, 0));
      // What was lost counts as lost until it is there again.
      if (!epoch_.empty() && epoch_ != read.epoch) tell_loss(forgotten());
      epoch_ = read.epoch;
      find_position();
      return {};
    });
  }

  // Whatever changes from here on is read after the scan. A read that waits for changes may stand before it in the same
  // connection.
  void find_position() {
    ask(
        read_client_, directory_.last_change(),
        [this](const RedisReply& reply) -> Result<void> {
          DIG_TRY(last_change_, RedisDirectory::read_last_change(reply));
          cursor_ = "0";
          read_more();
          return {};
        },
        config_.block + config_.deadline);
  }

  // Some of what is kept is read while what was read before it is on its way: neither the disk nor Redis waits for the
  // other.
  void replay_more() {
    if (replay_.is_reading || replay_.puts >= k_replays_at_once) return;
    if (replay_.is_read) {
      if (replay_.puts == 0) follow_from_now();
      return;
    }
    replay_.is_reading = true;
    owner_.read_rows(replay_.after,
                     [this, generation = generation_, alive = std::weak_ptr(alive_)](Result<store::KeptRows> kept) {
                       if (alive.expired() || generation != generation_) return;
                       if (!kept) return start_over(kept.error());
                       replay_.is_reading = false;
                       replay_.is_read = !kept->next_after;
                       replay_.after = std::move(kept->next_after);
                       put_kept(std::move(kept->rows));
                       replay_more();
                     });
  }

  void put_kept(std::vector<store::DirectoryRow> rows) {
    std::vector<SharedPut> puts;
    std::vector<store::RowName> there;
    for (store::DirectoryRow& row : rows) {
      if (is_present(row)) {
        there.push_back({row.peer, row.slot, row.sequence});
      } else if (auto put = directory_.put_of(std::move(row))) {
        puts.push_back(std::move(*put));
      }
    }
    owner_.handle_replicated(there);
    ++replay_.puts;
    auto go_on = [this, generation = generation_, losses = losses_](const ReplicaWriter::Outcome& outcome) {
      status_.written += outcome.there.size();
      tell_replicated(outcome.there, losses);
      if (generation != generation_) return;
      --replay_.puts;
      replay_more();
    };
    if (!puts.empty()) return writer_.put(std::move(puts), std::move(go_on));
    loop_.post([go_on = std::move(go_on), alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) go_on(ReplicaWriter::Outcome());
    });
  }

  // Whether Redis had it when it was scanned.
  [[nodiscard]] bool is_present(const store::DirectoryRow& row) const {
    return !present_.empty() && present_.contains(content_hash(row));
  }
  // Keyed, so that nobody can make two that are equal.
  [[nodiscard]] std::uint64_t content_hash(const store::DirectoryRow& row) const {
    Bytes content = to_bytes(row.peer.bytes());
    ByteWriter(content).u32(row.slot);
    append(content, row.envelope);
    return sip_hash(present_key_, content);
  }

  void check_durability() {
    write_client_.command({"CONFIG", "GET", "append*"}, [this, generation = generation_](Result<RedisReply> reply) {
      // Whoever may not ask is not warned.
      if (generation != generation_ || !reply || reply->list() == nullptr) return;
      const RedisReply::List& pairs = *reply->list();
      const auto is = [&](std::string_view name, std::string_view value) {
        for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
          if (pairs[i].text() != nullptr && *pairs[i].text() == name) {
            return pairs[i + 1].text() != nullptr && *pairs[i + 1].text() == value;
          }
        }
        return false;
      };
      if ((is("appendonly", "yes") && is("appendfsync", "always")) || std::exchange(has_warned_, true)) return;
      owner_.handle_replica_warning(
          Error(Errc::bad_config,
                "Redis does not write each change to its disk at once: set appendonly yes and "
                "appendfsync always there"));
    });
  }

  // --- hearing of others ---
  void follow_from_now() {
    present_.clear();
    retry_ = k_first_retry;
    phase_ = Phase::following;
    tell({});
    set_sync_timer();
    follow();
  }

  void follow() {
    ask(
        read_client_, directory_.changes_after(last_change_, config_.block),
        [this](const RedisReply& reply) -> Result<void> {
          DIG_TRY(changes_, directory_.read_changes(reply, last_change_));
          return {};
        },
        config_.block + config_.deadline);
    // Behind it in the same connection: whether these are the changes of the same life.
    ask(
        read_client_, {"GET", directory_.epoch_key()},
        [this](const RedisReply& reply) -> Result<void> {
          const std::uint64_t generation = generation_;
          handle_epoch(reply.text() != nullptr ? *reply.text() : "");
          if (generation != generation_) return {};
          if (changes_.has_gap) {
            sync_soon();
          } else {
            last_change_ = changes_.last;
            wanted_ = unknown_rows();
            read_more();
          }
          return {};
        },
        config_.block + config_.deadline);
  }

  // Of what was told: a page with its record, without which it says nothing. Servers that fill an empty Redis tell each
  // other of everything, and most of it is known.
  [[nodiscard]] std::vector<WantedRows> unknown_rows() const {
    std::vector<WantedRows> wanted;
    for (const auto& [peer, told] : changes_.rows) {
      WantedRows rows{peer, {0}, false};
      bool is_new = false;
      for (const auto& [slot, sequence] : told) {
        if (owner_.has_row({peer, slot, sequence})) continue;
        is_new = true;
        if (slot > 0) rows.slots.push_back(slot);
      }
      if (is_new) wanted.push_back(std::move(rows));
    }
    return wanted;
  }

  // --- reading, and giving to the owner ---
  // Some is read ahead of what the owner has taken; once all is taken it goes on with what comes next.
  void read_more() {
    if (is_reading_ || heard_bytes_ >= k_read_ahead) return;
    if (!wanted_.empty()) return read_wanted();
    if (cursor_) return scan();
    if (!heard_.empty()) return;
    phase_ == Phase::syncing ? replay_more() : follow();
  }

  void scan() {
    is_reading_ = true;
    ask(read_client_, directory_.scan(*cursor_), [this](const RedisReply& reply) -> Result<void> {
      DIG_TRY(auto found, directory_.read_scan(reply));
      is_reading_ = false;
      cursor_ = found.first == "0" ? std::nullopt : std::optional(std::move(found.first));
      wanted_ = std::move(found.second);
      read_more();
      return {};
    });
  }

  void read_wanted() {
    is_reading_ = true;
    ask(read_client_, directory_.read(wanted_), [this](const RedisReply& reply) -> Result<void> {
      DIG_TRY(RowsRead read, RedisDirectory::read_rows(reply, wanted_));
      is_reading_ = false;
      wanted_ = std::move(read.rest);
      if (heard_.empty() && !read.values.empty()) give_timer_.set(monotonic_now());
      for (SharedValue& value : read.values) {
        heard_bytes_ += value.value.size();
        heard_.push_back(std::move(value));
      }
      read_more();
      return {};
    });
  }

  // Some at a time: each may have a signature to be checked.
  void give() {
    const std::uint64_t generation = generation_;
    for (std::size_t i = 0; i < k_rows_at_once && !heard_.empty(); ++i) {
      if (!give_one(heard_.front())) return give_timer_.set(monotonic_now() + k_owner_is_busy);
      if (generation != generation_) return;
      heard_bytes_ -= heard_.front().value.size();
      heard_.pop_front();
    }
    if (!heard_.empty()) give_timer_.set(monotonic_now());
    read_more();
  }

  // False: the owner wants it later.
  [[nodiscard]] bool give_one(const SharedValue& value) {
    Result<store::DirectoryRow> row = store::decode_shared_row(value.peer, value.slot, as_bytes(value.value));
    Result<void> taken;
    if (row) {
      if (phase_ == Phase::syncing && present_.size() < k_max_present) present_.insert(content_hash(*row));
      store::age_shared_row(*row, value.left.value_or(row->kept));
      taken = owner_.handle_shared_row(*row);
      ++status_.heard;
    } else {
      taken = std::unexpected(row.error());
    }
    if (taken) return true;
    if (taken.error().code() == Errc::limit_reached) return false;
    if (is_forged(taken.error().code())) {
      ++status_.dropped;
      write_client_.command(directory_.drop(value), [](const Result<RedisReply>&) {});
    }
    return true;
  }

  Loop& loop_;
  Rng& rng_;
  Config config_;
  ReplicaOwner& owner_;
  SipKey present_key_;
  RedisDirectory directory_;
  std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  ReplicaStatus status_;

  Connection write_state_;
  Connection read_state_;
  std::optional<bool> told_;
  bool has_warned_ = false;
  Phase phase_ = Phase::down;
  std::uint64_t generation_ = 0;  // of syncs
  std::string epoch_;             // empty: not known yet
  Instant last_sync_;
  std::optional<Instant> wanted_sync_;  // no sooner
  bool is_record_missing_ = false;      // which the next sync finds
  Instant next_for_missing_;            // no sooner
  std::uint64_t losses_ = 0;            // told to the owner
  Duration retry_ = k_first_retry;

  struct Replay {
    std::optional<PeerId> after;  // whom to go on
    bool is_reading = false;
    bool is_read = false;  // to the end
    std::size_t puts = 0;  // on their way
  };
  Replay replay_;
  std::uint64_t last_change_ = 0;
  ChangesRead changes_;
  bool is_reading_ = false;
  std::optional<std::string> cursor_;  // while all keys are gone through: where to go on
  std::vector<WantedRows> wanted_;     // to be read
  std::deque<SharedValue> heard_;      // not given to the owner yet
  std::size_t heard_bytes_ = 0;
  std::unordered_set<std::uint64_t> present_;  // content that Redis had when it was scanned
  std::deque<std::shared_ptr<Write>> writes_;  // by their deadlines

  Timer write_timer_;
  Timer give_timer_;
  Timer sync_timer_;
  RedisClient write_client_;
  RedisClient read_client_;
  ReplicaWriter writer_;
};

DirectoryReplica::DirectoryReplica(Loop& loop, Resolver& resolver, Rng& rng, Config config, ReplicaOwner& owner)
    : impl_(std::make_unique<Impl>(loop, resolver, rng, std::move(config), owner)) {}
DirectoryReplica::~DirectoryReplica() = default;

void DirectoryReplica::write(std::span<const store::DirectoryChange> changes, OnWritten done) {
  impl_->write(changes, std::move(done));
}
ReplicaStatus DirectoryReplica::snapshot() const { return impl_->snapshot(); }

}  // namespace dig::net
