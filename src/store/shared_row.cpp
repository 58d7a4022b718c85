// SPDX-License-Identifier: Apache-2.0
#include "store/shared_row.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "wire/node_record.hpp"
#include "wire/signed_statement.hpp"
#include "wire/store_announcement.hpp"

namespace dig::store {
namespace {

constexpr std::uint8_t k_version = 1;

std::uint32_t milliseconds(Duration duration) {
  const Duration bounded = std::clamp<Duration>(duration, 0s, k_max_shared_kept);
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::milliseconds>(bounded).count());
}

template <class Statement>
Result<void> check_statement(const SignedEnvelope& envelope, const DirectoryRow& row) {
  DIG_TRY(const Statement statement, read_unverified<Statement>(envelope));
  if (statement.peer != row.peer) return fail(Errc::record_of_another_peer, "in a shared row");
  if (statement.sequence != row.sequence) return fail(Errc::malformed, "a shared row with another sequence");
  if constexpr (std::is_same_v<Statement, StoreAnnouncement>) {
    if (statement.page + 1U != row.slot) return fail(Errc::malformed, "a shared page in another place");
  }
  return {};
}

Result<void> check_consistent(const DirectoryRow& row) {
  DIG_TRY(const SignedEnvelope envelope, SignedEnvelope::decode(row.envelope));
  const bool is_page = row.slot > 0;
  const bool is_live = row.lifetime > 0s;
  if (row.lifetime > row.kept || row.kept > k_max_shared_kept || is_page == (row.kept > 0s)) {
    return fail(Errc::malformed, "the lifetime of a shared row");
  }
  if (is_page) return check_statement<StoreAnnouncement>(envelope, row);
  return is_live ? check_statement<NodeRecord>(envelope, row) : check_statement<NodeRemoval>(envelope, row);
}

}  // namespace

Bytes encode_shared_row(const DirectoryRow& row) {
  Bytes out = encode_shared_sequence(row.sequence);
  out.reserve(k_shared_row_header + row.envelope.size());
  ByteWriter writer(out);
  writer.u64(row.source);
  writer.u32(milliseconds(row.lifetime));
  writer.u32(milliseconds(row.kept));
  writer.bytes(row.envelope);
  return out;
}

Bytes encode_shared_sequence(std::uint64_t sequence) {
  Bytes out;
  ByteWriter writer(out);
  writer.u8(k_version);
  writer.u64(sequence);
  return out;
}

Result<DirectoryRow> decode_shared_row(const PeerId& peer, std::uint32_t slot, BytesView value) {
  if (value.size() > k_max_shared_row) return fail(Errc::oversized, "a shared row");
  ByteReader reader(value);
  DIG_TRY(const std::uint8_t version, reader.u8());
  if (version != k_version) return fail(Errc::malformed, "a shared row of another version");
  DIG_TRY(const std::uint64_t sequence, reader.u64());
  DIG_TRY(const std::uint64_t source, reader.u64());
  DIG_TRY(const std::uint32_t lifetime, reader.u32());
  DIG_TRY(const std::uint32_t kept, reader.u32());
  DirectoryRow row{.peer = peer,
                   .slot = slot,
                   .sequence = sequence,
                   .source = source,
                   .lifetime = std::chrono::milliseconds(lifetime),
                   .kept = std::chrono::milliseconds(kept),
                   .envelope = to_bytes(reader.rest())};
  DIG_CHECK(check_consistent(row));
  return row;
}

void age_shared_row(DirectoryRow& row, Duration left) {
  const Duration age = std::max<Duration>(row.kept - left, 0s);
  row.lifetime = std::max<Duration>(row.lifetime - age, 0s);
  row.kept = std::max<Duration>(row.kept - age, 0s);
}

std::optional<std::uint32_t> first_stale_slot(const DirectoryRow& row) {
  const auto envelope = SignedEnvelope::decode(row.envelope);
  if (!envelope || row.kept <= 0s) return std::nullopt;
  if (is_statement<NodeRemoval>(*envelope)) return 1;
  if (row.lifetime <= 0s) return std::nullopt;
  const auto record = read_unverified<NodeRecord>(*envelope);
  return record ? std::optional(record->pages + 1) : std::nullopt;
}

}  // namespace dig::store
