// SPDX-License-Identifier: Apache-2.0
// Many peers that register at bootstrap servers and look others up, each over connections of its own, driven by a
// script: commands as lines on stdin, what becomes of them as lines of JSON on stdout.
//
//   directory_peers SEED
//   register PEER ADDRESS   signs a record and a page with one store, both new, and registers them at that server
//   remove PEER ADDRESS     leaves there
//   check PEER ADDRESS      asks, as somebody else, for the record of the peer, and whether its store is listed
//
// PEER is a number; who it is follows from it and the seed. Each command ends in one line with the same words and
// "ok"; without it nothing is known. All run at once. The store of a registration follows from its sequence number.
#include <unistd.h>

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <deque>
#include <iostream>
#include <map>
#include <sstream>

#include "base/decimal.hpp"
#include "crypto/system_rng.hpp"
#include "net/clock.hpp"
#include "net/tcp_transports.hpp"
#include "node/node_core.hpp"
#include "proto/directory/client.hpp"
#include "wire/signed_statement.hpp"
#include "wire/store_announcement.hpp"

namespace {

using namespace dig;
namespace json = boost::json;

constexpr std::size_t k_piece = 64 * 1024;
constexpr Duration k_connect_timeout = 2s;
constexpr Duration k_silence = 4s;

void say(const json::object& line) { std::cout << json::serialize(line) << std::endl; }

StoreId store_of(const PeerId& peer, std::uint64_t sequence) {
  SeededRng rng(std::hash<PeerId>()(peer) ^ sequence);
  return {rng.array<32>()};
}

// Told once: the answer of the server, or why there is none.
using Answer = std::move_only_function<void(Result<directory::ClientEvent>)>;
// Puts a request into the client.
using Ask = std::function<Result<directory::DirectoryRequestId>(directory::DirectoryClient&)>;

// The connection of a peer with one server, made when it is needed, and gone with the first failure.
struct Session {
  struct Waiting {
    Ask ask;
    Answer answer;
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

class Peer final : private net::TransportOwner {
 public:
  Peer(net::Loop& loop, Identity identity)
      : identity_(std::move(identity)),
        core_(identity_, rng_, {.agent_version = "directory_peers", .limits = {}}),
        transports_(loop, static_cast<TransportOwner&>(*this)),
        timer_(loop, [this](Instant now) { handle_timeout(now); }) {}

  [[nodiscard]] const Identity& identity() const { return identity_; }

  // Sequence numbers rise, also within a millisecond.
  [[nodiscard]] std::uint64_t next_sequence() {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    const auto now = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(wall).count());
    return sequence_ = std::max(sequence_ + 1, now);
  }

  void ask(const Multiaddr& server, Ask ask, Answer answer) {
    const Instant now = net::monotonic_now();
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
  void handle(Instant /*now*/, node::DialTcp& dial) { transports_.dial(net::DialId{dial.dial.value}, {dial.remote}); }
  void handle(Instant /*now*/, node::CancelDial& cancelled) {
    transports_.cancel_dial(net::DialId{cancelled.dial.value});
  }
  void handle(Instant /*now*/, node::Flush& flush) { transports_.flush(net::TransportId{flush.connection.value}); }
  void handle(Instant /*now*/, node::CloseConnection& close) {
    transports_.close(net::TransportId{close.connection.value},
                      close.is_graceful ? net::CloseMode::graceful : net::CloseMode::abort);
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
  void handle_accepted(Instant, net::TransportId, const Endpoint&, const Endpoint&) override {}
  void handle_dialled(Instant now, net::DialId id, const net::DialOutcome& outcome) override {
    const node::DialId dial{id.value};
    if (outcome.result) {
      core_.handle_dialled(now, dial, node::ConnectionId{outcome.result->transport.value}, outcome.result->local,
                           outcome.result->remote);
    } else {
      core_.handle_dial_failed(now, dial, outcome.result.error());
    }
  }
  void handle_bytes(Instant now, net::TransportId id, BytesView bytes) override {
    core_.handle_bytes(now, node::ConnectionId{id.value}, bytes);
  }
  void handle_eof(Instant now, net::TransportId id) override { core_.handle_eof(now, node::ConnectionId{id.value}); }
  void handle_error(Instant now, net::TransportId id, const Error& error) override {
    core_.handle_transport_error(now, node::ConnectionId{id.value}, error);
  }
  [[nodiscard]] std::size_t poll_bytes(Instant now, net::TransportId id, MutableBytes out) override {
    return core_.poll_bytes(now, node::ConnectionId{id.value}, out);
  }
  [[nodiscard]] bool wants_bytes(net::TransportId id) override {
    return core_.wants_bytes(node::ConnectionId{id.value});
  }
  void settle(Instant now) override { pump(now); }

  crypto::SystemRng rng_;
  Identity identity_;
  node::NodeCore core_;
  net::TcpTransports transports_;
  net::Timer timer_;
  std::map<std::string, Session> sessions_;
  std::uint64_t sequence_ = 0;
  bool is_pumping_ = false;
};

class Driver {
 public:
  Driver(net::Loop& loop, std::uint64_t seed) : loop_(loop), seed_(seed) {}

  void watch() {
    watch_.reset();  // a descriptor has one at a time
    watch_ = std::make_unique<net::ReadableWatch>(loop_, STDIN_FILENO, [this] { handle_input(); });
  }

 private:
  void handle_input() {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) return loop_.stop();
    input_.append(buffer.data(), static_cast<std::size_t>(size));
    for (std::size_t end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
      run(input_.substr(0, end));
      input_.erase(0, end + 1);
    }
    loop_.post([this] { watch(); });
  }

  void run(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::uint64_t number = 0;
    std::string address;
    words >> command >> number >> address;
    const auto server = Multiaddr::parse(address);
    if (!server || !server->peer_id()) return say({{"event", command}, {"ok", false}, {"why", "no address: " + line}});
    json::object said{{"event", command}, {"peer", number}, {"server", address}};
    if (command == "register") {
      put(peer(number), *server, said, false);
    } else if (command == "remove") {
      put(peer(number), *server, said, true);
    } else if (command == "check") {
      check(peer(number).identity().peer_id(), *server, said);
    }
  }

  Peer& peer(std::uint64_t number) {
    auto& found = peers_[number];
    if (!found) {
      SeededRng rng(seed_ * 1'000'003 + number);
      found = std::make_unique<Peer>(loop_, Identity::generate(rng));
    }
    return *found;
  }

  static void refuse(json::object said, const Error& why) {
    said["ok"] = false;
    said["why"] = why.message();
    say(said);
  }

  static void put(Peer& peer, const Multiaddr& server, json::object said, bool is_removal) {
    const std::uint64_t sequence = peer.next_sequence();
    said["sequence"] = sequence;
    const Identity& identity = peer.identity();
    const PeerId& id = identity.peer_id();
    const NodeRecord record{.peer = id,
                            .sequence = sequence,
                            .lifetime = std::chrono::hours(1),
                            .addresses = {Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value()},
                            .roles = {},
                            .reachability = {},
                            .pages = 1};
    const StoreAnnouncement page{id, sequence, 0, {store_of(id, sequence)}};
    const std::vector<Bytes> envelopes{sign_statement(identity, record).encode(),
                                       sign_statement(identity, page).encode()};
    const Bytes removal = sign_statement(identity, NodeRemoval{id, sequence}).encode();
    peer.ask(
        server,
        [envelopes, removal, is_removal](directory::DirectoryClient& client) {
          const Instant now = net::monotonic_now();
          return is_removal ? client.remove(now, removal) : client.register_envelopes(now, envelopes);
        },
        [said](Result<directory::ClientEvent> answer) mutable {
          if (!answer) return refuse(said, answer.error());
          if (const auto* refused = std::get_if<directory::RequestRefused>(&*answer))
            return refuse(said, refused->error);
          const auto* done = std::get_if<directory::RegistrationDone>(&*answer);
          said["ok"] = done != nullptr;
          said["replicated"] = done != nullptr && done->registered.is_replicated;
          say(said);
        });
  }

  // By a peer that registers nothing.
  void check(const PeerId& wanted, const Multiaddr& server, json::object said) {
    Peer& asker = peer(999'999);
    asker.ask(
        server, [wanted](directory::DirectoryClient& client) { return client.find_peer(net::monotonic_now(), wanted); },
        [this, &asker, wanted, server, said](Result<directory::ClientEvent> answer) mutable {
          if (!answer) return refuse(said, answer.error());
          const auto* found = std::get_if<directory::RecordsFound>(&*answer);
          said["ok"] = found != nullptr;
          said["sequence"] = 0;
          said["listed"] = false;
          if (found == nullptr || found->records.empty()) return say(said);
          const std::uint64_t sequence = found->records[0].record.sequence;
          said["sequence"] = sequence;
          // Not from inside an answer of the same client.
          loop_.post(
              [this, &asker, wanted, server, said, sequence] { check_store(asker, wanted, server, said, sequence); });
        });
  }

  static void check_store(Peer& asker, const PeerId& wanted, const Multiaddr& server, json::object said,
                          std::uint64_t sequence) {
    asker.ask(
        server,
        [wanted, sequence](directory::DirectoryClient& client) {
          return client.find_holders(net::monotonic_now(), store_of(wanted, sequence), {}, 8);
        },
        [wanted, said](Result<directory::ClientEvent> answer) mutable {
          if (!answer) return refuse(said, answer.error());
          const auto* found = std::get_if<directory::RecordsFound>(&*answer);
          said["ok"] = found != nullptr;
          said["listed"] = found != nullptr && std::ranges::any_of(found->records, [&](const auto& one) {
                             return one.record.peer == wanted;
                           });
          say(said);
        });
  }

  net::Loop& loop_;
  std::uint64_t seed_;
  std::string input_;
  std::unique_ptr<net::ReadableWatch> watch_;
  std::map<std::uint64_t, std::unique_ptr<Peer>> peers_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto seed = argc > 1 ? dig::parse_decimal(argv[1], UINT32_MAX) : dig::Result<std::uint64_t>(1);
  if (!seed) return 2;
  dig::net::Loop loop;
  Driver driver(loop, *seed);
  driver.watch();
  loop.run();
  return 0;
}
