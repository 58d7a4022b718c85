// SPDX-License-Identifier: Apache-2.0
// One question to several bootstrap servers (the owner knows which): asks each for page after page, and makes one
// answer of theirs, in which each peer stands once with its newest record. A server that fails or lies is told by name
// and costs only its own part.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "proto/directory/client.hpp"
#include "proto/directory/publisher.hpp"

namespace dig::directory {

// Ask this server; answered by handle_found or handle_failed.
struct Ask {
  BootstrapId server;
  std::optional<DirectoryCursor> cursor;
};
// Peers that were not known yet, or whose record is newer than the one before.
struct SearchFound {
  std::vector<VerifiedRecord> records;
};
struct ServerError {
  BootstrapId server;
  Error error;
};
// Always the last event.
struct SearchEnded {
  std::size_t peers = 0;
  std::vector<ServerError> errors;
};
using SearchEvent = std::variant<Ask, SearchFound, SearchEnded>;

class Search {
 public:
  using Event = SearchEvent;
  struct Limits {
    std::size_t max_servers = 16;
    std::size_t max_peers = 256;  // enough to fetch from; the search ends with them
    std::size_t max_pages = 16;   // of one server
  };

  Search(const std::vector<BootstrapId>& servers, Limits limits);
  explicit Search(const std::vector<BootstrapId>& servers) : Search(servers, Limits{}) {}

  void handle_found(BootstrapId server, std::vector<VerifiedRecord> records,
                    const std::optional<DirectoryCursor>& cursor);
  void handle_failed(BootstrapId server, Error error);
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] bool is_ended() const noexcept { return is_ended_; }

 private:
  void end_if_done();

  Limits limits_;
  std::map<BootstrapId, std::size_t> asking_;  // servers with a page to come, and how many they gave
  std::unordered_map<PeerId, std::uint64_t> sequences_;
  std::vector<ServerError> errors_;
  std::deque<Event> events_;
  bool is_ended_ = false;
};

}  // namespace dig::directory
