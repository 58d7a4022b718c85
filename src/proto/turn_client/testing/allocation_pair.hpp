// SPDX-License-Identifier: Apache-2.0
// A ClientAllocation and a FakeServer with a leg between them, in virtual time. Test-only.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/turn_client/allocation.hpp"
#include "proto/turn_client/testing/fake_server.hpp"

namespace dig::turn::testing {

using Lines = std::vector<std::string>;

inline AllocationConfig config_with(StunTransport transport = StunTransport::udp) {
  return {.server = k_server, .transport = transport, .credentials = Credentials{"alice", "wonderland"}};
}

// "ended turn_quota: 486 because"
inline std::string line_of(const ClientAllocation::Event& event) {
  struct Teller {
    std::string operator()(const Allocated& e) const {
      std::string text = "allocated";
      if (e.relayed_v4) text += " " + e.relayed_v4->to_string();
      if (e.relayed_v6) text += " " + e.relayed_v6->to_string();
      if (e.missing_family) text += " without " + std::string(e.missing_family->info().name);
      return text;
    }
    std::string operator()(const PermissionInstalled& e) const { return "permission " + e.peer.to_string(); }
    std::string operator()(const PermissionLost& e) const {
      return "permission lost " + e.peer.to_string() + " " + std::string(e.error.info().name);
    }
    std::string operator()(const ChannelBound& e) const { return "channel " + e.peer.to_string(); }
    std::string operator()(const ChannelLost& e) const {
      return "channel lost " + e.peer.to_string() + " " + std::string(e.error.info().name);
    }
    std::string operator()(const Writable&) const { return "writable"; }
    std::string operator()(const Released&) const { return "released"; }
    std::string operator()(const Ended& e) const {
      std::string text = "ended " + std::string(e.error.info().name);
      if (!e.error.detail().empty()) text += ": " + e.error.detail();
      if (e.alternate) text += " -> " + e.alternate->server.to_string();
      return text;
    }
  };
  return std::visit(Teller{}, event);
}

inline std::string ended(Errc code, std::string_view detail) {
  return "ended " + std::string(error_info(code).name) + ": " + std::string(detail);
}
inline std::string lost(const Endpoint& peer, Errc code) {
  return "permission lost " + peer.address.to_string() + " " + std::string(error_info(code).name);
}

class AllocationPair {
 public:
  explicit AllocationPair(Script script = {}, AllocationConfig config = config_with(),
                          ClientAllocation::Limits limits = ClientAllocation::Limits())
      : server(std::move(script)),
        is_stream(config.transport == StunTransport::tcp || config.transport == StunTransport::tls),
        client(std::make_unique<ClientAllocation>(now, config, rng, limits)) {}

  // Carries everything to the server and back until both are quiet.
  void drain() {
    Bytes buffer(ClientAllocation::k_max_datagram);
    for (int i = 0; i < 10'000; ++i) {
      const std::size_t size = client->poll_transmit(now, buffer);
      const auto event = client->poll_event();
      if (event) events.push_back(line_of(*event));
      if (size > 0) to_server(BytesView(buffer).first(size));
      if (size == 0 && !event) return;
    }
    ADD_FAILURE() << "a drain must come to an end";
  }

  // Lets time pass, from deadline to deadline.
  void pass(Duration duration) {
    const Instant end = now + duration;
    for (int i = 0; i < 100'000; ++i) {
      const auto next = client->next_timeout();
      if (!next || *next > end) break;
      ASSERT_GE(*next, now) << "a deadline that was handled must not stand";
      now = *next;
      client->handle_timeout(now);
      drain();
    }
    now = end;
    client->handle_timeout(now);
    drain();
  }

  void receive(BytesView bytes) {
    if (!is_stream) {
      if (const auto data = client->handle_message(now, bytes)) keep(*data);
      return;
    }
    while (const auto data = client->handle_bytes(now, bytes)) keep(*data);
  }

  Lines take_events() { return std::exchange(events, {}); }

  // Ready to carry data to k_peer.
  void open() {
    drain();
    ASSERT_TRUE(client->permit(now, k_peer.address));
    drain();
    events.clear();
  }

  Instant now{1000s};
  SeededRng rng{7};
  FakeServer server;
  bool is_stream;
  std::unique_ptr<ClientAllocation> client;
  Lines events;
  std::vector<std::pair<Endpoint, Bytes>> received;
  // Whether a message is lost on its way.
  std::function<bool(BytesView)> loses_request = [](BytesView) { return false; };
  std::function<bool(BytesView)> loses_response = [](BytesView) { return false; };

 private:
  void keep(const PeerData& data) { received.emplace_back(data.peer, to_bytes(data.data)); }

  void to_server(BytesView bytes) {
    if (!is_stream) {
      exchange(bytes);
      return;
    }
    for (;;) {
      const auto frame = framer_.next(bytes);
      ASSERT_TRUE(frame) << "the client broke the framing";
      if (!*frame) return;
      exchange(**frame);
    }
  }
  void exchange(BytesView message) {
    if (loses_request(message)) return;
    const auto response = server.handle(message);
    if (response && !loses_response(*response)) receive(*response);
  }

  stun::Framer framer_;
};

}  // namespace dig::turn::testing
