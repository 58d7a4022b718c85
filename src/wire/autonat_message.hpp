// SPDX-License-Identifier: Apache-2.0
// The messages of AutoNAT v2 (libp2p autonat/autonat-v2.md, RPC Messages) as plain structs. Each travels behind its
// length: Message on a dial-request stream, DialBack and DialBackResponse on a dial-back stream.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/multiaddr.hpp"

namespace dig::autonat {

// The specification sets no limit on a message; this is what the servers of go and js accept.
inline constexpr std::size_t k_max_message = 8 * 1024;
inline constexpr std::size_t k_max_addresses = 50;
inline constexpr std::size_t k_max_dial_data = 4096;  // of one DialDataResponse (Amplification Attack Prevention)

struct DialRequest {
  // In descending order of priority, at most k_max_addresses. Empty where an address was not understood: its place
  // stays, because the answers name addresses by their index.
  std::vector<Multiaddr> addresses;
  std::uint64_t nonce = 0;
  friend bool operator==(const DialRequest&, const DialRequest&) = default;
};

enum class ResponseStatus : std::uint8_t { internal_error = 0, request_rejected = 100, dial_refused = 101, ok = 200 };
enum class DialStatus : std::uint8_t { unused = 0, dial_error = 100, dial_back_error = 101, ok = 200 };

struct DialResponse {
  ResponseStatus status = ResponseStatus::internal_error;
  // Meaningful with `ok` only (Requirements for DialStatus).
  std::uint32_t address_index = 0;
  DialStatus dial_status = DialStatus::unused;
  friend bool operator==(const DialResponse&, const DialResponse&) = default;
};

struct DialDataRequest {
  std::uint32_t address_index = 0;
  std::uint64_t size = 0;  // bytes of dial data
  friend bool operator==(const DialDataRequest&, const DialDataRequest&) = default;
};

struct DialDataResponse {
  Bytes data;
  friend bool operator==(const DialDataResponse&, const DialDataResponse&) = default;
};

using Message = std::variant<DialRequest, DialResponse, DialDataRequest, DialDataResponse>;

// Errors: oversized, malformed; unsupported for a kind or status that is not known, which must be discarded
// (Requirements for ResponseStatus).
[[nodiscard]] Result<Message> decode_message(BytesView bytes);
// Addresses beyond the limit are left out.
[[nodiscard]] Bytes encode_message(const Message& message);

struct DialBack {
  static constexpr std::size_t max_encoded_size = 1024;

  std::uint64_t nonce = 0;

  [[nodiscard]] static Result<DialBack> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const DialBack&, const DialBack&) = default;
};

// There is one status so far, and it says OK.
struct DialBackResponse {
  static constexpr std::size_t max_encoded_size = 1024;

  [[nodiscard]] static Result<DialBackResponse> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const DialBackResponse&, const DialBackResponse&) = default;
};

}  // namespace dig::autonat
