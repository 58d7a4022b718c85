// SPDX-License-Identifier: Apache-2.0
#include "node/udp_probe_service.hpp"

#include <algorithm>
#include <utility>

#include "node/question_stream.hpp"

namespace dig::node {

using udp_probe::PortProber;
using udp_probe::Status;

class UdpProbeService::AnswerHandler final : public AnswerStream<udp_probe::Answerer> {
 public:
  AnswerHandler(Instant now, UdpProbeService& service, const PeerLink& link)
      : AnswerStream(now, udp_probe::k_timeout),
        service_(service),
        connection_(link.id()),
        peer_(link.peer()),
        observed_(link.path().remote.address),
        reading_(service.book_.start_reading(peer_)) {
    if (!reading_) machine().answer({Status::busy});
  }
  AnswerHandler(const AnswerHandler&) = delete;
  AnswerHandler& operator=(const AnswerHandler&) = delete;
  ~AnswerHandler() override { forget_sending(); }

  void handle_sent(bool is_sent) {
    sending_.reset();
    machine().answer({is_sent ? Status::sent : Status::busy});
    service_.host_.mark_stream_active(connection_, stream());
  }

 protected:
  void handle_task(Instant now, const udp_probe::Request& request) override {
    reading_.reset();
    if (const auto why_not = refuse(now, request)) return machine().answer({*why_not});
    sending_ = UdpSendId{++service_.next_send_};
    service_.sending_.emplace(*sending_, this);
    service_.host_.put(SendUdpProbe{*sending_, request.target, udp_probe::Datagram{request.nonce}.encode()});
  }
  void handle_over() override {
    reading_.reset();
    forget_sending();
  }

 private:
  // What is refused in any case takes no place.
  [[nodiscard]] std::optional<Status> refuse(Instant now, const udp_probe::Request& request) {
    if (!autonat::is_dialable(request.target, observed_, service_.policy_)) return Status::refused;
    auto place = service_.book_.admit(now, peer_, AcceptLimiter::prefix_of(observed_));
    if (!place) return Status::busy;
    // The victim might be a third party.
    if (request.target.address != observed_ && !place->take_dial_data(now)) return Status::busy;
    return std::nullopt;
  }
  void forget_sending() {
    if (const auto id = std::exchange(sending_, std::nullopt)) service_.sending_.erase(*id);
  }

  UdpProbeService& service_;
  ConnectionId connection_;
  PeerId peer_;
  IpAddress observed_;
  std::optional<autonat::RequestBook::Reading> reading_;
  std::optional<UdpSendId> sending_;
};

class UdpProbeService::AskHandler final : public QuestionStream<udp_probe::Asker> {
 public:
  AskHandler(Instant now, UdpProbeService& service, IpFamily family, const udp_probe::WantDatagram& wanted)
      : QuestionStream(udp_probe::Asker(now, wanted.request, udp_probe::k_timeout)),
        service_(service),
        family_(family),
        probe_(wanted.probe),
        server_(wanted.server) {}

 protected:
  void handle_outcome(Instant now, const Result<udp_probe::Response>& answer) override {
    service_.prober(family_).handle_answer(now, probe_, server_, answer);
    service_.host_.mark_udp_probes_active();
  }

 private:
  UdpProbeService& service_;
  IpFamily family_;
  std::uint64_t probe_;
  PeerId server_;
};

namespace {

constexpr std::array k_families = {IpFamily::v4, IpFamily::v6};

// Two probers number their probes alike.
UdpProbeId id_of(std::uint64_t probe, IpFamily family) {
  return UdpProbeId{2 * probe + (family == IpFamily::v6 ? 1 : 0)};
}
IpFamily family_of(UdpProbeId id) { return id.value % 2 == 0 ? IpFamily::v4 : IpFamily::v6; }
std::uint64_t probe_of(UdpProbeId id) { return id.value / 2; }

}  // namespace

UdpProbeService::UdpProbeService(Rng& rng, UdpProbeHost& host, const Limits& limits)
    : host_(host), book_(limits.requests), probers_{PortProber(rng, limits.prober), PortProber(rng, limits.prober)} {}

std::unique_ptr<StreamHandler> UdpProbeService::make_answer_handler(Instant now, const PeerLink& link) {
  return std::make_unique<AnswerHandler>(now, *this, link);
}

void UdpProbeService::set_target(Instant now, IpFamily family, const std::optional<IpAddress>& target) {
  if (is_stopped_) return;
  prober(family).set_target(now, target);
  host_.mark_udp_probes_active();
}

void UdpProbeService::handle_identified(Instant now, const PeerLink& link, const Identify& message, bool is_bootstrap) {
  if (message.protocols.empty()) return;  // a push may tell the addresses alone
  if (std::ranges::find(message.protocols, udp_probe::k_protocol) == message.protocols.end()) {
    if (host_.find_direct_link(link.peer(), link.id()) == nullptr) remove_server(now, link.peer());
    return;
  }
  for (PortProber& one : probers_) one.add_server(now, link.peer(), link.path().remote.address, is_bootstrap);
  host_.mark_udp_probes_active();
}

void UdpProbeService::handle_sent(UdpSendId id, bool is_sent) {
  const auto sending = sending_.extract(id);
  if (!sending.empty()) sending.mapped()->handle_sent(is_sent);
}

void UdpProbeService::handle_network_changed(Instant now) {
  for (PortProber& one : probers_) one.handle_network_changed(now);
  host_.mark_udp_probes_active();
}

void UdpProbeService::handle_link_closed(Instant now, const PeerLink& link) {
  if (host_.find_direct_link(link.peer(), link.id()) == nullptr) remove_server(now, link.peer());
}

void UdpProbeService::remove_server(Instant now, const PeerId& peer) {
  for (PortProber& one : probers_) one.remove_server(now, peer);
  host_.mark_udp_probes_active();
}

void UdpProbeService::handle_listening(Instant now, UdpProbeId id, const Result<Endpoint>& relay) {
  prober(family_of(id)).handle_listening(now, probe_of(id), relay);
  host_.mark_udp_probes_active();
}

void UdpProbeService::handle_datagram(Instant now, UdpProbeId id, BytesView datagram) {
  prober(family_of(id)).handle_datagram(now, probe_of(id), datagram);
  host_.mark_udp_probes_active();
}

bool UdpProbeService::settle(Instant now) {
  bool has_changed = false;
  for (const IpFamily family : k_families) {
    while (const auto event = prober(family).poll_event()) {
      if (const auto* port = std::get_if<udp_probe::WantPort>(&*event)) {
        host_.put(OpenUdpProbe{id_of(port->probe, family), port->target});
      } else if (const auto* drop = std::get_if<udp_probe::DropPort>(&*event)) {
        host_.put(CloseUdpProbe{id_of(drop->probe, family)});
      } else if (const auto* wanted = std::get_if<udp_probe::WantDatagram>(&*event)) {
        ask(now, family, *wanted);
      } else {
        has_changed = true;
      }
    }
  }
  return has_changed;
}

void UdpProbeService::ask(Instant now, IpFamily family, const udp_probe::WantDatagram& wanted) {
  PeerLink* const link = host_.find_direct_link(wanted.server, std::nullopt);
  const auto opened = link == nullptr ? fail(Errc::connection_closed)
                                      : link->open(now, std::string(udp_probe::k_protocol),
                                                   std::make_unique<AskHandler>(now, *this, family, wanted));
  if (!opened) prober(family).handle_answer(now, wanted.probe, wanted.server, std::unexpected(opened.error()));
}

void UdpProbeService::handle_timeout(Instant now) {
  for (PortProber& one : probers_) {
    const auto due = one.next_timeout();
    if (!due || now < *due) continue;
    one.handle_timeout(now);
    host_.mark_udp_probes_active();
  }
}

std::optional<Instant> UdpProbeService::next_timeout() const {
  return earliest(probers_[0].next_timeout(), probers_[1].next_timeout());
}

void UdpProbeService::stop(Instant now) {
  for (const IpFamily family : k_families) set_target(now, family, std::nullopt);
  is_stopped_ = true;
}

}  // namespace dig::node
