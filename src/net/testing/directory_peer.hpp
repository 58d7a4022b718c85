// SPDX-License-Identifier: Apache-2.0
// Test-only: a peer that registers at bootstrap servers and looks others up, over real connections of its own. A core
// and a directory client, and nothing of what a node is besides.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/endpoint.hpp"
#include "net/loop.hpp"
#include "proto/directory/client.hpp"
#include "wire/identity.hpp"

namespace dig::net::testing {

// Who that is follows from both numbers.
[[nodiscard]] Identity numbered_identity(std::uint64_t seed, std::uint64_t number);
// The one store that a peer announces with the record of this sequence.
[[nodiscard]] StoreId announced_store(const PeerId& peer, std::uint64_t sequence);

class DirectoryPeer {
 public:
  // Told once: the answer of the server, or why there is none; perhaps from inside ask().
  using Answer = std::move_only_function<void(Result<directory::ClientEvent>)>;
  // Puts a request into the client.
  using Ask = std::function<Result<directory::DirectoryRequestId>(directory::DirectoryClient&)>;

  // Connects from `local`, where that is given.
  DirectoryPeer(Loop& loop, Identity identity, std::optional<IpAddress> local = {});
  // Must not happen inside of an answer.
  ~DirectoryPeer();
  DirectoryPeer(const DirectoryPeer&) = delete;
  DirectoryPeer& operator=(const DirectoryPeer&) = delete;

  [[nodiscard]] const PeerId& id() const;
  // Sequence numbers rise, also within a millisecond.
  [[nodiscard]] std::uint64_t next_sequence();

  // The connection with a server is made when it is needed, and gone with the first failure.
  void ask(const Multiaddr& server, Ask ask, Answer answer);
  // A record, and a page with announced_store().
  void register_at(const Multiaddr& server, std::uint64_t sequence, Answer answer);
  void remove_at(const Multiaddr& server, std::uint64_t sequence, Answer answer);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net::testing
