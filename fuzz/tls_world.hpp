// SPDX-License-Identifier: Apache-2.0
// The world of the targets that run TLS or DTLS: one clock, and randomness that is the same for every input.
#pragma once

#include <memory>
#include <variant>

#include "crypto/testing/tls_pair.hpp"
#include "crypto/testing/virtual_world.hpp"
#include "input.hpp"

namespace dig::fuzz {

struct TlsContexts {
  explicit TlsContexts(crypto::TlsTransport transport)
      : client(crypto::testing::make_context(transport, crypto::testing::client_config())),
        server(crypto::testing::make_context(transport, crypto::testing::server_config())) {}

  std::shared_ptr<const crypto::TlsContext> client;
  std::shared_ptr<const crypto::TlsContext> server;
};

template <crypto::TlsTransport transport>
struct TlsWorld {
  TlsWorld() { source = SeededRng(2); }  // the same whether this input made the contexts or an earlier one did

  static const TlsContexts& made_once() {
    static const TlsContexts made(transport);
    return made;
  }

  crypto::testing::VirtualClock clock{crypto::testing::k_test_wall, crypto::testing::k_test_start,
                                      crypto::testing::VirtualClock::Scope::openssl_only};
  SeededRng source{1};
  crypto::testing::OpensslRandom random{source};
  const TlsContexts& contexts = made_once();
};

// Takes the events of a session: TlsClosed is the last of all, and said once.
template <class Session>
void take_events(Session& session, bool& is_closed_seen) {
  while (const auto event = session.poll_event()) {
    require(!is_closed_seen);
    is_closed_seen = std::holds_alternative<crypto::TlsClosed>(*event);
  }
}

}  // namespace dig::fuzz
