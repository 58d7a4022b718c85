// SPDX-License-Identifier: Apache-2.0
// This node as a directory: runs proto/directory's server on inbound streams, and has the shell make durable what it
// acknowledges.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "node/outputs.hpp"
#include "node/peer_link.hpp"
#include "node/stream_handler.hpp"
#include "proto/directory/server.hpp"

namespace dig::node {

// What the directory needs of the core around it.
class DirectoryHost : public virtual OutputSink {
 public:
  // The stream is to be served soon, not from inside this call.
  virtual void mark_stream_active(ConnectionId connection, StreamId stream) = 0;
};

class DirectoryService {
 public:
  struct Limits {
    directory::DirectoryServer::Limits server;
    std::size_t max_streams = 4096;
    std::size_t max_streams_per_peer = 4;
  };

  // `rng` and `host` outlive the service, and the service its handlers.
  DirectoryService(Instant now, UnixTime wall, Rng& rng, DirectoryHost& host, const Limits& limits)
      : server_(now, wall, rng, limits.server), host_(host), limits_(limits) {}
  ~DirectoryService();
  DirectoryService(const DirectoryService&) = delete;
  DirectoryService& operator=(const DirectoryService&) = delete;

  // nullptr when too many streams are served already.
  [[nodiscard]] std::unique_ptr<StreamHandler> make_handler(Instant now, const PeerLink& link);
  [[nodiscard]] directory::DirectoryServer& server() noexcept { return server_; }
  [[nodiscard]] const directory::DirectoryServer& server() const noexcept { return server_; }
  void handle_persisted(Instant now, directory::PersistToken token, const Result<directory::PersistOutcome>& result);
  // Of another server; errors as of DirectoryServer::load.
  [[nodiscard]] Result<void> load_shared_row(Instant now, const store::DirectoryRow& row);
  void handle_timeout(Instant now);

 private:
  class Handler;

  // Hands on what the server wants to be written, and acknowledgements to their streams.
  void drain(Instant now);

  directory::DirectoryServer server_;
  DirectoryHost& host_;
  Limits limits_;
  std::uint64_t next_stream_ = 1;
  std::map<std::uint64_t, Handler*> streams_;
};

}  // namespace dig::node
