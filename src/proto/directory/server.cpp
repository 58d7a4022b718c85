// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/server.hpp"

#include <algorithm>
#include <utility>

#include "wire/signed_statement.hpp"
#include "wire/store_announcement.hpp"

namespace dig::directory {
namespace {

std::uint64_t milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

// The key of a statement that was read: it is Ed25519.
NodeKey key_of(const SignedEnvelope& envelope) {
  NodeKey key;
  std::ranges::copy(envelope.public_key.data, key.begin());
  return key;
}

}  // namespace

DirectoryServer::DirectoryServer(Instant now, UnixTime wall, Rng& rng, Limits limits)
    : rng_(rng), limits_(limits), wall_(now, wall), index_(rng) {}

// --- registrations -----------------------------------------------------------------------------------------------

Result<void> DirectoryServer::register_envelopes(Instant now, RegistrationId registration, const Registrant& registrant,
                                                 std::span<const Bytes> envelopes) {
  const Result<void> result = acknowledge(now, registration, registrant, envelopes);
  ++(result ? status_.registered : status_.refused);
  return result;
}

Result<void> DirectoryServer::remove(Instant now, RegistrationId registration, const Registrant& registrant,
                                     const Bytes& envelope) {
  DIG_TRY(const SignedEnvelope removal, SignedEnvelope::decode(envelope));
  if (!is_statement<NodeRemoval>(removal)) return fail(Errc::malformed, "a removal with something else in it");
  return register_envelopes(now, registration, registrant, {&envelope, 1});
}

Result<void> DirectoryServer::acknowledge(Instant now, RegistrationId registration, const Registrant& registrant,
                                          std::span<const Bytes> envelopes) {
  const std::optional<NodeKey> key = node_key_of(registrant.peer);
  if (!key) return fail(Errc::bad_public_key, "a node has an Ed25519 key");
  Durability worst = Durability::replicated;
  bool is_rest_replicated = true;
  for (const Bytes& envelope : envelopes) {
    DIG_TRY(const Durability durability,
            accept(now, envelope, {.sender = &registrant.peer, .source = registrant.source}));
    worst = std::min(worst, durability);
    if (durability == Durability::on_disk) is_rest_replicated = false;
  }
  if (worst == Durability::queued) {
    journal_.wait({registration, *key, is_rest_replicated});
  } else {
    events_.push_back(Acknowledged{registration, registered_of(now, *key, worst == Durability::replicated)});
  }
  return {};
}

Result<Durability> DirectoryServer::accept(Instant now, const Bytes& bytes, const Arrival& arrival) {
  if (journal_.bytes() > limits_.max_unpersisted_bytes) return fail(Errc::limit_reached, "the disk does not keep up");
  DIG_TRY(const SignedEnvelope envelope, SignedEnvelope::decode(bytes));
  if (is_statement<NodeRecord>(envelope)) return accept_record(now, envelope, arrival);
  if (is_statement<StoreAnnouncement>(envelope)) return accept_page(now, envelope, arrival);
  if (is_statement<NodeRemoval>(envelope)) return accept_removal(now, envelope, arrival);
  return fail(Errc::malformed, "an envelope with something that the directory does not keep");
}

// The checks go from cheap to dear: the signature comes last, and only then something changes.
Result<Durability> DirectoryServer::accept_record(Instant now, const SignedEnvelope& envelope, const Arrival& arrival) {
  DIG_TRY(const NodeRecord record, read_unverified<NodeRecord>(envelope));
  DIG_CHECK(check_sender(record.peer, arrival));
  DIG_TRY(const Duration lifetime, lifetime_of(now, record, arrival));
  if (record.pages > limits_.max_pages_per_peer) return fail(Errc::directory_full, "too many pages of stores");
  const NodeKey key = key_of(envelope);
  // Encoded again: what a peer may have put between the signed fields is not kept.
  const Bytes encoded = envelope.encode();
  std::optional<EntryId> id = index_.find(key);
  if (id) {
    const Entry& entry = index_.entry(*id);
    if (equal(entry.record, encoded)) {
      if (entry.durability == Durability::in_memory) write_record(now, *id, encoded);
      return entry.durability;  // queued by now, or better
    }
    if (record.sequence <= entry.sequence) return fail(Errc::record_outdated);
  }
  const std::uint64_t before = id ? index_.bytes_of(*id) - index_.entry(*id).record.size() : index_.k_entry_bytes;
  const Growth growth = growth_of(id, arrival.source, before + encoded.size());
  DIG_CHECK(check_room(arrival.source, growth));
  DIG_CHECK(check_signature<NodeRecord>(now, envelope, arrival));
  DIG_CHECK(make_room(arrival.source, growth, id));

  const bool was_live = id && index_.entry(*id).is_live();
  const std::uint32_t pages_before = was_live ? index_.entry(*id).page_count : 0;
  if (!id) id = index_.add(key, arrival.source);
  index_.put_record(*id, record, encoded, arrival.source, now + lifetime);
  if (arrival.origin == Arrival::Origin::own_disk) return Durability::on_disk;
  // Pages of a life before this one may still be on the disk.
  if (!was_live || record.pages < pages_before) journal_.erase(record.peer, was_live ? record.pages + 1 : 1);
  write_record(now, *id, encoded);
  return Durability::queued;
}

Result<Durability> DirectoryServer::accept_page(Instant now, const SignedEnvelope& envelope, const Arrival& arrival) {
  DIG_TRY(const StoreAnnouncement page, read_unverified<StoreAnnouncement>(envelope));
  DIG_CHECK(check_sender(page.peer, arrival));
  DIG_CHECK(check_sequence(now, page.sequence, arrival));
  const std::optional<EntryId> id = index_.find(key_of(envelope));
  if (!id || !index_.entry(*id).is_live()) return fail(Errc::record_expired, "stores without a record of their holder");
  const Entry& entry = index_.entry(*id);
  if (page.page >= entry.page_count) return fail(Errc::malformed, "a page that the record does not count");
  const Bytes encoded = envelope.encode();
  const Page* const kept = entry.page(page.page);
  if (kept != nullptr) {
    if (equal(kept->envelope, encoded)) {
      if (kept->durability == Durability::in_memory) write_page(*id, *kept);
      return kept->durability;
    }
    if (page.sequence <= kept->sequence) return fail(Errc::record_outdated, "a page of stores");
  }
  const std::uint64_t stores_kept = kept != nullptr ? kept->stores : 0;
  if (entry.stores - stores_kept + page.stores.size() > limits_.max_stores_per_peer) {
    return fail(Errc::directory_full, "too many stores of one peer");
  }
  const auto cost = [](std::uint64_t bytes, std::uint64_t stores) {
    return DirectoryIndex::k_page_bytes + bytes + stores * DirectoryIndex::k_store_bytes;
  };
  const std::uint64_t freed = kept != nullptr ? cost(kept->envelope.size(), kept->stores) : 0;
  // A page stays with the source of its record.
  const std::uint64_t after = index_.bytes_of(*id) - freed + cost(encoded.size(), page.stores.size());
  const Growth growth = growth_of(id, entry.source, after);
  DIG_CHECK(check_room(entry.source, growth));
  DIG_CHECK(check_signature<StoreAnnouncement>(now, envelope, arrival));
  DIG_CHECK(make_room(entry.source, growth, id));

  index_.put_page(*id, page.page, page.sequence, encoded, page.stores);
  if (arrival.origin == Arrival::Origin::own_disk) return Durability::on_disk;
  write_page(*id, *entry.page(page.page));
  return Durability::queued;
}

Result<Durability> DirectoryServer::accept_removal(Instant now, const SignedEnvelope& envelope,
                                                   const Arrival& arrival) {
  DIG_TRY(const NodeRemoval removal, read_unverified<NodeRemoval>(envelope));
  DIG_CHECK(check_sender(removal.peer, arrival));
  DIG_CHECK(check_sequence(now, removal.sequence, arrival));
  const Duration danger = danger_of_older(now, removal.sequence);
  if (danger <= 0s) return fail(Errc::record_expired, "an old removal");
  std::optional<EntryId> id = index_.find(key_of(envelope));
  if (id) {
    const Entry& entry = index_.entry(*id);
    const bool is_done = removal.sequence == entry.sequence && !entry.is_live();
    if (is_done && entry.durability != Durability::in_memory) return entry.durability;
    if (removal.sequence <= entry.sequence && !is_done) return fail(Errc::record_outdated);
  }
  DIG_CHECK(check_signature<NodeRemoval>(now, envelope, arrival));
  if (!id) id = index_.add(key_of(envelope), arrival.source);
  end_record(now, *id, removal.sequence);
  journal_.erase(removal.peer, 1);
  write_record(now, *id, envelope.encode());
  forget_surplus();
  return Durability::queued;
}

// --- checks ------------------------------------------------------------------------------------------------------

Result<void> DirectoryServer::check_sender(const PeerId& peer, const Arrival& arrival) const {
  if (arrival.origin == Arrival::Origin::peer && peer != *arrival.sender) {
    return fail(Errc::record_of_another_peer, "a peer registers itself only");
  }
  return {};
}

Result<void> DirectoryServer::check_sequence(Instant now, std::uint64_t sequence, const Arrival& arrival) const {
  if (arrival.origin == Arrival::Origin::own_disk) return {};
  if (sequence > wall_.milliseconds(now) + milliseconds(k_max_clock_error)) return fail(Errc::record_from_future);
  return {};
}

// A record ends its lifetime after it was signed: so one that is sent again cannot come back to life. The time of
// signing is the peer's word; what a wrong clock costs is its own.
Result<Duration> DirectoryServer::lifetime_of(Instant now, const NodeRecord& record, const Arrival& arrival) const {
  if (arrival.origin == Arrival::Origin::own_disk) return *arrival.lifetime;
  DIG_CHECK(check_sequence(now, record.sequence, arrival));
  const std::uint64_t wall = wall_.milliseconds(now);
  const std::uint64_t age = wall > record.sequence ? wall - record.sequence : 0;
  const Duration lifetime = arrival.lifetime ? std::min<Duration>(*arrival.lifetime, record.lifetime) : record.lifetime;
  if (lifetime <= 0s || age >= milliseconds(record.lifetime)) return fail(Errc::record_expired);
  return std::min<Duration>(lifetime, record.lifetime - std::chrono::milliseconds(age));
}

template <class Statement>
Result<void> DirectoryServer::check_signature(Instant now, const SignedEnvelope& envelope, const Arrival& arrival) {
  if (arrival.origin == Arrival::Origin::own_disk) return {};
  if (arrival.origin == Arrival::Origin::peer && !verifications_.take(now, limits_.verifications, 1)) {
    return fail(Errc::limit_reached, "too many registrations at once");
  }
  ++status_.verified;
  return verify_statement<Statement>(envelope);
}

// --- room --------------------------------------------------------------------------------------------------------

DirectoryServer::Growth DirectoryServer::growth_of(std::optional<EntryId> id, SourcePrefix source,
                                                   std::uint64_t bytes_after) const {
  const bool is_live = id && index_.entry(*id).is_live();
  const std::uint64_t bytes_before = is_live ? index_.bytes_of(*id) : 0;
  const Usage total{.records = is_live ? 0U : 1U, .bytes = bytes_after > bytes_before ? bytes_after - bytes_before : 0};
  const Usage whole{1, bytes_after};
  const SourcePrefix before = is_live ? index_.entry(*id).source : 0;
  return {.source = is_live && before == source ? total : whole,
          .network = is_live && network_of(before) == network_of(source) ? total : whole,
          .total = total};
}

DirectoryServer::Shortage DirectoryServer::shortage_for(const Growth& growth) const {
  const Usage& total = index_.shares().total();
  return {.of_records = growth.total.records > 0 && total.records + growth.total.records > limits_.max_records,
          .of_bytes = growth.total.bytes > 0 && total.bytes + growth.total.bytes > limits_.max_bytes};
}

// What grows nothing always has room. A source that is not yet the largest may take the place of one that is.
Result<void> DirectoryServer::check_room(SourcePrefix source, const Growth& growth) const {
  const SourceShares& shares = index_.shares();
  const Usage after = shares.of(source) + growth.source;
  const Usage network_after = index_.usage_of_network(source) + growth.network;
  const auto is_over = [](const Usage& added, const Usage& whole, std::uint64_t records, std::uint64_t bytes) {
    return (added.records > 0 && whole.records > records) || (added.bytes > 0 && whole.bytes > bytes);
  };
  if (is_over(growth.source, after, limits_.max_records_per_source, limits_.max_bytes_per_source)) {
    return fail(Errc::directory_full, "for this source address");
  }
  if (is_over(growth.network, network_after, limits_.max_records_per_network, limits_.max_bytes_per_network)) {
    return fail(Errc::directory_full, "for this network");
  }
  const Shortage shortage = shortage_for(growth);
  if ((shortage.of_records && shares.most_records().amount <= after.records) ||
      (shortage.of_bytes && shares.most_bytes().amount <= after.bytes)) {
    return fail(Errc::directory_full);
  }
  return {};
}

// Evicts from the largest source, never more than makes it as small as the one that grows.
Result<void> DirectoryServer::make_room(SourcePrefix source, const Growth& growth, std::optional<EntryId> keep) {
  while (true) {
    DIG_CHECK(check_room(source, growth));
    const Shortage shortage = shortage_for(growth);
    if (!shortage.of_records && !shortage.of_bytes) return {};
    const SourceShares& shares = index_.shares();
    const SourcePrefix largest = shortage.of_records ? shares.most_records().source : shares.most_bytes().source;
    const std::optional<EntryId> victim = index_.first_to_expire(largest, keep);
    if (!victim) return fail(Errc::directory_full);
    evict(*victim);
  }
}

// Other servers of the same directory may have room for it, and have told its peer that it is kept in two places.
void DirectoryServer::evict(EntryId id) {
  journal_.erase(index_.entry(id).peer(), 0);
  index_.erase(id);
  ++status_.evicted;
}

// --- durability --------------------------------------------------------------------------------------------------

void DirectoryServer::write_record(Instant now, EntryId id, Bytes envelope) {
  const Entry& entry = index_.entry(id);
  index_.set_durability(entry.key, 0, entry.sequence, Durability::queued);
  const Duration left = entry.deadline - now;
  journal_.put(entry.key, {.peer = entry.peer(),
                           .slot = 0,
                           .sequence = entry.sequence,
                           .source = entry.source,
                           .lifetime = entry.is_live() ? left : Duration(0),
                           .kept = std::max(left, danger_of_older(now, entry.sequence)),
                           .envelope = std::move(envelope)});
}

void DirectoryServer::write_page(EntryId id, const Page& page) {
  const Entry& entry = index_.entry(id);
  index_.set_durability(entry.key, page.number + 1U, page.sequence, Durability::queued);
  journal_.put(entry.key, {.peer = entry.peer(),
                           .slot = page.number + 1U,
                           .sequence = page.sequence,
                           .source = 0,
                           .lifetime = Duration(0),
                           .kept = Duration(0),
                           .envelope = page.envelope});
}

Registered DirectoryServer::registered_of(Instant now, const NodeKey& key, bool is_replicated) const {
  const std::optional<EntryId> id = index_.find(key);
  if (!id || !index_.entry(*id).is_live() || index_.entry(*id).deadline <= now) return {0s, is_replicated};
  return {std::chrono::floor<std::chrono::seconds>(index_.entry(*id).deadline - now), is_replicated};
}

void DirectoryServer::fail_waiting(const std::vector<Journal::Waiting>& list, const Error& error) {
  for (const Journal::Waiting& waiting : list) {
    events_.push_back(Acknowledged{waiting.registration, fail(Errc::directory_failed, error.detail())});
  }
}

void DirectoryServer::handle_persisted(Instant now, PersistToken token, const Result<PersistOutcome>& result) {
  const std::optional<Journal::Batch> batch = journal_.finish_batch(token);
  if (!batch) return;
  if (!result) {
    for (const Journal::Written& written : batch->written) {
      index_.set_durability(written.key, written.slot, written.sequence, Durability::in_memory);
    }
    fail_waiting(batch->waiting, result.error());
    // Some of them may wait for what was in this batch.
    fail_waiting(journal_.take_waiting(), result.error());
    return;
  }
  // Who waits for the next batch may do so for what was in this one.
  if (!result->is_replicated) journal_.forget_replicas();
  const Durability durability = result->is_replicated ? Durability::replicated : Durability::on_disk;
  for (const Journal::Written& written : batch->written) {
    index_.set_durability(written.key, written.slot, written.sequence, durability);
  }
  for (const Journal::Waiting& waiting : batch->waiting) {
    const bool is_replicated = result->is_replicated && waiting.is_rest_replicated;
    events_.push_back(Acknowledged{waiting.registration, registered_of(now, waiting.key, is_replicated)});
  }
}

Result<void> DirectoryServer::load(Instant now, const store::DirectoryRow& row, RowOrigin origin) {
  if (origin == RowOrigin::own_disk && row.slot == 0 && row.lifetime <= 0s) {
    DIG_TRY(const SignedEnvelope envelope, SignedEnvelope::decode(row.envelope));
    return load_ended(now, envelope, row);
  }
  const bool is_own = origin == RowOrigin::own_disk;
  const Arrival arrival{.origin = is_own ? Arrival::Origin::own_disk : Arrival::Origin::other_server,
                        .source = row.source,
                        .lifetime = row.lifetime};
  DIG_CHECK(accept(now, row.envelope, arrival));
  if (!is_own) return {};
  if (const auto key = node_key_of(row.peer)) {
    index_.set_durability(*key, row.slot, row.sequence, Durability::on_disk);
  }
  return {};
}

bool DirectoryServer::has_row(const store::RowName& row) const {
  const auto key = node_key_of(row.peer);
  const auto id = key ? index_.find(*key) : std::nullopt;
  if (!id) return false;
  const Entry& entry = index_.entry(*id);
  if (row.slot == 0) return entry.sequence >= row.sequence && entry.durability != Durability::in_memory;
  const Page* const page = entry.page(row.slot - 1);
  return page != nullptr && page->sequence >= row.sequence && page->durability != Durability::in_memory;
}

void DirectoryServer::handle_replicated(std::span<const store::RowName> rows) {
  for (const store::RowName& row : rows) {
    const std::optional<NodeKey> key = node_key_of(row.peer);
    if (key) index_.improve_durability(*key, row.slot, row.sequence, Durability::on_disk, Durability::replicated);
  }
}

void DirectoryServer::forget_replicas() {
  index_.lower_durability(Durability::on_disk);
  journal_.forget_replicas();
}

Result<void> DirectoryServer::load_ended(Instant now, const SignedEnvelope& envelope, const store::DirectoryRow& row) {
  const std::optional<NodeKey> key = node_key_of(envelope.signer());
  if (!key || index_.find(*key) || row.kept <= 0s) return {};
  const EntryId id = index_.add(*key, row.source);
  index_.bury(id, row.sequence, now + row.kept);
  index_.set_durability(*key, 0, row.sequence, Durability::on_disk);
  forget_surplus();
  return {};
}

std::optional<ServerEvent> DirectoryServer::poll_event() {
  if (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  return journal_.start_batch();
}

// --- time --------------------------------------------------------------------------------------------------------

Duration DirectoryServer::danger_of_older(Instant now, std::uint64_t sequence) const {
  const std::uint64_t end = sequence + milliseconds(NodeRecord::max_lifetime);
  const std::uint64_t wall = wall_.milliseconds(now);
  return end > wall ? std::chrono::milliseconds(end - wall) : Duration(0);
}

void DirectoryServer::end_record(Instant now, EntryId id, std::uint64_t sequence) {
  index_.bury(id, sequence, now + danger_of_older(now, sequence));
}

// Those that would be forgotten first anyhow. Only their own peer could bring an older record then.
void DirectoryServer::forget_surplus() {
  while (index_.ended() > limits_.max_ended) {
    const EntryId id = *index_.first_to_forget();
    journal_.erase(index_.entry(id).peer(), 0, index_.entry(id).sequence);
    index_.erase(id);
  }
}

void DirectoryServer::handle_timeout(Instant now) {
  while (const std::optional<EntryId> id = index_.first_due()) {
    const Entry& entry = index_.entry(*id);
    if (entry.deadline > now) break;
    if (entry.is_live() && danger_of_older(now, entry.sequence) > 0s) {
      end_record(now, *id, entry.sequence);
      ++status_.expired;
    } else {
      status_.expired += entry.is_live() ? 1U : 0U;
      index_.erase(*id);
    }
  }
  forget_surplus();
}

std::optional<Instant> DirectoryServer::next_timeout() const {
  const std::optional<EntryId> id = index_.first_due();
  return id ? std::optional(index_.entry(*id).deadline) : std::nullopt;
}

ServerStatus DirectoryServer::snapshot() const {
  ServerStatus status = status_;
  status.live = index_.live();
  status.ended = index_.ended();
  status.sources = index_.shares().sources();
  status.postings = index_.postings();
  status.index_memory = index_.index_memory();
  status.bytes = index_.shares().total().bytes;
  status.unpersisted = journal_.changes();
  return status;
}

}  // namespace dig::directory
