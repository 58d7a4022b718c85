// SPDX-License-Identifier: Apache-2.0
#include "node/relay_service.hpp"

#include "node/message_stream.hpp"
#include "proto/relay/protocol.hpp"
#include "proto/relay/requests.hpp"
#include "proto/relay/responders.hpp"
#include "proto/relay/splice.hpp"

namespace dig::node {
namespace {

relay::ConnectionId relay_name(ConnectionId id) { return {id.value}; }
ConnectionId node_name(relay::ConnectionId id) { return ConnectionId{id.value}; }

relay::RelayClient client_of(const PeerLink& link) {
  return {relay_name(link.id()), link.peer(), link.path().remote.address, link.path().is_relayed};
}

}  // namespace

// One circuit, owned by the handlers of its two streams; it ends when either of them does.
struct RelayService::Circuit {
  Circuit(RelayService& owner, relay::CircuitId number, const circuit::Limit& allowed)
      : service(owner), id(number), limit(allowed) {}
  ~Circuit() { service.server_.circuit_ended(id); }
  Circuit(const Circuit&) = delete;
  Circuit& operator=(const Circuit&) = delete;

  struct End {
    ConnectionId connection;
    StreamId stream;
  };
  [[nodiscard]] End& end(relay::CircuitEnd which) { return ends[static_cast<std::size_t>(which)]; }
  void wake(relay::CircuitEnd which) { service.host_.mark_stream_active(end(which).connection, end(which).stream); }
  void fall_apart(relay::CircuitEnd at) {
    is_broken = true;
    wake(relay::other_end(at));
  }
  // What is to be told to the initiator; the hop stream takes it.
  void answer(circuit::Status status) {
    hop_answer = circuit::HopMessage::answer(status, limit);
    wake(relay::CircuitEnd::hop);
  }

  RelayService& service;
  relay::CircuitId id;
  circuit::Limit limit;
  std::array<End, 2> ends{};
  std::optional<circuit::HopMessage> hop_answer;
  std::optional<relay::Splice> splice;  // once the target has agreed
  bool is_broken = false;
};

// One end of a circuit once its bytes flow.
class RelayService::SpliceSide final : public StreamHandler {
 public:
  SpliceSide(std::shared_ptr<Circuit> circuit, relay::CircuitEnd end) : circuit_(std::move(circuit)), end_(end) {}

  [[nodiscard]] MutableBytes receive_space() override { return splice().receive_space(end_); }
  void handle_received(Instant now, std::size_t size) override {
    splice().handle_received(now, end_, size);
    circuit_->wake(relay::other_end(end_));
  }
  void handle_eof(Instant /*now*/) override {
    splice().handle_eof(end_);
    circuit_->wake(relay::other_end(end_));
  }
  [[nodiscard]] BytesView output(Instant /*now*/) override { return splice().output(end_); }
  void handle_written(Instant /*now*/, std::size_t size) override {
    splice().handle_written(end_, size);
    circuit_->wake(relay::other_end(end_));
  }
  [[nodiscard]] bool has_finished_writing() const override { return splice().has_finished_writing(end_); }
  [[nodiscard]] std::optional<Error> failure() const override {
    if (circuit_->is_broken) return Error(Errc::stream_reset, "the other end of the circuit is gone");
    const auto& result = splice().result();
    return result && !*result ? std::optional(result->error()) : std::nullopt;
  }
  void handle_closed(Instant /*now*/, const Error& /*why*/) override { circuit_->fall_apart(end_); }
  void handle_timeout(Instant now) override {
    splice().handle_timeout(now);
    circuit_->wake(relay::other_end(end_));
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override {
    return circuit_->is_broken ? std::nullopt : splice().next_timeout();
  }

 private:
  [[nodiscard]] relay::Splice& splice() const { return *circuit_->splice; }

  std::shared_ptr<Circuit> circuit_;
  relay::CircuitEnd end_;
};

// Towards the peer that a circuit leads to.
class RelayService::StopStream final : public MessageStream<relay::StopClient> {
 public:
  StopStream(Instant now, std::shared_ptr<Circuit> circuit, const PeerId& initiator)
      : MessageStream(relay::StopClient(now, {initiator, circuit->limit}, relay::k_stop_timeout)),
        circuit_(std::move(circuit)) {}

  void handle_opened(StreamId stream) override {
    MessageStream::handle_opened(stream);
    circuit_->end(relay::CircuitEnd::stop).stream = stream;
  }

 protected:
  void prepare(Instant /*now*/) override {
    if (circuit_->is_broken) fail_with(Error(Errc::stream_reset, "the initiator of the circuit is gone"));
  }
  void handle_progress(Instant now) override {
    const auto& result = machine().result();
    if (!result || std::exchange(is_told_, true)) return;
    if (!*result) {
      circuit_->answer(circuit::Status::connection_failed);
      return fail_with(result->error());
    }
    circuit_->splice.emplace(now, circuit_->limit);
    circuit_->answer(circuit::Status::ok);
    become(std::make_unique<SpliceSide>(circuit_, relay::CircuitEnd::stop));
  }
  void handle_lost(Instant /*now*/, const Error& /*why*/) override {
    if (!std::exchange(is_told_, true)) circuit_->answer(circuit::Status::connection_failed);
  }

 private:
  std::shared_ptr<Circuit> circuit_;
  bool is_told_ = false;
};

// From a client: RESERVE or CONNECT.
class RelayService::HopStream final : public MessageStream<relay::HopResponder> {
 public:
  HopStream(Instant now, RelayService& service, const PeerLink& link)
      : MessageStream(relay::HopResponder(now)), service_(service), client_(client_of(link)) {}

 protected:
  void prepare(Instant /*now*/) override {
    if (!circuit_ || !circuit_->hop_answer) return;
    machine().answer(*std::exchange(circuit_->hop_answer, std::nullopt));
  }
  void handle_progress(Instant now) override {
    if (const auto request = machine().take_request()) {
      if (const auto* asked = std::get_if<relay::ConnectAsked>(&*request)) {
        connect(now, asked->target);
      } else {
        machine().answer(service_.server_.reserve(now, service_.host_.wall(now), client_));
        service_.drain_events();
      }
    }
    const auto& result = machine().result();
    if (!result || std::exchange(is_over_, true)) return;
    if (!*result) {
      fail_with(result->error());
    } else if (**result == relay::ResponseEnd::circuit) {
      become(std::make_unique<SpliceSide>(circuit_, relay::CircuitEnd::hop));
    } else {
      finish();
    }
  }
  void handle_lost(Instant /*now*/, const Error& /*why*/) override {
    if (circuit_) circuit_->fall_apart(relay::CircuitEnd::hop);
  }

 private:
  void connect(Instant now, const PeerId& target) {
    const auto admitted = service_.server_.connect(now, client_, target);
    if (!admitted) return machine().answer(circuit::HopMessage::answer(admitted.error()));
    circuit_ = std::make_shared<Circuit>(service_, admitted->circuit, admitted->limit);
    circuit_->end(relay::CircuitEnd::hop) = {node_name(client_.connection), stream()};
    circuit_->end(relay::CircuitEnd::stop).connection = node_name(admitted->target);
    PeerLink* const link = service_.host_.find_link(node_name(admitted->target));
    const auto opened = link == nullptr ? fail(Errc::connection_closed)
                                        : link->open(now, std::string(relay::k_stop_protocol),
                                                     std::make_unique<StopStream>(now, circuit_, client_.peer));
    if (!opened) machine().answer(circuit::HopMessage::answer(circuit::Status::connection_failed));
  }

  RelayService& service_;
  relay::RelayClient client_;
  std::shared_ptr<Circuit> circuit_;
  bool is_over_ = false;
};

std::unique_ptr<StreamHandler> RelayService::make_hop_handler(Instant now, const PeerLink& link) {
  return std::make_unique<HopStream>(now, *this, link);
}

void RelayService::handle_link_closed(const PeerLink& link) {
  const PeerLink* const another = host_.find_direct_link(link.peer(), link.id());
  server_.handle_connection_closed(relay_name(link.id()),
                                   another != nullptr ? std::optional(relay_name(another->id())) : std::nullopt);
  drain_events();
}

void RelayService::handle_timeout(Instant now) {
  server_.handle_timeout(now);
  drain_events();
}

void RelayService::drain_events() {
  while (const auto event = server_.poll_event()) {
    if (const auto* made = std::get_if<relay::ReservationMade>(&*event)) {
      carrying_.insert(node_name(made->connection));
    } else {
      carrying_.erase(node_name(std::get<relay::ReservationEnded>(*event).connection));
    }
  }
}

}  // namespace dig::node
