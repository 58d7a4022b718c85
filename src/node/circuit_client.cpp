// SPDX-License-Identifier: Apache-2.0
#include "node/circuit_client.hpp"

#include "node/message_stream.hpp"
#include "proto/relay/protocol.hpp"

namespace dig::node {
namespace {

class CircuitRequest final : public MessageStream<relay::ConnectClient> {
 public:
  CircuitRequest(Instant now, CircuitClientHost& host, DialId dial, ConnectionId relay, const PeerId& target)
      : MessageStream(relay::ConnectClient(now, {target}, relay::k_hop_timeout)),
        host_(host),
        dial_(dial),
        relay_(relay) {}

 protected:
  void handle_progress(Instant now) override {
    const auto& result = machine().result();
    if (!result || std::exchange(is_told_, true)) return;
    if (!*result) {
      host_.handle_circuit_failed(now, dial_, result->error());
      return fail_with(result->error());
    }
    if (const auto link = host_.handle_circuit_made(now, dial_, {relay_, stream()}, **result)) {
      become(make_link_carrier(host_, *link));
    } else {
      fail_with(Error(Errc::cancelled));
    }
  }
  void handle_lost(Instant now, const Error& why) override {
    if (!std::exchange(is_told_, true)) host_.handle_circuit_failed(now, dial_, why);
  }

 private:
  CircuitClientHost& host_;
  DialId dial_;
  ConnectionId relay_;
  bool is_told_ = false;
};

class ReserveRequest final : public MessageStream<relay::ReserveClient> {
 public:
  ReserveRequest(Instant now, CircuitClientHost& host, relay::AttemptId attempt, relay::ReserveRequest request)
      : MessageStream(relay::ReserveClient(now, std::move(request), relay::k_hop_timeout)),
        host_(host),
        attempt_(attempt) {}

 protected:
  void handle_progress(Instant now) override {
    const auto& result = machine().result();
    if (!result || std::exchange(is_told_, true)) return;
    finish();
    if (*result) {
      host_.handle_reserved(now, attempt_, **result);
    } else {
      host_.handle_reserve_failed(now, attempt_, result->error());
      fail_with(result->error());
    }
  }
  void handle_lost(Instant now, const Error& why) override {
    if (!std::exchange(is_told_, true)) host_.handle_reserve_failed(now, attempt_, why);
  }

 private:
  CircuitClientHost& host_;
  relay::AttemptId attempt_;
  bool is_told_ = false;
};

class CircuitResponder final : public MessageStream<relay::StopResponder> {
 public:
  CircuitResponder(Instant now, CircuitClientHost& host, ConnectionId relay)
      : MessageStream(relay::StopResponder(now)), host_(host), relay_(relay) {}

 protected:
  void handle_progress(Instant now) override {
    if (auto offer = machine().take_request()) {
      const bool is_admitted = host_.admits_circuit(relay_);
      machine().answer(
          circuit::StopMessage::answer(is_admitted ? circuit::Status::ok : circuit::Status::resource_limit_exceeded));
      offer_ = std::move(offer);
    }
    const auto& result = machine().result();
    if (!result || std::exchange(is_over_, true)) return;
    if (!*result) {
      fail_with(result->error());
    } else if (**result == relay::ResponseEnd::circuit) {
      become(make_link_carrier(host_, host_.handle_circuit_accepted(now, {relay_, stream()}, *offer_)));
    } else {
      finish();
    }
  }
  void handle_lost(Instant /*now*/, const Error& /*why*/) override {}

 private:
  CircuitClientHost& host_;
  ConnectionId relay_;
  std::optional<relay::CircuitOffered> offer_;
  bool is_over_ = false;
};

}  // namespace

std::unique_ptr<StreamHandler> make_circuit_request(Instant now, CircuitClientHost& host, DialId dial,
                                                    ConnectionId relay, const PeerId& target) {
  return std::make_unique<CircuitRequest>(now, host, dial, relay, target);
}

std::unique_ptr<StreamHandler> make_reserve_request(Instant now, CircuitClientHost& host, relay::AttemptId attempt,
                                                    relay::ReserveRequest request) {
  return std::make_unique<ReserveRequest>(now, host, attempt, std::move(request));
}

std::unique_ptr<StreamHandler> make_circuit_responder(Instant now, CircuitClientHost& host, ConnectionId relay) {
  return std::make_unique<CircuitResponder>(now, host, relay);
}

}  // namespace dig::node
