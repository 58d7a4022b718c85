// SPDX-License-Identifier: Apache-2.0
// Stores as the API sees them: what was added, what is here, what a fetch asks for and what it brought.
//
// Thread-safety: plain values. Sizes are bytes; hashes are lower-case hex.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dignet/error.hpp"
#include "dignet/events.hpp"

namespace dignet {

struct AddOptions {
  std::optional<std::string> store_id{};  // 64 hex digits; absent: a store of this node's own
};

struct StoreInfo {
  std::string store_id;
  std::string root_hash;
  std::string urn;
  std::uint64_t bytes = 0;     // of the archive
  std::uint64_t files = 0;     // entries in the archive
  std::uint64_t sequence = 0;  // version the owner signed; 0 when unsigned
  bool is_signed = false;
};

struct VerifyReport {
  std::uint64_t stores = 0;
  std::uint64_t bytes = 0;
  struct Damaged {
    std::string urn;
    Error error;
  };
  std::vector<Damaged> damaged;
};

struct FetchRequest {
  std::string urn{};                     // with a resource key: only that resource is fetched
  std::vector<std::string> peers{};      // multiaddrs of holders, each ending in /p2p/<peer id>; others may be found
  std::filesystem::path output{};        // empty: keep it in the local store only. A file, or an existing folder
  bool accept_unpinned = false;          // accept content that neither a root hash nor an owner's signature pins
  bool want_sha256 = true;               // also compute the flat SHA-256 of what was fetched
  std::chrono::milliseconds timeout{0};  // 0: none. Runs against the whole operation
};

struct FetchReport {
  std::string urn;  // with the root hash that was fetched
  std::string root_hash;
  std::uint64_t bytes = 0;  // of the archive or the resource
  std::string sha256;       // of the archive or the resource; empty when not asked for
  double seconds = 0;
  std::int64_t first_byte_ms = 0;  // start to the first byte of content; 0 when nothing had to be fetched
  int tier = 0;
  std::string tier_name;
  std::string method;
  std::string peer_id;  // the holder that gave the most
  std::string path;     // for example "/ip4/192.0.2.1/tcp/4001"
  std::vector<Attempt> attempts;
  std::vector<Promotion> promotions;
  std::uint64_t fetched_bytes = 0;
  std::uint64_t reused_bytes = 0;
  std::uint64_t window_bytes = 0;  // no more than this was asked for and not yet written at once
  std::filesystem::path output;    // where it was written; empty when it stays in the local store only
};

}  // namespace dignet
