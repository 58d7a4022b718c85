// SPDX-License-Identifier: Apache-2.0
// This node as a client of bootstrap servers' directories: keeps what it publishes registered with each of them, and
// asks all of them for holders of a store. A stream to a server is opened when there is something to ask.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "node/node_status.hpp"
#include "node/outputs.hpp"
#include "node/peer_link.hpp"
#include "proto/directory/client.hpp"
#include "proto/directory/publisher.hpp"
#include "proto/directory/search.hpp"
#include "wire/multiaddr.hpp"

namespace dig::node {

// What it needs of the core around it.
class DirectoryClientHost : public virtual OutputSink {
 public:
  [[nodiscard]] virtual PeerLink* find_link(const PeerId& peer, std::optional<ConnectionId> except) = 0;
  virtual void mark_stream_active(ConnectionId connection, StreamId stream) = 0;
  // Answered by DirectoryClients::handle_connected.
  virtual void dial_bootstrap(Instant now, directory::BootstrapId server, const PeerId& peer,
                              const std::vector<Multiaddr>& addresses) = 0;
};

class DirectoryClients {
 public:
  static constexpr std::size_t max_servers = 16;
  static constexpr Duration first_wait = 3s;

  // All outlive it.
  DirectoryClients(const Identity& identity, Rng& rng, DirectoryClientHost& host)
      : identity_(identity), rng_(rng), host_(host) {}
  ~DirectoryClients();
  DirectoryClients(const DirectoryClients&) = delete;
  DirectoryClients& operator=(const DirectoryClients&) = delete;

  // limit_reached; invalid_argument for this node itself.
  [[nodiscard]] Result<void> add_server(Instant now, const PeerId& peer, std::vector<Multiaddr> addresses);
  // From now on this node publishes itself. `last_sequence`: what it signed in an earlier life. The servers are reached
  // at once, which is how a node learns where it can be reached; the first record waits a moment for that.
  void start_publishing(Instant now, UnixTime wall, std::uint64_t last_sequence);
  void set_wall_clock(Instant now, UnixTime wall);
  void set_node(Instant now, directory::NodeDescription node);
  void set_stores(Instant now, std::vector<StoreId> stores);
  // Takes back what was published.
  void stop(Instant now);

  // Ends in HoldersFound, of which there may be several before, with is_last.
  void find_holders(Instant now, OperationId operation, const StoreId& store);
  void cancel(OperationId operation);

  void handle_connected(Instant now, directory::BootstrapId server, const Result<ConnectionId>& connection);
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] bool is_publishing() const noexcept { return publisher_.has_value(); }
  // Without whether there is a connection.
  [[nodiscard]] std::vector<BootstrapStatus> snapshot() const;

 private:
  class Stream;
  struct Search {
    directory::Search search;
    StoreId store;
  };
  struct Ask {
    OperationId operation;
    std::optional<DirectoryCursor> cursor;
  };
  using Question = std::variant<directory::Publish, directory::Withdraw, Ask>;
  struct Server {
    PeerId peer;
    std::vector<Multiaddr> addresses;
    std::deque<Question> waiting;  // for the stream
    std::map<directory::DirectoryRequestId, Question> asked;
    Stream* stream = nullptr;  // owned by its link; null while there is none
    bool is_dialling = false;
  };

  void ask(Instant now, directory::BootstrapId id, Question question);
  void reach(Instant now, directory::BootstrapId id);
  void open_stream(Instant now, directory::BootstrapId id, PeerLink& link);
  void send_waiting(Instant now, directory::BootstrapId id);
  [[nodiscard]] Result<directory::DirectoryRequestId> send(Instant now, directory::DirectoryClient& client,
                                                           Question& question);
  void handle_event(Instant now, directory::BootstrapId id, directory::ClientEvent& event);
  void handle_lost(Instant now, directory::BootstrapId id, const Error& why);
  void fail_question(Instant now, directory::BootstrapId id, const Question& question, const Error& why);
  void begin(Instant now);  // to publish
  void drain_publisher(Instant now);
  void drain_search(Instant now, OperationId operation);
  void tell_sequence();

  const Identity& identity_;
  Rng& rng_;
  DirectoryClientHost& host_;
  std::map<directory::BootstrapId, Server> servers_;
  std::optional<directory::Publisher> publisher_;
  std::optional<Instant> held_until_;  // no address is known yet: a record without one finds nobody
  std::uint64_t told_sequence_ = 0;
  std::map<OperationId, Search> searches_;
};

}  // namespace dig::node
