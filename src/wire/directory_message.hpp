// SPDX-License-Identifier: Apache-2.0
// The messages of /dignet/directory/1.0.0 as plain structs. A decoded message has every field it needs and every number
// within its limit; the envelopes in it are not yet decoded, so that the directory can hand them on as they came.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/hash256.hpp"
#include "wire/node_record.hpp"
#include "wire/peer_id.hpp"

namespace dig {

inline constexpr std::string_view k_directory_protocol = "/dignet/directory/1.0.0";
inline constexpr std::size_t k_max_directory_message = std::size_t{256} * 1024;  // encoded bytes, request or response
inline constexpr std::size_t k_max_registered_envelopes = 64;
inline constexpr std::size_t k_max_found_records = 64;
// Beyond the bytes of its envelopes a response needs no more than this, so that a page can be filled up to its limit.
inline constexpr std::size_t k_found_record_overhead = 16;
inline constexpr std::size_t k_directory_message_overhead = 64;

// Where a listing goes on. It means something to the server that made it only, which keeps nothing for it.
struct DirectoryCursor {
  static constexpr std::size_t size = 16;

  std::uint64_t start = 0;  // where the listing began
  std::uint64_t last = 0;   // of the last record handed out
  friend bool operator==(const DirectoryCursor&, const DirectoryCursor&) = default;
};

struct RegisterRequest {
  std::vector<Bytes> envelopes;  // 1 … k_max_registered_envelopes
  friend bool operator==(const RegisterRequest&, const RegisterRequest&) = default;
};
struct RemoveRequest {
  Bytes envelope;
  friend bool operator==(const RemoveRequest&, const RemoveRequest&) = default;
};
struct FindHoldersRequest {
  StoreId store;
  std::optional<DirectoryCursor> cursor;
  std::uint32_t limit = k_max_found_records;  // 1 … k_max_found_records
  friend bool operator==(const FindHoldersRequest&, const FindHoldersRequest&) = default;
};
struct FindPeerRequest {
  PeerId peer;
  friend bool operator==(const FindPeerRequest&, const FindPeerRequest&) = default;
};
struct FindRolesRequest {
  NodeRoles roles;  // peers that have all of these; at least one
  std::optional<DirectoryCursor> cursor;
  std::uint32_t limit = k_max_found_records;
  friend bool operator==(const FindRolesRequest&, const FindRolesRequest&) = default;
};
using DirectoryRequest =
    std::variant<RegisterRequest, RemoveRequest, FindHoldersRequest, FindPeerRequest, FindRolesRequest>;

enum class DirectoryStatus : std::uint8_t {
  ok = 0,
  malformed = 1,
  busy = 2,
  failed = 3,
  from_future = 4,
  outdated = 5,
  another_peer = 6,
  full = 7,
  expired = 8,
  bad_signature = 9,
  oversized = 10,
};

struct Registered {
  std::chrono::seconds expires_in{0};  // at most NodeRecord::max_lifetime; 0 after a removal
  bool is_replicated = false;          // it would survive the loss of the server
  friend bool operator==(const Registered&, const Registered&) = default;
};
struct FoundRecord {
  Bytes record;
  Bytes announcement;  // of holders; empty in other answers
  friend bool operator==(const FoundRecord&, const FoundRecord&) = default;
};
struct FoundRecords {
  std::vector<FoundRecord> records;       // at most k_max_found_records
  std::optional<DirectoryCursor> cursor;  // absent: there are no more
  friend bool operator==(const FoundRecords&, const FoundRecords&) = default;
};
// A body comes with `ok` and only with `ok`.
struct DirectoryResponse {
  DirectoryStatus status = DirectoryStatus::ok;
  std::variant<std::monostate, Registered, FoundRecords> body;
  friend bool operator==(const DirectoryResponse&, const DirectoryResponse&) = default;
};

// A request kind this version does not know is `unsupported`.
[[nodiscard]] Result<DirectoryRequest> decode_directory_request(BytesView bytes);
[[nodiscard]] Result<DirectoryResponse> decode_directory_response(BytesView bytes);
// Messages within the limits above; larger ones would be refused by the other side.
[[nodiscard]] Bytes encode_directory_request(const DirectoryRequest& request);
[[nodiscard]] Bytes encode_directory_response(const DirectoryResponse& response);

// How a refusal is told to a peer, and what it means there.
[[nodiscard]] DirectoryStatus directory_status_of(Errc code);
[[nodiscard]] Error directory_error_of(DirectoryStatus status);

}  // namespace dig
