// SPDX-License-Identifier: Apache-2.0
// Serves this node's stores: runs an ExchangeServer on each inbound store stream and has the shell's disk answer it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "node/outputs.hpp"
#include "node/peer_link.hpp"
#include "node/stream_handler.hpp"
#include "proto/store_exchange/buffer_pool.hpp"
#include "proto/store_exchange/server.hpp"

namespace dig::node {

inline constexpr std::string_view k_store_protocol = "/dignet/store/1.0.0";

class StoreService {
 public:
  struct Limits {
    std::size_t max_streams = 256;            // over all peers; beyond it the stream that idles longest gives its place
    std::size_t max_streams_per_peer = 16;    // so that one peer cannot take them all,
    std::size_t max_streams_per_source = 64;  // nor one address prefix: identities are free
  };
  // A stream's handler got an answer and can go on.
  struct Ready {
    ConnectionId connection;
    StreamId stream;
  };

  StoreService(exchange::BufferPool& pool, Limits limits) : pool_(pool), limits_(limits) {}
  ~StoreService();

  // nullptr when too many streams are served already.
  [[nodiscard]] std::unique_ptr<StreamHandler> make_handler(Instant now, const PeerLink& link);
  // Disk requests that the handlers have made since the last call.
  [[nodiscard]] std::vector<DiskRequest> take_requests(std::uint64_t& next_request_id);
  [[nodiscard]] bool owns(DiskRequestId id) const { return waiting_.contains(id); }
  // The stream to service next, unless it is gone.
  [[nodiscard]] std::optional<Ready> handle_disk(Instant now, DiskRequestId id, Result<DiskAnswer> answer);
  // Streams that had to give their place since the last call: to be reset.
  [[nodiscard]] std::vector<Ready> take_evicted() { return std::exchange(evicted_, {}); }
  [[nodiscard]] std::size_t streams() const noexcept { return servers_.size(); }

 private:
  class Handler;
  enum class Purpose : std::uint8_t { have, manifest, chunk };
  struct Waiting {
    std::uint64_t server = 0;
    exchange::ServerToken token;
    Purpose purpose = Purpose::have;
  };
  struct Pending {
    Waiting waiting;
    decltype(DiskRequest::request) request;
  };

  [[nodiscard]] bool evict_idle();
  void ask(std::uint64_t server, exchange::ServerEvent& event);

  exchange::BufferPool& pool_;
  Limits limits_;
  std::uint64_t next_server_ = 1;
  std::map<std::uint64_t, Handler*> servers_;
  std::vector<Pending> pending_;
  std::vector<Ready> evicted_;
  std::map<DiskRequestId, Waiting> waiting_;
};

}  // namespace dig::node
