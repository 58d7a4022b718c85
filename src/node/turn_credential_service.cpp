// SPDX-License-Identifier: Apache-2.0
#include "node/turn_credential_service.hpp"

#include <utility>

#include "node/question_stream.hpp"
#include "proto/turn_credentials/responder.hpp"

namespace dig::node {

class TurnCredentialService::Handler final : public BriefStream {
 public:
  Handler(Instant now, TurnCredentialService& service, const PeerLink& link)
      : service_(service),
        requester_(link.peer()),
        source_(link.path().remote.address),
        is_relayed_(link.path().is_relayed),
        place_(service.streams_.insert(link.peer())),
        machine_(now) {}
  ~Handler() override { service_.streams_.erase(place_); }

  void handle_eof(Instant now) override {
    machine_.handle_eof(now);
    drain(now);
  }
  [[nodiscard]] bool has_finished_writing() const override { return is_finished_; }
  void handle_closed(Instant /*now*/, const Error& /*why*/) override {}
  void handle_timeout(Instant now) override {
    machine_.handle_timeout(now);
    drain(now);
    end_if_due(now);
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override {
    return earliest(machine_.next_timeout(), end());
  }

 protected:
  [[nodiscard]] std::size_t take(Instant now, BytesView bytes) override {
    machine_.handle_bytes(now, bytes);
    drain(now);
    return bytes.size();
  }
  [[nodiscard]] std::size_t give(Instant now, MutableBytes out) override {
    const std::size_t size = machine_.poll_bytes(now, out);
    drain(now);
    return size;
  }

 private:
  void drain(Instant now) {
    while (const auto event = machine_.poll_event()) {
      if (const auto* wanted = std::get_if<turn_credentials::CredentialsWanted>(&*event)) {
        machine_.answer(answer_to(now, wanted->target));
        continue;
      }
      auto error = std::get<turn_credentials::ResponderFinished>(*event).error;
      is_finished_ = !error;
      if (error) fail_with(std::move(*error));
      end_soon(now);
    }
  }
  // What comes by a circuit has the address of the relay, and so no address for the limits to count by. Who can use
  // this TURN server can reach its port, and so can ask directly.
  [[nodiscard]] TurnCredentialResponse answer_to(Instant now, const PeerId& target) {
    if (is_relayed_) return {TurnCredentialStatus::refused, {}};
    return service_.issuer_.issue({now, service_.host_.wall(now), requester_, source_, target});
  }

  TurnCredentialService& service_;
  PeerId requester_;
  IpAddress source_;
  bool is_relayed_;
  std::multiset<PeerId>::iterator place_;
  turn_credentials::Responder machine_;
  bool is_finished_ = false;
};

std::unique_ptr<StreamHandler> TurnCredentialService::make_handler(Instant now, const PeerLink& link) {
  if (streams_.size() >= limits_.max_streams || streams_.count(link.peer()) >= limits_.max_streams_per_peer) {
    return nullptr;
  }
  return std::make_unique<Handler>(now, *this, link);
}

void TurnCredentialService::set_offer(std::optional<turn_credentials::Issuer::Offer> offer) {
  offer_ = offer;
  issuer_.set_offer(std::move(offer));
}

// --- asking ---------------------------------------------------------------------------------------------------------

namespace {

class TurnRequester final : public BufferedHandler {
 public:
  TurnRequester(Instant now, OutputSink& sink, OperationId operation, const PeerId& target)
      : sink_(sink), operation_(operation), machine_(now, target) {}

  void handle_eof(Instant now) override {
    machine_.handle_eof(now);
    collect();
  }
  [[nodiscard]] bool has_finished_writing() const override { return machine_.has_finished_writing(); }
  [[nodiscard]] std::optional<Error> failure() const override { return failure_; }
  void handle_closed(Instant /*now*/, const Error& why) override { end(std::unexpected(why)); }
  void handle_timeout(Instant now) override {
    machine_.handle_timeout(now);
    collect();
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override { return machine_.next_timeout(); }

 protected:
  [[nodiscard]] std::size_t take(Instant now, BytesView bytes) override {
    machine_.handle_bytes(now, bytes);
    collect();
    return bytes.size();
  }
  [[nodiscard]] std::size_t give(Instant /*now*/, MutableBytes out) override { return machine_.poll_bytes(out); }

 private:
  void collect() {
    if (machine_.result()) end(*machine_.result());
  }
  void end(Result<TurnCredentials> result) {
    if (std::exchange(is_over_, true)) return;
    if (!result) failure_ = result.error();
    // A peer that does not know the protocol offers no TURN.
    if (!result && result.error().code() == Errc::protocol_not_supported) result = fail(Errc::turn_not_offered);
    sink_.put(TurnCredentialsEnded{operation_, std::move(result)});
  }

  OutputSink& sink_;
  OperationId operation_;
  turn_credentials::Requester machine_;
  bool is_over_ = false;
  std::optional<Error> failure_;
};

}  // namespace

std::unique_ptr<StreamHandler> make_turn_requester(Instant now, OutputSink& sink, OperationId operation,
                                                   const PeerId& target) {
  return std::make_unique<TurnRequester>(now, sink, operation, target);
}

}  // namespace dig::node
