// SPDX-License-Identifier: Apache-2.0
// A DTLS client and server with a network between them that loses, repeats and reorders as a test says, in virtual
// time.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "crypto/dtls_session.hpp"
#include "crypto/testing/tls_pair.hpp"
#include "crypto/testing/virtual_world.hpp"

namespace dig::crypto::testing {

inline constexpr DtlsPath k_client_path{.local = {IpAddress::v4({192, 0, 2, 1}), 1001},
                                        .remote = {IpAddress::v4({192, 0, 2, 2}), 1002}};
inline constexpr DtlsPath k_server_path{.local = k_client_path.remote, .remote = k_client_path.local};

struct DtlsEnd {
  DtlsSession session;
  DtlsPath path;
  std::optional<TlsEstablished> established{};
  std::optional<TlsClosed> closed{};
  int readable = 0;
  std::vector<std::string> received{};
  std::size_t largest = 0;  // datagram sent

  void act() {
    while (auto event = session.poll_event()) {
      if (auto* found = std::get_if<TlsEstablished>(&*event)) established = std::move(*found);
      if (auto* found = std::get_if<TlsClosed>(&*event)) closed = std::move(*found);
      if (std::holds_alternative<DtlsReadable>(*event)) ++readable;
    }
    Bytes buffer(DtlsSession::max_plaintext);
    while (const auto size = session.read(buffer)) received.emplace_back(as_text(BytesView(buffer).first(*size)));
  }
  // Everything that waits to be sent.
  std::vector<Bytes> take(Instant now) {
    std::vector<Bytes> datagrams;
    Bytes buffer(4096);
    while (const auto transmit = session.poll_transmit(now, buffer)) {
      datagrams.push_back(to_bytes(BytesView(buffer).first(transmit->size)));
      largest = std::max(largest, transmit->size);
    }
    return datagrams;
  }
  void give(Instant now, BytesView datagram) {
    session.handle_datagram({.now = now, .local = path.local, .remote = path.remote, .bytes = datagram});
  }
};

struct DtlsPair {
  VirtualClock clock{k_test_wall, k_test_start};
  Instant now = k_test_start;
  DtlsEnd client;
  DtlsEnd server;
  std::function<void(bool to_server, std::vector<Bytes>&)> network{};  // may alter what is under way at once
  std::vector<std::pair<bool, Bytes>> transcript{};                    // all that was sent

  DtlsPair(const TlsConfig& client_side, const TlsConfig& server_side, DtlsLimits limits = {},
           const std::string& name = "turn.example")
      : client{DtlsSession::connect(make_context(TlsTransport::datagram, client_side), {.server_name = name},
                                    k_client_path, k_test_start, k_test_wall, limits)
                   .value(),
               k_client_path},
        server{DtlsSession::accept(make_context(TlsTransport::datagram, server_side), {}, k_server_path, k_test_start,
                                   k_test_wall, limits)
                   .value(),
               k_server_path} {}
  DtlsPair() : DtlsPair(client_config(), server_config()) {}

  bool move(DtlsEnd& from, DtlsEnd& to, bool to_server) {
    std::vector<Bytes> datagrams = from.take(now);
    const bool moved = !datagrams.empty();
    for (const Bytes& datagram : datagrams) transcript.emplace_back(to_server, datagram);
    if (network) network(to_server, datagrams);
    for (const Bytes& datagram : datagrams) to.give(now, datagram);
    from.act();
    to.act();
    return moved;
  }
  // Until nothing moves without time going on.
  void settle() {
    for (bool moved = true; moved;) {
      const bool there = move(client, server, true);
      const bool back = move(server, client, false);
      moved = there || back;
    }
  }
  // Lets time go on until the end of the timers, or of the limit.
  void run(Duration limit = 60s) {
    const Instant end = now + limit;
    settle();
    while (const auto next = earliest(client.session.next_timeout(), server.session.next_timeout())) {
      if (*next > end) break;
      now = std::max(now, *next);
      clock.set(now);
      client.session.handle_timeout(now);
      server.session.handle_timeout(now);
      settle();
    }
  }
};

}  // namespace dig::crypto::testing
