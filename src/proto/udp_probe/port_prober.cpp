// SPDX-License-Identifier: Apache-2.0
#include "proto/udp_probe/port_prober.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/accept_limiter.hpp"
#include "proto/autonat/address_scope.hpp"

namespace dig::udp_probe {
namespace {

constexpr std::string_view k_nobody = "no peer is connected that can try its relay ports";

std::string complaint_about(const Result<Response>& answer) {
  if (!answer) return "a server does not try relay ports: " + answer.error().message();
  return answer->status == Status::busy ? "a server is too busy to try its relay ports"
                                        : "a server sends nothing to its relay address";
}

}  // namespace

// --- what is known --------------------------------------------------------------------------------------------------

std::string PortProber::why_not() const {
  if (is_reached_) return {};
  if (!failure_.empty()) return failure_;
  return servers_.empty() ? std::string(k_nobody) : "its relay ports are being tried";
}

void PortProber::tell_if_changed() {
  if (!target_ || why_not() == told_) return;
  told_ = why_not();
  events_.push_back(VerdictChanged{});
}

// --- when to probe --------------------------------------------------------------------------------------------------

void PortProber::set_target(Instant now, std::optional<IpAddress> target) {
  if (target_ == target) return;
  target_ = target;
  abandon();
  is_reached_ = is_doubtful_ = false;
  failure_.clear();
  start_soon(now);
}

// A stranger may know more; while the ports are reached there is time. Who comes before the port is open is asked with
// the others.
void PortProber::add_server(Instant now, const PeerId& server, const IpAddress& address, bool is_preferred) {
  const bool is_new = servers_.insert_or_assign(server, Server{address, is_preferred}).second;
  const bool is_asked_now = is_running_ && asked_.empty();
  if (is_new && !is_reached_ && !is_asked_now) start_soon(now);
  start_if_due(now);
}

void PortProber::remove_server(Instant now, const PeerId& server) {
  servers_.erase(server);
  handle_answer(now, probe_, server, fail(Errc::connection_closed));
  tell_if_changed();
}

// A probe that runs waits at an address that may be gone, unless it was begun for this change.
void PortProber::handle_network_changed(Instant now) {
  interval_ = limits_.first_interval;
  if (is_running_ && started_ == now) return;
  abandon();
  start_soon(now);
}

void PortProber::start_soon(Instant now) {
  next_ = started_ ? std::max(now, *started_ + limits_.min_gap) : now;
  start_if_due(now);
  tell_if_changed();
}

void PortProber::start_if_due(Instant now) {
  if (is_running_ || !target_ || servers_.empty() || !next_ || now < *next_) return;
  is_running_ = true;
  ++probe_;
  started_ = now;
  next_.reset();
  deadline_ = now + limits_.patience;
  complaint_.clear();
  events_.push_back(WantPort{probe_, *target_});
}

std::optional<Instant> PortProber::next_timeout() const {
  if (is_running_) return deadline_;
  return target_ && !servers_.empty() ? next_ : std::nullopt;
}

// --- one probe ------------------------------------------------------------------------------------------------------

void PortProber::handle_listening(Instant now, std::uint64_t probe, const Result<Endpoint>& relay) {
  if (!is_running_ || probe != probe_ || !asked_.empty()) return;
  if (!relay) {
    const std::string why = "no relay port can be opened: " + relay.error().message();
    return relay.error().code() == Errc::port_in_use ? end_untried(now, why) : end_unreached(now, why);
  }
  for (const PeerId& server : choose_servers(relay->address)) {
    asked_.push_back({.server = server, .nonce = rng_.array<16>(), .is_preferred = servers_.at(server).is_preferred});
    events_.push_back(WantDatagram{probe_, server, {*relay, asked_.back().nonce}});
  }
  if (asked_.empty()) end_untried(now, std::string(k_nobody));
}

// Those on this side of the NAT say nothing about it. Several at one place count once, as an identity costs nothing.
std::vector<PeerId> PortProber::choose_servers(const IpAddress& relay) {
  std::vector<std::tuple<bool, std::uint64_t, PeerId>> order;
  for (const auto& [peer, server] : servers_) {
    if (autonat::can_probe(server.address, relay)) order.emplace_back(!server.is_preferred, rng_.u64(), peer);
  }
  std::ranges::sort(order);
  std::set<AcceptLimiter::Prefix> places;
  std::vector<PeerId> chosen;
  for (const auto& [is_other, chance, peer] : order) {
    if (chosen.size() == limits_.max_servers) break;
    if (places.insert(AcceptLimiter::prefix_of(servers_.at(peer).address)).second) chosen.push_back(peer);
  }
  return chosen;
}

void PortProber::handle_answer(Instant now, std::uint64_t probe, const PeerId& server, const Result<Response>& answer) {
  if (!is_running_ || probe != probe_) return;
  const auto asked = std::ranges::find(asked_, server, &Asked::server);
  if (asked == asked_.end() || asked->was_sent) return;
  asked->was_sent = answer && answer->status == Status::sent;
  if (!*asked->was_sent) complaint_ = complaint_about(answer);
  if (answer && answer->status == Status::refused) asked->is_preferred = false;  // it judges nothing there
  // Where one was sent, it may be on its way until the deadline.
  if (std::ranges::all_of(asked_, [](const Asked& one) { return one.was_sent == false; })) {
    end_untried(now, complaint_);
  }
}

void PortProber::handle_datagram(Instant now, std::uint64_t probe, BytesView datagram) {
  if (!is_running_ || probe != probe_) return;
  const auto message = Datagram::decode(datagram);
  if (message && std::ranges::find(asked_, message->nonce, &Asked::nonce) != asked_.end()) end_reached(now);
}

// A stranger's word is worth nothing beside that of a server that the owner has named, though this one be too busy.
bool PortProber::was_sent() const {
  const bool has_preferred = std::ranges::any_of(asked_, &Asked::is_preferred);
  return std::ranges::any_of(
      asked_, [&](const Asked& one) { return one.was_sent == true && one.is_preferred == has_preferred; });
}

void PortProber::handle_timeout(Instant now) {
  if (is_running_ && now >= deadline_) {
    if (was_sent()) {
      end_unreached(now, "no datagram from outside has reached a relay port");
    } else {
      end_untried(now, complaint_.empty() ? "no server has answered" : complaint_);
    }
  }
  start_if_due(now);
}

void PortProber::end_reached(Instant now) {
  abandon();
  if (!is_reached_) interval_ = limits_.first_interval;
  next_ = now + interval_;
  interval_ = std::min(interval_ * 2, limits_.max_interval);
  is_reached_ = true;
  is_doubtful_ = false;
  failure_.clear();
  tell_if_changed();
}

// One lost datagram ends nothing that has worked.
void PortProber::end_unreached(Instant now, std::string why) {
  abandon();
  if (is_reached_ && !std::exchange(is_doubtful_, true)) {
    next_ = now + limits_.min_gap;
    return;
  }
  retry_later(now);
  is_reached_ = is_doubtful_ = false;
  failure_ = std::move(why);
  tell_if_changed();
}

// Nobody knows more than before.
void PortProber::end_untried(Instant now, std::string why) {
  abandon();
  retry_later(now);
  if (is_reached_) return;
  failure_ = std::move(why);
  tell_if_changed();
}

// Unless somebody has come meanwhile, whom to ask sooner.
void PortProber::retry_later(Instant now) {
  const Instant retry = now + limits_.retry;
  next_ = next_ ? std::min(*next_, retry) : retry;
}

void PortProber::abandon() {
  if (std::exchange(is_running_, false)) events_.push_back(DropPort{probe_});
  asked_.clear();
}

std::optional<ProberEvent> PortProber::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace dig::udp_probe
