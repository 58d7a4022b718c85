// SPDX-License-Identifier: Apache-2.0
// A TLS client and server with a wire between them, for tests: what happened to each end, in the order in which it did.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "crypto/testing/test_authority.hpp"
#include "crypto/tls_session.hpp"

namespace dig::crypto::testing {

inline constexpr Instant k_test_start{1000s};

inline const TestAuthority& test_authority() {
  static const TestAuthority authority("test root");
  return authority;
}
inline std::shared_ptr<const TlsIdentity> test_identity() {
  static const auto identity = test_authority().issue().identity();
  return identity;
}
inline TlsTrust test_trust() { return TlsTrust::authorities(false, test_authority().root_pem()).value(); }

inline TlsConfig server_config() { return {.role = TlsRole::server, .identity = test_identity()}; }
inline TlsConfig client_config() { return {.role = TlsRole::client, .trust = test_trust()}; }
inline std::shared_ptr<const TlsContext> make_context(TlsTransport transport, const TlsConfig& config) {
  return TlsContext::create(transport, config).value();
}

// One end and what its owner saw.
struct TlsEnd {
  TlsSession session;
  std::optional<TlsEstablished> established{};
  std::optional<TlsClosed> closed{};
  int readable = 0;
  int writable = 0;
  bool reads = true;  // takes plaintext as soon as it comes
  Bytes received{};
  bool is_end = false;
  std::optional<Error> read_error{};
  Bytes to_write{};
  std::size_t written = 0;
  bool closes_when_written = false;

  void take_events() {
    while (auto event = session.poll_event()) {
      if (auto* found = std::get_if<TlsEstablished>(&*event)) established = std::move(*found);
      if (auto* found = std::get_if<TlsClosed>(&*event)) closed = std::move(*found);
      if (std::holds_alternative<TlsReadable>(*event)) ++readable;
      if (std::holds_alternative<TlsWritable>(*event)) ++writable;
    }
  }
  void read_all() {
    Bytes buffer(5000);
    while (true) {
      const auto read = session.read(buffer);
      if (!read) read_error = read.error();
      if (!read) return;
      append(received, BytesView(buffer).first(read->size));
      is_end = is_end || read->is_end;
      if (read->size == 0) return;
    }
  }
  void write_more() {
    while (written < to_write.size()) {
      const auto taken = session.write(BytesView(to_write).subspan(written));
      if (!taken || *taken == 0) return;
      written += *taken;
    }
    if (closes_when_written && established) session.close();
  }
  void act() {
    take_events();
    if (reads && established) read_all();
    if (!closed) write_more();
    take_events();
  }
};

struct TlsPair {
  TlsEnd client;
  TlsEnd server;
  Instant now = k_test_start;
  std::size_t piece = 0;  // bytes that move at once; 0: as many as there are; random below it if `rng` is set
  Rng* rng = nullptr;
  std::function<void(bool to_server, Bytes&)> tamper{};
  std::size_t most_waiting = 0;

  TlsPair(const TlsConfig& client_side, const TlsConfig& server_side, const std::string& name = "turn.example")
      : client{TlsSession::connect(make_context(TlsTransport::stream, client_side), {.server_name = name}, k_test_start,
                                   k_test_wall)
                   .value()},
        server{TlsSession::accept(make_context(TlsTransport::stream, server_side), k_test_start, k_test_wall).value()} {
  }
  TlsPair() : TlsPair(client_config(), server_config()) {}

  // Whether anything moved.
  bool move(TlsEnd& from, TlsEnd& to, bool to_server) {
    if (!to.session.wants_bytes() && !to.closed) return false;
    std::size_t room = piece == 0 ? 65'536 : piece;
    if (rng != nullptr) room = 1 + rng->below(room);
    Bytes wire(room);
    wire.resize(from.session.poll_bytes(now, wire));
    if (wire.empty()) return false;
    if (tamper) tamper(to_server, wire);
    to.session.handle_bytes(now, wire);
    for (const TlsEnd* end : {&from, &to}) {
      const TlsStatus status = end->session.snapshot();
      most_waiting = std::max({most_waiting, status.input_waiting, status.output_waiting});
    }
    return true;
  }
  void run() {
    client.act();
    server.act();
    for (bool moved = true; moved;) {
      const bool there = move(client, server, true);
      server.act();
      const bool back = move(server, client, false);
      client.act();
      moved = there || back;
    }
  }
};

}  // namespace dig::crypto::testing
