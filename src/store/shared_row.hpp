// SPDX-License-Identifier: Apache-2.0
// A directory row as several servers share it: the value that stands under its peer and slot. All numbers big-endian:
//
//   0   version, 1
//   1   sequence, 64 bits
//   9   source, 64 bits
//   17  lifetime, milliseconds from the writing on, 32 bits; 0 for removals and pages
//   21  kept, the same; 0 for pages
//   25  the signed envelope
//
// Whoever reads it trusts nobody who could have written it: what is decoded here agrees with itself, and only the
// signature is left to check.
#pragma once

#include <optional>

#include "base/result.hpp"
#include "store/directory_rows.hpp"

namespace dig::store {

inline constexpr std::size_t k_shared_row_header = 25;
inline constexpr std::size_t k_max_shared_row = k_shared_row_header + std::size_t{64} * 1024;
// A record lives for two hours, and may have been signed by a clock that was ahead.
inline constexpr Duration k_max_shared_kept = std::chrono::hours(4);

[[nodiscard]] Bytes encode_shared_row(const DirectoryRow& row);
// The first bytes of a value, enough to compare its sequence with another one.
[[nodiscard]] Bytes encode_shared_sequence(std::uint64_t sequence);
// Errors: truncated, malformed, oversized, bad_public_key, record_of_another_peer.
[[nodiscard]] Result<DirectoryRow> decode_shared_row(const PeerId& peer, std::uint32_t slot, BytesView value);
// `left`: of `kept`, by whoever kept it.
void age_shared_row(DirectoryRow& row, Duration left);

// Of a row with slot 0: pages from this slot on belong to nothing any more. Nothing when the row says nothing to
// others: a record that has ended, or that cannot be read.
[[nodiscard]] std::optional<std::uint32_t> first_stale_slot(const DirectoryRow& row);

}  // namespace dig::store
