// SPDX-License-Identifier: Apache-2.0
#include "proto/stun/nat_discovery.hpp"

#include <algorithm>
#include <array>

#include "wire/stun_integrity.hpp"

namespace dig::stun {
namespace {

// RFC 5780 §7.2.
constexpr std::uint32_t k_change_address = 0x04;
constexpr std::uint32_t k_change_port = 0x02;

constexpr std::size_t k_max_tests = NatDiscovery::k_max_servers + 5;

}  // namespace

static_assert(Machine<NatDiscovery>);

NatDiscovery::NatDiscovery(Instant now, const NatDiscoveryConfig& config, Rng& rng)
    : config_(config), rng_(rng), transactions_(false, config.timers, k_max_tests) {
  for (const Endpoint& server : config_.servers) {
    if (tests_.size() == k_max_servers) break;
    const bool is_known = std::ranges::find(tests_, server, &Test::destination) != tests_.end();
    if (!is_known && server.address.family() == config_.servers.front().address.family()) {
      ask(now, Kind::first, server, server);
    }
  }
  go_on(now);
}

void NatDiscovery::ask(Instant now, Kind kind, const Endpoint& destination, const Endpoint& source) {
  Test test{.kind = kind, .transaction = random_transaction(rng_), .destination = destination, .answer = {}};
  std::array<std::byte, 64> buffer;
  Writer writer(buffer, {.method = Method::binding, .message_class = Class::request, .transaction = test.transaction});
  if (kind == Kind::filter_address) writer.add_u32(Attribute::change_request, k_change_address | k_change_port);
  if (kind == Kind::filter_port) writer.add_u32(Attribute::change_request, k_change_port);
  add_fingerprint(writer);
  // The NAT is nearer than the servers behind it, and the other address of a server as far as the first.
  const IpAddress& measured = primary_ ? primary_->address : destination.address;
  if (const auto started = transactions_.start(now, writer.written(), destination, source, measured)) {
    test.request = *started;
  } else {
    test.state = State::spoiled;
  }
  tests_.push_back(test);
}

void NatDiscovery::handle_datagram(const Received& in) {
  for_each_segment(in, [&](BytesView datagram) { handle_message(in.now, in.remote, datagram); });
}

void NatDiscovery::handle_message(Instant now, const Endpoint& source, BytesView bytes) {
  const auto message = Message::parse(bytes);
  if (is_done_ || !message || message->method() != Method::binding) return;
  if (message->fingerprint() && !has_valid_fingerprint(*message)) return;
  if (message->message_class() == Class::request) {
    // Our own request came back in from the outside (RFC 5780 §3.4).
    const auto test = std::ranges::find(tests_, message->transaction(), &Test::transaction);
    if (test == tests_.end() || test->kind != Kind::hairpin || test->state != State::waiting) return;
    test->state = State::answered;
    transactions_.cancel(test->request);
  } else if (message->message_class() == Class::success || message->message_class() == Class::error) {
    if (!is_unchanged(*message, source)) {
      const auto request = transactions_.find(message->header(), source);
      if (!request) return;
      Test& test = *std::ranges::find(tests_, *request, &Test::request);
      test.rtt = transactions_.finish(now, *request).rtt;
      handle_answered(test, *message);
    }
  } else {
    return;
  }
  go_on(now);
}

bool NatDiscovery::is_unchanged(const Message& message, const Endpoint& source) {
  const auto test = std::ranges::find(tests_, message.transaction(), &Test::transaction);
  if (test == tests_.end() || test->state != State::waiting || source != test->destination) return false;
  if (test->kind != Kind::filter_address && test->kind != Kind::filter_port) return false;
  test->state = State::spoiled;
  transactions_.cancel(test->request);
  return true;
}

void NatDiscovery::handle_answered(Test& test, const Message& message) {
  const auto answer = message.message_class() == Class::success ? read_binding(message)
                                                                : Result<BindingAnswer>(fail(Errc::stun_refused));
  // Our own mapped address answers nothing: what seems to is another's.
  test.state = answer && test.kind != Kind::hairpin ? State::answered : State::spoiled;
  if (answer) test.answer = *answer;
}

void NatDiscovery::handle_timeout(Instant now) {
  transactions_.handle_timeout(now);
  bool has_expired = false;
  while (const auto expired = transactions_.poll_expired()) {
    std::ranges::find(tests_, *expired, &Test::request)->state = State::silent;
    has_expired = true;
  }
  if (has_expired) go_on(now);
}

std::optional<Transmit> NatDiscovery::poll_transmit(Instant, MutableBytes out) {
  return transactions_.poll_transmit(out);
}

std::optional<NatDiscovery::Event> NatDiscovery::poll_event() { return std::exchange(event_, std::nullopt); }

void NatDiscovery::go_on(Instant now) {
  if (is_done_) return;
  const auto can_lead = [&](const Test& test) {
    if (test.kind != Kind::first || test.state != State::answered || !test.answer.other_address) return false;
    // A server that does not know where its answers come from is behind a NAT of its own.
    const bool knows_itself = test.answer.response_origin.value_or(test.destination) == test.destination;
    const Endpoint& other = *test.answer.other_address;
    return knows_itself && other.address != test.destination.address && other.port != test.destination.port &&
           other.address.family() == test.destination.address.family() && is_usable(other, config_.address_policy);
  };
  const auto leader = primary_ ? tests_.end() : std::ranges::find_if(tests_, can_lead);
  if (leader != tests_.end()) {
    const Test first = *leader;  // what follows adds to the tests
    begin_with(now, first);
  }
  // Mapping comes after filtering (RFC 5780 §4.5): a packet to the other address would open the way that filtering asks
  // about.
  const bool is_natted = mapped_ && mapped_ != config_.local;
  const bool has_filtered = primary_ && has_ended(Kind::filter_address) && has_ended(Kind::filter_port);
  if (has_filtered && is_natted && test_of(Kind::mapping_address) == nullptr) {
    const Endpoint to{other_->address, primary_->port};
    ask(now, Kind::mapping_address, to, to);
  }
  const Test* const second = test_of(Kind::mapping_address);
  if (second != nullptr && second->state == State::answered && second->answer.mapped != *mapped_ &&
      test_of(Kind::mapping_address_port) == nullptr) {
    ask(now, Kind::mapping_address_port, *other_, *other_);
  }
  const auto answered = std::ranges::find(tests_, State::answered, &Test::state);
  if (!mapped_ && answered != tests_.end()) mapped_ = answered->answer.mapped;
  if (mapped_ && mapped_ != config_.local && is_usable(*mapped_, config_.address_policy) &&
      test_of(Kind::hairpin) == nullptr) {
    ask(now, Kind::hairpin, *mapped_, *mapped_);
  }
  if (std::ranges::find(tests_, State::waiting, &Test::state) == tests_.end()) {
    is_done_ = true;
    event_ = behaviour();
  }
}

void NatDiscovery::begin_with(Instant now, const Test& first) {
  primary_ = first.destination;
  other_ = first.answer.other_address;
  mapped_ = first.answer.mapped;
  ask(now, Kind::filter_address, *primary_, *other_);
  ask(now, Kind::filter_port, *primary_, {primary_->address, other_->port});
  // If the other address is one of the servers, we have sent to it already: its packets come in whatever the NAT
  // filters.
  if (std::ranges::find(config_.servers, other_->address, &Endpoint::address) == config_.servers.end()) return;
  for (Test& test : tests_) {
    if (test.kind != Kind::filter_address && test.kind != Kind::filter_port) continue;
    transactions_.cancel(test.request);
    test.state = State::spoiled;
  }
}

bool NatDiscovery::has_ended(Kind kind) const {
  const Test* const test = test_of(kind);
  return test != nullptr && test->state != State::waiting;
}

const NatDiscovery::Test* NatDiscovery::test_of(Kind kind) const {
  const auto test = std::ranges::find(tests_, kind, &Test::kind);
  return test == tests_.end() ? nullptr : &*test;
}

NatBehaviour NatDiscovery::behaviour() const {
  NatBehaviour found;
  for (const Test& test : tests_) {
    if (test.kind != Kind::first || test.state != State::answered) continue;
    for (const NatObservation& earlier : found.observations) {
      if (earlier.mapped == test.answer.mapped && earlier.server.address != test.destination.address &&
          is_usable(earlier.mapped, config_.address_policy)) {
        found.confirmed = earlier.mapped;
      }
    }
    found.observations.push_back({.server = test.destination, .mapped = test.answer.mapped, .rtt = test.rtt});
  }
  found.mapping = mapping_by_one_server();
  if (found.mapping == NatMapping::unknown) found.mapping = mapping_by_servers(found.observations);
  found.filtering = filtering();
  if (const Test* const test = test_of(Kind::hairpin)) {
    if (test->state == State::answered) found.hairpin = NatHairpin::supported;
    if (test->state == State::silent) found.hairpin = NatHairpin::unsupported;
  }
  return found;
}

// RFC 5780 §4.3.
NatMapping NatDiscovery::mapping_by_one_server() const {
  const Test* const second = test_of(Kind::mapping_address);
  if (second == nullptr || second->state != State::answered) return NatMapping::unknown;
  if (second->answer.mapped == *mapped_) return NatMapping::endpoint_independent;
  const Test* const third = test_of(Kind::mapping_address_port);
  if (third == nullptr || third->state != State::answered) return NatMapping::dependent;
  return third->answer.mapped == second->answer.mapped ? NatMapping::address_dependent
                                                       : NatMapping::address_and_port_dependent;
}

NatMapping NatDiscovery::mapping_by_servers(const std::vector<NatObservation>& observations) const {
  const auto is_local = [&](const NatObservation& seen) { return seen.mapped == config_.local; };
  if (!observations.empty() && std::ranges::all_of(observations, is_local)) return NatMapping::none;
  bool has_two_addresses = false;
  bool depends_on_address = false;
  std::optional<bool> depends_on_port;
  for (const NatObservation& a : observations) {
    for (const NatObservation& b : observations) {
      const bool differs = a.mapped != b.mapped;
      if (a.server.address != b.server.address) {
        has_two_addresses = true;
        depends_on_address = depends_on_address || differs;
      } else if (a.server.port != b.server.port) {
        depends_on_port = depends_on_port.value_or(false) || differs;
      }
    }
  }
  if (depends_on_port.value_or(false)) return NatMapping::address_and_port_dependent;
  if (!has_two_addresses) return NatMapping::unknown;
  if (!depends_on_address) return NatMapping::endpoint_independent;
  return depends_on_port ? NatMapping::address_dependent : NatMapping::dependent;
}

// RFC 5780 §4.4.
NatFiltering NatDiscovery::filtering() const {
  const Test* const second = test_of(Kind::filter_address);
  const Test* const third = test_of(Kind::filter_port);
  if (second == nullptr || third == nullptr || second->state == State::spoiled) return NatFiltering::unknown;
  if (second->state == State::answered) return NatFiltering::endpoint_independent;
  if (third->state == State::spoiled) return NatFiltering::unknown;
  return third->state == State::answered ? NatFiltering::address_dependent : NatFiltering::address_and_port_dependent;
}

}  // namespace dig::stun
