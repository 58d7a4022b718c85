// SPDX-License-Identifier: Apache-2.0
// The messages of /dignet/store/1.0.0 as plain structs. A decoded message has every field it needs, every hash has its
// 32 bytes and every number is within its limit. A field given twice counts as protobuf says: the last one stands.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/hash256.hpp"

namespace dig {

inline constexpr std::size_t k_max_store_request = 1024;         // encoded bytes
inline constexpr std::size_t k_max_store_response = 16 * 1024;   // encoded bytes, without the raw chunk
inline constexpr std::uint32_t k_store_chunk_size = 256 * 1024;  // raw bytes
inline constexpr std::uint32_t k_max_chunks_per_request = 256;
inline constexpr std::size_t k_max_proof_hashes = 64;
inline constexpr std::size_t k_max_have_ranges = 512;  // always fits k_max_store_response
inline constexpr std::uint64_t k_max_chunk_index = std::uint64_t{1} << 40;

struct HaveRequest {
  StoreId store_id;
  std::optional<RootHash> root;  // absent: the newest version the holder has
  friend bool operator==(const HaveRequest&, const HaveRequest&) = default;
};
struct ManifestRequest {
  StoreId store_id;
  std::optional<RootHash> root;
  friend bool operator==(const ManifestRequest&, const ManifestRequest&) = default;
};
struct ChunksRequest {
  StoreId store_id;
  RootHash root;
  std::uint64_t first = 0;
  std::uint32_t count = 0;  // 1 … k_max_chunks_per_request
  friend bool operator==(const ChunksRequest&, const ChunksRequest&) = default;
};
using StoreRequest = std::variant<HaveRequest, ManifestRequest, ChunksRequest>;

enum class StoreStatus : std::uint8_t { ok = 0, not_found = 1, busy = 2, malformed = 3, failed = 4 };

struct ChunkRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  friend bool operator==(const ChunkRange&, const ChunkRange&) = default;
};
struct HaveResponse {
  RootHash root;
  std::uint64_t size = 0;
  std::vector<ChunkRange> ranges;  // not empty each, rising, not overlapping
  friend bool operator==(const HaveResponse&, const HaveResponse&) = default;
};
struct ManifestResponse {
  Bytes signed_manifest;  // an encoded SignedManifest, not yet decoded
  friend bool operator==(const ManifestResponse&, const ManifestResponse&) = default;
};
struct ChunkHeader {
  std::uint64_t index = 0;
  std::uint32_t size = 0;  // raw bytes that follow the message, at most k_store_chunk_size
  std::vector<Hash256> proof;
  friend bool operator==(const ChunkHeader&, const ChunkHeader&) = default;
};
// A body comes with `ok` and only with `ok`.
struct StoreResponse {
  StoreStatus status = StoreStatus::ok;
  std::variant<std::monostate, HaveResponse, ManifestResponse, ChunkHeader> body;
  friend bool operator==(const StoreResponse&, const StoreResponse&) = default;
};

// A request kind this version does not know is `unsupported`.
[[nodiscard]] Result<StoreRequest> decode_store_request(BytesView bytes);
[[nodiscard]] Result<StoreResponse> decode_store_response(BytesView bytes);
// Messages within the limits above; larger ones would be refused by the other side.
[[nodiscard]] Bytes encode_store_request(const StoreRequest& request);
[[nodiscard]] Bytes encode_store_response(const StoreResponse& response);

}  // namespace dig
