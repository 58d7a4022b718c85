// SPDX-License-Identifier: Apache-2.0
// What the directory asks of whoever keeps it durably: rows of signed envelopes to put and to erase, in batches. A row
// is named by its peer and slot. Putting a row replaces the one of that name; order counts.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/accept_limiter.hpp"
#include "base/bytes.hpp"
#include "base/time.hpp"
#include "wire/peer_id.hpp"

namespace dig::store {

struct DirectoryRow {
  PeerId peer;
  std::uint32_t slot = 0;  // 0: the node record, or the removal; n + 1: page n of its stores
  std::uint64_t sequence = 0;
  // Of slot 0 only; pages live as long as their record.
  AcceptLimiter::Prefix source = 0;  // whence it was registered
  Duration lifetime{0};              // from now on; 0: it has ended, and the row only keeps older ones from coming back
  Duration kept{0};                  // from now on, at least as long as `lifetime`
  Bytes envelope;
  friend bool operator==(const DirectoryRow&, const DirectoryRow&) = default;
};
struct EraseRows {
  PeerId peer;
  std::uint32_t first_slot = 0;  // this one and all after it
  // With slot 0: of the ended record that is forgotten. Where several servers share a directory it is taken out there
  // unless there is a newer one of the same peer. 0: this server has no room for the record, and it stays there.
  std::uint64_t sequence = 0;
  friend bool operator==(const EraseRows&, const EraseRows&) = default;
};
// A row as it was at some time.
struct RowName {
  PeerId peer;
  std::uint32_t slot = 0;
  std::uint64_t sequence = 0;
  friend bool operator==(const RowName&, const RowName&) = default;
};
using DirectoryChange = std::variant<DirectoryRow, EraseRows>;

// Some of the rows that are kept, in the order of their peers; the record of a peer before its pages.
struct KeptRows {
  std::vector<DirectoryRow> rows;
  std::optional<PeerId> next_after;  // go on after this peer; nothing: that was all
};

}  // namespace dig::store
