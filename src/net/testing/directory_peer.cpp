// SPDX-License-Identifier: Apache-2.0
#include "net/testing/directory_peer.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <utility>

#include "crypto/system_rng.hpp"
#include "net/clock.hpp"
#include "net/port_manager.hpp"
#include "net/tcp_transports.hpp"
#include "node/node_core.hpp"
#include "wire/signed_statement.hpp"
#include "wire/store_announcement.hpp"

namespace dig::net::testing {
namespace {

constexpr std::size_t k_piece = 64 * 1024;
constexpr Duration k_connect_timeout = 2s;
constexpr Duration k_silence = 4s;

// The connection of a peer with one server, made when it is needed, and gone with the first failure.
struct Session {
  struct Waiting {
    DirectoryPeer::Ask ask;
    DirectoryPeer::Answer answer;
    std::optional<directory::DirectoryRequestId> request{};
  };

  Multiaddr server;
  std::optional<node::OperationId> operation;  // connecting, or opening the stream
  std::optional<node::ConnectionId> connection;
  std::optional<StreamId> stream;
  std::optional<directory::DirectoryClient> client;
  bool is_writing = false;
  std::deque<Waiting> waiting;
};

}  // namespace

Identity numbered_identity(std::uint64_t seed, std::uint64_t number) {
  SeededRng rng(seed * 10'000'019 + number);
  return Identity::generate(rng);
}

StoreId announced_store(const PeerId& peer, std::uint64_t sequence) {
  SeededRng rng(std::hash<PeerId>()(peer) ^ sequence);
  return {rng.array<32>()};
}

class DirectoryPeer::Impl final : private TransportOwner {
 public:
  Impl(Loop& loop, Identity identity, const std::optional<IpAddress>& local)
      : identity_(std::move(identity)),
        core_(identity_, rng_, {.agent_version = "directory_peer", .limits = {}}),
        transports_(loop, static_cast<TransportOwner&>(*this)),
        timer_(loop, [this](Instant now) { handle_timeout(now); }) {
    if (local) listen(*local);
  }

  [[nodiscard]] const Identity& identity() const { return identity_; }

  // Sequence numbers rise, also within a millisecond.
  [[nodiscard]] std::uint64_t next_sequence() {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    const auto now = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(wall).count());
    return sequence_ = std::max(sequence_ + 1, now);
  }

  void ask(const Multiaddr& server, Ask ask, Answer answer) {
    const Instant now = monotonic_now();
    Session& session = sessions_[server.to_string()];
    session.server = server;
    session.waiting.push_back({std::move(ask), std::move(answer)});
    if (session.client) {
      send(now, session);
    } else if (!session.operation) {
      session.operation =
          core_.connect(now, {.peer = *server.peer_id(), .addresses = {server}, .timeout = k_connect_timeout});
    }
    pump(now);
  }

 private:
  // Who listens at an address dials from there.
  void listen(const IpAddress& local) {
    auto lease = ports_.acquire({.purpose = "peer", .udp = false, .addresses = {local}});
    if (!lease) return;
    for (BoundSocket& socket : lease->take_tcp()) transports_.listen(std::move(socket));
  }

  // --- what waits goes into the client, and from it into the stream ---
  void send(Instant now, Session& session) {
    for (Session::Waiting& one : session.waiting) {
      if (one.request) continue;
      const auto request = one.ask(*session.client);
      if (!request) break;
      one.request = *request;
    }
    write(now, session);
  }

  void write(Instant now, Session& session) {
    if (session.is_writing) return;
    Bytes bytes(k_piece);
    bytes.resize(session.client->poll_bytes(now, bytes));
    if (bytes.empty()) return;
    session.is_writing = true;
    core_.write_app_stream(now, *session.connection, *session.stream, std::move(bytes));
  }

  void take_events(Instant now, Session& session) {
    while (auto event = session.client->poll_event()) {
      if (const auto* failed = std::get_if<directory::ClientFailed>(&*event)) return end(now, session, failed->error);
      const auto id = std::visit(
          [](const auto& one) -> std::optional<directory::DirectoryRequestId> {
            if constexpr (requires { one.request; }) return one.request;
            return std::nullopt;
          },
          *event);
      const auto found = std::ranges::find_if(session.waiting, [&](const auto& one) { return one.request == id; });
      if (found == session.waiting.end()) continue;
      Answer answer = std::move(found->answer);
      session.waiting.erase(found);
      answer(std::move(*event));
    }
    send(now, session);
  }

  void end(Instant now, Session& session, const Error& why) {
    auto waiting = std::exchange(session.waiting, {});
    if (session.connection) core_.disconnect(now, *session.connection);
    sessions_.erase(session.server.to_string());
    for (Session::Waiting& one : waiting) one.answer(std::unexpected(why));
  }

  // --- what the core tells ---
  template <class Is>
  Session* find(Is is) {
    const auto found = std::ranges::find_if(sessions_, [&](const auto& entry) { return is(entry.second); });
    return found == sessions_.end() ? nullptr : &found->second;
  }
  Session* by_operation(node::OperationId id) {
    return find([&](const Session& one) { return one.operation == id; });
  }
  Session* by_stream(node::ConnectionId connection, StreamId stream) {
    return find([&](const Session& one) { return one.connection == connection && one.stream == stream; });
  }

  void handle(Instant now, node::ConnectEnded& ended) {
    Session* const session = by_operation(ended.operation);
    if (session == nullptr) return;
    session->operation.reset();
    if (!ended.result) return end(now, *session, ended.result.error());
    session->connection = ended.result->connection;
    session->operation = core_.open_app_stream(now, *session->connection, std::string(k_directory_protocol));
  }
  void handle(Instant now, node::AppStreamOpened& opened) {
    Session* const session = by_operation(opened.operation);
    if (session == nullptr) return;
    session->operation.reset();
    if (!opened.result) return end(now, *session, opened.result.error());
    session->stream = *opened.result;
    session->client.emplace(now, directory::DirectoryClient::Limits{.silence = k_silence});
    core_.read_app_stream(now, *session->connection, *session->stream, k_piece);
    send(now, *session);
  }
  void handle(Instant now, node::AppRead& read) {
    Session* const session = by_stream(read.connection, read.stream);
    if (session == nullptr) return;
    if (!read.result) return end(now, *session, read.result.error());
    session->client->handle_bytes(now, read.bytes);
    if (read.is_end) session->client->handle_eof(now);
    if (!read.is_end) core_.read_app_stream(now, read.connection, read.stream, k_piece);
    take_events(now, *session);
  }
  void handle(Instant now, node::AppWritten& written) {
    Session* const session = by_stream(written.connection, written.stream);
    if (session == nullptr) return;
    session->is_writing = false;
    if (!written.result) return end(now, *session, written.result.error());
    write(now, *session);
  }
  void handle(Instant /*now*/, node::DialTcp& dial) {
    transports_.dial(DialId{dial.dial.value}, {dial.remote}, {.from_listener = true, .limits = {}});
  }
  void handle(Instant /*now*/, node::CancelDial& cancelled) { transports_.cancel_dial(DialId{cancelled.dial.value}); }
  void handle(Instant /*now*/, node::Flush& flush) { transports_.flush(TransportId{flush.connection.value}); }
  void handle(Instant /*now*/, node::CloseConnection& close) {
    transports_.close(TransportId{close.connection.value}, close.is_graceful ? CloseMode::graceful : CloseMode::abort);
  }
  template <class Other>
  void handle(Instant /*now*/, Other& /*output*/) {}

  void pump(Instant now) {
    if (std::exchange(is_pumping_, true)) return;
    core_.settle(now);
    while (auto output = core_.poll_output()) {
      std::visit([&](auto& one) { handle(now, one); }, *output);
      core_.settle(now);
    }
    std::optional<Instant> next = core_.next_timeout();
    for (const auto& [name, session] : sessions_) {
      const auto silent = session.client ? session.client->next_timeout() : std::nullopt;
      if (silent && (!next || *silent < *next)) next = silent;
    }
    timer_.set(next);
    is_pumping_ = false;
  }

  void handle_timeout(Instant now) {
    core_.handle_timeout(now);
    std::vector<std::string> names;
    for (const auto& [name, session] : sessions_) names.push_back(name);
    for (const std::string& name : names) {
      const auto found = sessions_.find(name);
      if (found == sessions_.end() || !found->second.client) continue;
      found->second.client->handle_timeout(now);
      take_events(now, found->second);
    }
    pump(now);
  }

  // --- TransportOwner ---
  [[nodiscard]] bool admits(Instant, const Endpoint&, const Endpoint&) override { return false; }
  void handle_accepted(Instant, TransportId, const Endpoint&, const Endpoint&) override {}
  void handle_dialled(Instant now, DialId id, const DialOutcome& outcome) override {
    const node::DialId dial{id.value};
    if (outcome.result) {
      core_.handle_dialled(now, dial, node::ConnectionId{outcome.result->transport.value}, outcome.result->local,
                           outcome.result->remote);
    } else {
      core_.handle_dial_failed(now, dial, outcome.result.error());
    }
  }
  void handle_bytes(Instant now, TransportId id, BytesView bytes) override {
    core_.handle_bytes(now, node::ConnectionId{id.value}, bytes);
  }
  void handle_eof(Instant now, TransportId id) override { core_.handle_eof(now, node::ConnectionId{id.value}); }
  void handle_error(Instant now, TransportId id, const Error& error) override {
    core_.handle_transport_error(now, node::ConnectionId{id.value}, error);
  }
  [[nodiscard]] std::size_t poll_bytes(Instant now, TransportId id, MutableBytes out) override {
    return core_.poll_bytes(now, node::ConnectionId{id.value}, out);
  }
  [[nodiscard]] bool wants_bytes(TransportId id) override { return core_.wants_bytes(node::ConnectionId{id.value}); }
  void settle(Instant now) override { pump(now); }

  crypto::SystemRng rng_;
  Identity identity_;
  node::NodeCore core_;
  PortManager ports_;
  TcpTransports transports_;
  Timer timer_;
  std::map<std::string, Session> sessions_;
  std::uint64_t sequence_ = 0;
  bool is_pumping_ = false;
};

DirectoryPeer::DirectoryPeer(Loop& loop, Identity identity, std::optional<IpAddress> local)
    : impl_(std::make_unique<Impl>(loop, std::move(identity), local)) {}
DirectoryPeer::~DirectoryPeer() = default;

const PeerId& DirectoryPeer::id() const { return impl_->identity().peer_id(); }
std::uint64_t DirectoryPeer::next_sequence() { return impl_->next_sequence(); }

void DirectoryPeer::ask(const Multiaddr& server, Ask ask, Answer answer) {
  impl_->ask(server, std::move(ask), std::move(answer));
}

void DirectoryPeer::register_at(const Multiaddr& server, std::uint64_t sequence, Answer answer) {
  const Identity& identity = impl_->identity();
  const NodeRecord record{.peer = id(),
                          .sequence = sequence,
                          .lifetime = std::chrono::hours(1),
                          .addresses = {Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value()},
                          .roles = {},
                          .reachability = {},
                          .pages = 1};
  const StoreAnnouncement page{id(), sequence, 0, {announced_store(id(), sequence)}};
  const std::vector<Bytes> envelopes{sign_statement(identity, record).encode(),
                                     sign_statement(identity, page).encode()};
  ask(
      server,
      [envelopes](directory::DirectoryClient& client) { return client.register_envelopes(monotonic_now(), envelopes); },
      std::move(answer));
}

void DirectoryPeer::remove_at(const Multiaddr& server, std::uint64_t sequence, Answer answer) {
  const Bytes removal = sign_statement(impl_->identity(), NodeRemoval{id(), sequence}).encode();
  ask(
      server, [removal](directory::DirectoryClient& client) { return client.remove(monotonic_now(), removal); },
      std::move(answer));
}

}  // namespace dig::net::testing
