// SPDX-License-Identifier: Apache-2.0
// One fetch of one store: dials its holders, runs an ExchangeClient on a stream to each, and carries out what the pure
// coordinator (exchange::Fetch) decides. A holder whose connection breaks is dialled again a few times.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ladder/attempt_log.hpp"
#include "node/outputs.hpp"
#include "node/peer_link.hpp"
#include "proto/store_exchange/client.hpp"
#include "proto/store_exchange/fetch.hpp"
#include "wire/multiaddr.hpp"

namespace dig::node {

struct HolderSpec {
  PeerId peer;
  std::vector<Multiaddr> addresses;
};

struct FetchSpec {
  exchange::FetchTarget target;
  std::vector<HolderSpec> holders;
  bool more_holders_come = false;  // by add_holders(), the last of which says so
  ladder::TierSet tiers = ladder::TierSet::all();
  bool wants_sha256 = false;  // passed on to OpenPartial
};

// What a fetch needs of the core around it.
class FetchHost : public virtual OutputSink {
 public:
  // The operation has something to drain.
  virtual void mark_active(OperationId operation) = 0;
  // A standing connection to the peer other than `except`, or nullptr.
  [[nodiscard]] virtual PeerLink* find_link(const PeerId& peer, std::optional<ConnectionId> except) = 0;
  [[nodiscard]] virtual PeerLink* find_link(ConnectionId connection) = 0;
  // Answered by FetchOperation::handle_connected.
  virtual void dial_holder(Instant now, OperationId operation, exchange::HolderId holder, const HolderSpec& spec,
                           const ladder::TierSet& tiers, ladder::AttemptLog& log) = 0;
  virtual void cancel_dials(Instant now, OperationId operation) = 0;
  // Answered by FetchOperation::handle_disk.
  [[nodiscard]] virtual DiskRequestId ask_disk(OperationId operation, decltype(DiskRequest::request) request) = 0;
};

class FetchOperation {
 public:
  struct Limits {
    std::size_t max_holders = 16;
    std::uint32_t max_redials = 3;  // of one holder, without a chunk between them
    Duration redial_delay = 500ms;  // doubles each time
  };

  FetchOperation(Instant now, OperationId id, FetchSpec spec, exchange::BufferPool& pool, FetchHost& host,
                 const Limits& limits);
  ~FetchOperation();
  FetchOperation(const FetchOperation&) = delete;
  FetchOperation& operator=(const FetchOperation&) = delete;

  void start(Instant now);
  // Beyond the limit, and of peers that are holders already, they are passed over.
  void add_holders(Instant now, std::vector<HolderSpec> holders, bool more_come);
  // `was_answered`: a transport to the holder stood, also when its handshake then failed.
  void handle_connected(Instant now, exchange::HolderId holder, const Result<ConnectionId>& result, bool was_answered);
  void handle_disk(Instant now, DiskRequestId id, Result<DiskAnswer> answer);
  void handle_timeout(Instant now);
  // Moves everything on; the core calls it after mark_active().
  void drain(Instant now);

  [[nodiscard]] Result<void> want(Instant now, std::uint64_t first, std::uint64_t count);
  void finish(Instant now);
  void cancel(Instant now);

  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  [[nodiscard]] std::optional<Instant> next_timeout() const;

 private:
  class Client;
  struct Holder {
    HolderSpec spec;
    ConnectionId connection;
    StreamId stream;
    Client* client = nullptr;  // owned by the stream; null while there is none
    bool is_dialling = false;
    bool is_ready = false;    // its stream has agreed on the protocol
    bool is_dropped = false;  // by the coordinator: never used again
    bool was_reached = false;
    std::optional<ConnectionId> silent;  // stands, but the holder did not answer on it: not to be used again
    std::uint32_t redials = 0;
    std::optional<Instant> redial_at;
    std::string path;
    bool is_relayed = false;
    std::optional<std::uint64_t> allowance;  // chunk bytes that may still be asked for on this path; absent: no limit
    std::uint64_t received = 0;              // chunk bytes
    exchange::RequestId have_request;
    exchange::RequestId manifest_request;
  };

  [[nodiscard]] std::vector<exchange::HolderId> take_holders(std::vector<HolderSpec> specs);
  void dial(Instant now, exchange::HolderId id);
  void open_stream(Instant now, exchange::HolderId id, PeerLink& link);
  void handle_ready(Instant now, exchange::HolderId id);
  void lose(Instant now, exchange::HolderId id, const Error& why);
  void tell_no_more_holders(Instant now);
  void choose_path();
  [[nodiscard]] bool drain_client(Instant now, exchange::HolderId id);
  void handle_client_event(Instant now, exchange::HolderId id, exchange::ClientEvent& event);
  [[nodiscard]] bool drain_fetch(Instant now);
  void handle_fetch_event(Instant now, exchange::FetchEvent& event);
  void handle_refusal(Instant now, exchange::HolderId id, exchange::RequestRefused& refused);
  // request(Holder&, ExchangeClient&) -> Result<void>
  template <class Request>
  void ask(Instant now, exchange::HolderId id, Request request);
  // Takes it from the allowance of the holder's path. False: the path allows no more, and the holder is lost.
  [[nodiscard]] bool take_allowance(Instant now, exchange::HolderId id, std::uint64_t bytes);
  void drop(Instant now, const exchange::DropHolder& dropped);
  void end(Instant now, Result<void> result);
  [[nodiscard]] std::uint64_t window() const;
  [[nodiscard]] FetchSummary summary() const;
  void tell_attempts();

  OperationId id_;
  FetchSpec spec_;
  FetchHost& host_;
  Limits limits_;
  exchange::BufferPool& pool_;
  ladder::AttemptLog log_;
  exchange::Fetch fetch_;
  std::map<exchange::HolderId, Holder> holders_;
  std::optional<Manifest> manifest_;
  std::optional<PartialId> partial_;
  std::map<DiskRequestId, std::uint64_t> writes_;  // -> chunk index
  std::optional<DiskRequestId> opening_;
  // The holder whose path is told as the one in use, and that path.
  std::optional<exchange::HolderId> path_holder_;
  std::string current_path_;
  std::optional<Error> unreachable_;  // why holders could not be reached: a proven wrong identity before anything else
  bool has_reached_any_ = false;
  bool is_over_ = false;
};

}  // namespace dig::node
