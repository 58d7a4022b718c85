// SPDX-License-Identifier: Apache-2.0
// Many nodes in one process, each with its own identity and its own address 127.1.x.y, connected with one bootstrap
// server and idle. They answer what the server asks, as every node does.
//
// usage: idle_peers ADDRESS PEER-ID COUNT connected|registered
//   ADDRESS     IP:PORT of the server
//   registered  with a record in its directory and a reservation at its relay, too
// Prints {"peers":COUNT} when all are there, and ends with the end of stdin.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "crypto/system_rng.hpp"
#include "net/clock.hpp"
#include "net/loop.hpp"
#include "net/port_manager.hpp"
#include "net/tcp_transports.hpp"
#include "node/node_core.hpp"

namespace {

using namespace dig;
using namespace std::chrono_literals;

constexpr std::size_t k_dialling_at_once = 16;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "idle_peers: %s\n", why.c_str());
  std::exit(1);
}

struct Server {
  Endpoint endpoint;
  PeerId peer;
  bool is_registered = false;  // whether its peers register, too
};

// What NodeShell does, without a thread, a disk and a resolver of its own.
class Peer final : private net::TransportOwner {
 public:
  Peer(net::Loop& loop, Rng& rng, const Server& server, const IpAddress& address)
      : server_(server),
        identity_(Identity::generate(rng)),
        core_(identity_, rng, {.agent_version = "idle", .limits = {}}),
        transports_(loop, *this),
        timer_(loop, [this](Instant now) {
          core_.handle_timeout(now);
          pump(now);
        }) {
    auto lease =
        ports_.acquire({.purpose = "peer", .preferred = 4001, .exact = true, .udp = false, .addresses = {address}});
    if (!lease) give_up(lease.error().message());
    for (net::BoundSocket& socket : lease->take_tcp()) transports_.listen(std::move(socket));
    core_.set_addresses(net::monotonic_now(), {Multiaddr::tcp({address, 4001})});
  }

  void start(Instant now) {
    core_.set_wall_clock(now, net::wall_now());
    const Multiaddr address = Multiaddr::tcp(server_.endpoint);
    if (server_.is_registered) {
      if (!core_.add_bootstrap(now, server_.peer, {address}) || !core_.add_relay(now, server_.peer, {address})) {
        give_up("the server is refused");
      }
      core_.start_publishing(now, 0);
    } else {
      core_.connect(now, {.peer = server_.peer, .addresses = {address}});
    }
    pump(now);
  }
  [[nodiscard]] bool is_there() const {
    const node::NodeStatus status = core_.snapshot();
    if (!server_.is_registered) return status.established > 0;
    return status.bootstraps.at(0).registered_until && status.reservations.at(0).reserved_until;
  }

 private:
  bool admits(Instant /*now*/, const Endpoint& /*local*/, const Endpoint& /*remote*/) override { return false; }
  void handle_accepted(Instant, net::TransportId, const Endpoint&, const Endpoint&) override {}
  void handle_dialled(Instant now, net::DialId id, const net::DialOutcome& outcome) override {
    if (!outcome.result) give_up(outcome.result.error().message());
    core_.handle_dialled(now, {id.value}, {outcome.result->transport.value}, outcome.result->local,
                         outcome.result->remote);
  }
  void handle_bytes(Instant now, net::TransportId id, BytesView bytes) override {
    core_.handle_bytes(now, {id.value}, bytes);
  }
  void handle_eof(Instant, net::TransportId) override { give_up("the server has closed a connection"); }
  void handle_error(Instant, net::TransportId, const Error& error) override { give_up(error.message()); }
  std::size_t poll_bytes(Instant now, net::TransportId id, MutableBytes out) override {
    return core_.poll_bytes(now, {id.value}, out);
  }
  bool wants_bytes(net::TransportId id) override { return core_.wants_bytes({id.value}); }
  void settle(Instant now) override { pump(now); }

  void pump(Instant now) {
    core_.settle(now);
    while (const auto output = core_.poll_output()) {
      if (const auto* flush = std::get_if<node::Flush>(&*output)) {
        transports_.flush({flush->connection.value});
      } else if (const auto* dial = std::get_if<node::DialTcp>(&*output)) {
        transports_.dial({dial->dial.value}, {dial->remote}, {.from_listener = true, .limits = {}});
      } else if (const auto* ended = std::get_if<node::ConnectEnded>(&*output); ended != nullptr && !ended->result) {
        give_up(ended->result.error().message());
      }
    }
    timer_.set(core_.next_timeout());
  }

  Server server_;
  Identity identity_;
  net::PortManager ports_;
  node::NodeCore core_;
  net::TcpTransports transports_;
  net::Timer timer_;
};

IpAddress address_of(std::size_t number) {
  const auto high = static_cast<std::uint8_t>(number / 250);
  return IpAddress::v4({127, 1, high, static_cast<std::uint8_t>(number % 250 + 1)});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) give_up("usage: idle_peers ADDRESS PEER-ID COUNT connected|registered");
  const auto endpoint = Endpoint::parse(argv[1]);
  const auto peer = PeerId::parse(argv[2]);
  const std::size_t count = std::strtoul(argv[3], nullptr, 10);
  if (!endpoint || !peer) give_up("no address, or no peer id");
  const Server server{*endpoint, *peer, std::strcmp(argv[4], "registered") == 0};

  crypto::SystemRng rng;
  net::Loop loop;
  std::vector<std::unique_ptr<Peer>> peers;
  while (peers.size() < count) {
    const std::size_t first = peers.size();
    for (std::size_t i = first; i < std::min(first + k_dialling_at_once, count); ++i) {
      peers.push_back(std::make_unique<Peer>(loop, rng, server, address_of(i)));
      peers.back()->start(net::monotonic_now());
    }
    const auto are_there = [&] {
      return std::all_of(peers.begin() + static_cast<std::ptrdiff_t>(first), peers.end(),
                         [](const auto& one) { return one->is_there(); });
    };
    if (!loop.run_until(are_there, 60s)) give_up("not all peers got there");
  }
  std::printf("{\"peers\":%zu}\n", peers.size());
  std::fflush(stdout);
  net::ReadableWatch end(loop, STDIN_FILENO, [&loop] { loop.stop(); });
  loop.run();
  return 0;
}
