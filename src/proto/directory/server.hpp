// SPDX-License-Identifier: Apache-2.0
// The directory of a bootstrap server: which peers there are, what they do for others and which stores they hold, as
// each of them signed it. Only a peer itself can register what it signed; an older sequence number never replaces a
// newer one; records expire by the server's own clock. Everything is bounded, and when the directory is full the source
// prefix that holds most gives way, so that many keys behind one address cost nobody else a place.
//
// What was registered is found at once, and acknowledged when the owner has made it durable: it is asked by Persist,
// for one batch at a time, and answers with handle_persisted. What comes in meanwhile makes up the next batch, so that
// one commit serves many. At the start the owner hands back what it kept by load().
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <variant>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "base/token_bucket.hpp"
#include "base/wall_clock.hpp"
#include "proto/directory/index.hpp"
#include "proto/directory/journal.hpp"
#include "store/directory_rows.hpp"
#include "wire/directory_message.hpp"
#include "wire/signed_envelope.hpp"

namespace dig::directory {

struct Acknowledged {
  RegistrationId registration;
  Result<Registered> result;  // directory_failed: it is not durable
};
using ServerEvent = std::variant<Persist, Acknowledged>;

struct PersistOutcome {
  bool is_replicated = false;  // would survive the loss of this machine
};

// Who sends, as the connection proved it.
struct Registrant {
  PeerId peer;
  SourcePrefix source = 0;
};

// A row that was kept: on our own disk, which is believed, or by another server, whose rows are checked like what peers
// send.
enum class RowOrigin : std::uint8_t { own_disk, other_server };

struct ServerStatus {
  std::size_t live = 0;      // records
  std::size_t ended = 0;     // of which only the sequence is left
  std::size_t sources = 0;   // prefixes
  std::size_t postings = 0;  // of the index
  std::size_t index_memory = 0;
  std::uint64_t bytes = 0;      // about what all of it takes in memory
  std::size_t unpersisted = 0;  // changes that are not durable yet
  std::uint64_t registered = 0;
  std::uint64_t refused = 0;
  std::uint64_t verified = 0;  // signatures
  std::uint64_t evicted = 0;
  std::uint64_t expired = 0;
  std::uint64_t look_ups = 0;
};

class DirectoryServer {
 public:
  using Event = ServerEvent;
  struct Limits {
    std::uint64_t max_records = 131'072;
    std::uint64_t max_bytes = 512U << 20U;
    std::uint64_t max_records_per_source = 256;  // many homes share the address of a carrier's NAT
    std::uint64_t max_bytes_per_source = 16U << 20U;
    std::uint64_t max_records_per_network = 16'384;  // of an IPv4 /16 or an IPv6 /32
    std::uint64_t max_bytes_per_network = 64U << 20U;
    std::size_t max_ended = 65'536;  // of which the sequence is remembered
    std::uint32_t max_pages_per_peer = NodeRecord::max_pages;
    std::uint32_t max_stores_per_peer = 65'536;
    TokenBucket::Rate verifications{.per_second = 4000, .burst = 400};  // less than half of a core, 40 ms at once
    std::size_t max_unpersisted_bytes = 32U << 20U;                     // gathering while a batch is written
  };
  static constexpr Duration k_max_clock_error = 1h;

  // `rng` must outlive the machine.
  DirectoryServer(Instant now, UnixTime wall, Rng& rng, Limits limits);
  DirectoryServer(Instant now, UnixTime wall, Rng& rng) : DirectoryServer(now, wall, rng, Limits{}) {}

  // The system's clock was set, or may have drifted. It judges sequence numbers; nothing expires by it.
  void set_wall_clock(Instant now, UnixTime wall) { wall_ = WallClock(now, wall); }

  // Encoded envelopes with a node record and announcements, taken in their order up to the first that is refused. On
  // success Acknowledged follows. Errors: malformed, oversized, bad_public_key, bad_signature, the record_… codes,
  // directory_full, limit_reached (disk or processor do not keep up).
  [[nodiscard]] Result<void> register_envelopes(Instant now, RegistrationId registration, const Registrant& registrant,
                                                std::span<const Bytes> envelopes);
  // The peer leaves at once; `envelope` has a NodeRemoval. The same errors.
  [[nodiscard]] Result<void> remove(Instant now, RegistrationId registration, const Registrant& registrant,
                                    const Bytes& envelope);

  // A page of at most `limit` records that fits a response. Without a cursor it begins somewhere, and the listing ends
  // where it began, so that the records of a much wanted store are all handed out equally often.
  [[nodiscard]] FoundRecords find_holders(const StoreId& store, const std::optional<DirectoryCursor>& cursor,
                                          std::uint32_t limit);
  [[nodiscard]] FoundRecords find_roles(NodeRoles roles, const std::optional<DirectoryCursor>& cursor,
                                        std::uint32_t limit);
  [[nodiscard]] FoundRecords find_peer(const PeerId& peer);

  void handle_persisted(Instant now, PersistToken token, const Result<PersistOutcome>& result);
  // The record of a peer before its pages. Errors as in register_envelopes.
  [[nodiscard]] Result<void> load(Instant now, const store::DirectoryRow& row, RowOrigin origin);

  // This row, or something newer in its place, is on its way to the disk or there: load() would take nothing of it.
  [[nodiscard]] bool has_row(const store::RowName& row) const;

  // These rows are kept by more than this machine now, although their batch was answered without that.
  void handle_replicated(std::span<const store::RowName> rows);
  // What other machines kept may be lost: all is on this server's disk only, until handle_replicated() says otherwise.
  void forget_replicas();

  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] ServerStatus snapshot() const;

 private:
  struct Arrival {
    enum class Origin : std::uint8_t { peer, other_server, own_disk };

    Origin origin = Origin::peer;
    const PeerId* sender = nullptr;  // of a peer
    SourcePrefix source = 0;
    std::optional<Duration> lifetime{};  // of a row: what is left of it
  };
  // What an envelope adds to its source, to the network of that, and to the whole.
  struct Growth {
    Usage source;
    Usage network;
    Usage total;
  };

  [[nodiscard]] Result<void> acknowledge(Instant now, RegistrationId registration, const Registrant& registrant,
                                         std::span<const Bytes> envelopes);
  // How well the envelope is kept by now.
  [[nodiscard]] Result<Durability> accept(Instant now, const Bytes& bytes, const Arrival& arrival);
  [[nodiscard]] Result<Durability> accept_record(Instant now, const SignedEnvelope& envelope, const Arrival& arrival);
  [[nodiscard]] Result<Durability> accept_page(Instant now, const SignedEnvelope& envelope, const Arrival& arrival);
  [[nodiscard]] Result<Durability> accept_removal(Instant now, const SignedEnvelope& envelope, const Arrival& arrival);
  [[nodiscard]] Result<void> load_ended(Instant now, const SignedEnvelope& envelope, const store::DirectoryRow& row);

  [[nodiscard]] Result<void> check_sender(const PeerId& peer, const Arrival& arrival) const;
  [[nodiscard]] Result<void> check_sequence(Instant now, std::uint64_t sequence, const Arrival& arrival) const;
  [[nodiscard]] Result<Duration> lifetime_of(Instant now, const NodeRecord& record, const Arrival& arrival) const;
  template <class Statement>
  [[nodiscard]] Result<void> check_signature(Instant now, const SignedEnvelope& envelope, const Arrival& arrival);

  // Of which the whole has too little for it.
  struct Shortage {
    bool of_records = false;
    bool of_bytes = false;
  };

  [[nodiscard]] Growth growth_of(std::optional<EntryId> id, SourcePrefix source, std::uint64_t bytes_after) const;
  [[nodiscard]] Shortage shortage_for(const Growth& growth) const;
  [[nodiscard]] Result<void> check_room(SourcePrefix source, const Growth& growth) const;
  [[nodiscard]] Result<void> make_room(SourcePrefix source, const Growth& growth, std::optional<EntryId> keep);
  void evict(EntryId id);

  void write_record(Instant now, EntryId id, Bytes envelope);
  void write_page(EntryId id, const Page& page);
  void fail_waiting(const std::vector<Journal::Waiting>& list, const Error& error);
  [[nodiscard]] Registered registered_of(Instant now, const NodeKey& key, bool is_replicated) const;
  // How long something older than this could still be accepted.
  [[nodiscard]] Duration danger_of_older(Instant now, std::uint64_t sequence) const;
  // Only its sequence is left, for as long as something older could come.
  void end_record(Instant now, EntryId id, std::uint64_t sequence);
  void forget_surplus();

  template <class Announcement>
  [[nodiscard]] FoundRecords list(std::uint64_t term, const std::optional<DirectoryCursor>& cursor, std::uint32_t limit,
                                  Announcement announcement);

  Rng& rng_;
  Limits limits_;
  WallClock wall_;
  TokenBucket verifications_;
  DirectoryIndex index_;
  Journal journal_;
  std::deque<Event> events_;
  ServerStatus status_;
};

}  // namespace dig::directory
