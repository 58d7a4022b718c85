// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/testing/server_schedule.hpp"

#include <algorithm>

#include "proto/turn_server/testing/server_pair.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::turn::testing {
namespace {

using stun::Attribute;
using stun::Class;
using stun::Method;
using Opening = ServerPair::Opening;

Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }

// Hands out the input from its beginning; zeros and nothing once it is used up.
struct Input {
  BytesView rest;

  std::uint8_t byte() {
    const BytesView taken = take(1);
    return taken.empty() ? 0 : std::to_integer<std::uint8_t>(taken.front());
  }
  BytesView take(std::size_t count) {
    const BytesView taken = rest.first(std::min(count, rest.size()));
    rest = rest.subspan(taken.size());
    return taken;
  }
  bool is_rare() { return byte() >= 224; }
};

constexpr std::uint16_t k_first_port = 50001;  // an odd one: its even neighbour is not in the range
constexpr std::uint16_t k_last_port = 50006;   // an even one: nor is this one's odd neighbour

ServerConfig make_config(Input& in) {
  ServerConfig config;
  config.realm = k_schedule_realm;
  config.relay_v4 = IpAddress::parse("203.0.113.1").value();
  config.relay_v6 = IpAddress::parse("2001:db8:1::1").value();
  config.own_addresses = {*config.relay_v4, *config.relay_v6, IpAddress::parse("203.0.113.2").value()};
  config.peers = PeerPolicy({Cidr::parse("192.0.2.0/24").value(), Cidr::parse("198.51.100.0/24").value(),
                             Cidr::parse("2001:db8::/32").value()});
  config.ports = {.first = k_first_port, .last = k_last_port};
  config.limits.max_permissions = 4;
  config.limits.max_channels = 3;
  config.limits.max_port_attempts = 2;
  config.limits.new_peers = {};
  if (in.is_rare()) config.relay_v4.reset();
  if (in.is_rare()) config.relay_v6.reset();
  if (in.is_rare()) config.has_even_port = false;
  if (in.is_rare()) config.ports.shards = 2;
  if (in.byte() % 2 == 1) config.limits.max_channel_number = k_max_channel;
  if (in.byte() % 4 == 1) config.limits.new_peers = {.per_second = 1, .burst = 2};
  if (in.byte() % 4 == 1) {
    config.limits.allocation_bandwidth = {.per_second = 100, .burst = 400};
    config.limits.allocation_volume = 2000;
  }
  return config;
}

QuotaBook::Limits make_quotas(Input& in) {
  if (in.byte() % 2 == 1) return {.per_user = 2, .per_source = 1, .total = 3};
  return {};
}

class Schedule {
 public:
  explicit Schedule(BytesView input) : in_{input}, config_(make_config(in_)), pair_(config_, make_quotas(in_)) {}

  ScheduleResult run() {
    while (!in_.rest.empty() && pair_.result().failure.empty()) {
      pair_.begin_step();
      step();
    }
    pair_.finish();
    return pair_.result();
  }

 private:
  // --- operations -------------------------------------------------------------------------------------------------
  void step() {
    const std::uint8_t operation = in_.byte() % 32;
    const std::uint8_t who = in_.byte();
    const std::size_t client = operation < 5 ? who % k_clients.size() : pick(who);
    const std::string_view own = k_clients[client].user;
    const std::string user(who < 240 ? own : own == "user" ? "other" : "user");
    if (operation < 5) return ask(allocate(client, user));
    if (operation < 7) return ask(refresh(client, user));
    if (operation < 10) return ask(create_permission(client, user));
    if (operation < 13) return ask(bind_channel(client, user));
    if (operation < 15) return send(client);
    if (operation < 18) return channel_data(client);
    if (operation < 21) return peer_data();
    switch (operation) {
      case 21:
      case 22:
        return advance(true);
      case 23:
        return advance(false);
      case 24:
        return shell();
      case 25:
        return bad_proof(client, user);
      case 26:
        return noise(client);
      case 27:
        return batch(client, user);
      case 28:
        return binding(client);
      case 29:
        return repeat(client);
      case 30:
        return close_or_drain(client);
      default:
        return tampered(client);
    }
  }

  // Mostly one that has an allocation: to the others little can happen.
  std::size_t pick(std::uint8_t which) const {
    std::vector<std::size_t> with;
    for (std::size_t i = 0; i < k_clients.size(); ++i) {
      if (model_.has_allocation(i)) with.push_back(i);
    }
    return with.empty() || which >= 224 ? which % k_clients.size() : with[which % with.size()];
  }

  Ask make_ask(std::size_t client, std::string user, Method method) {
    Ask made;
    made.client = client;
    made.method = method;
    made.user = std::move(user);
    ++transactions_;
    for (std::size_t i = 0; i < 4; ++i) made.transaction[i] = static_cast<std::byte>(transactions_ >> (8 * i));
    return made;
  }

  Ask allocate(std::size_t client, std::string user) {
    Ask made = make_ask(client, std::move(user), Method::allocate);
    AllocateWish& wish = made.wish;
    const auto tokens = model_.tokens();
    switch (in_.byte() % 16) {
      case 5:
        wish.even_port = false;
        break;
      case 6:
      case 7:
        wish.even_port = true;
        break;
      case 8:
      case 9:
        wish.token = tokens.empty() ? in_.byte() : tokens[in_.byte() % tokens.size()];
        break;
      case 10:
        wish.additional = 2;
        break;
      case 11:
        wish.family = 2;
        break;
      case 12:
        wish.lifetime = in_.byte() * 16U;
        break;
      case 13:
        made.has_unknown_attribute = true;
        break;
      case 14:
        wish.transport = in_.byte();
        if (wish.transport == 0) wish.transport.reset();
        break;
      case 15: {  // any of them together
        const std::uint8_t which = in_.byte();
        if ((which & 1U) != 0) wish.even_port = (which & 2U) != 0;
        if ((which & 4U) != 0) wish.family = in_.byte() % 4;
        if ((which & 8U) != 0) wish.additional = in_.byte() % 4;
        if ((which & 16U) != 0) wish.token = tokens.empty() ? 1 : tokens.front();
        break;
      }
      default:
        break;
    }
    return made;
  }

  Ask refresh(std::size_t client, std::string user) {
    Ask made = make_ask(client, std::move(user), Method::refresh);
    const std::uint8_t form = in_.byte();
    if ((form & 7U) == 0) made.lifetime = 0;
    if ((form & 7U) == 1) made.lifetime = in_.byte() * 20U;
    if ((form & 24U) == 0) made.family = form >> 5U & 3U;
    return made;
  }

  Peer peer(std::uint8_t which) const {
    constexpr std::array<std::string_view, 7> k_open{"192.0.2.99:7000", "192.0.2.99:7001", "192.0.2.98:7000",
                                                     "192.0.2.97:7000", "198.51.100.7:1",  "[2001:db8::9]:7000",
                                                     "[2001:db8::8]:1"};
    constexpr std::array<std::string_view, 4> k_forbidden{"192.168.1.1:80", "127.0.0.1:22", "[::ffff:192.0.2.99]:7000",
                                                          "203.0.113.2:22"};
    const std::size_t kind = which < 128 ? which % 3U : which % 16U;
    const auto relayed = model_.relayed_addresses();
    const auto port = static_cast<std::uint16_t>(k_first_port + which / 16 % 6);
    if (kind < k_open.size()) return {at(k_open[kind]), false};
    if (kind < k_open.size() + k_forbidden.size()) return {at(k_forbidden[kind - k_open.size()]), true};
    // Where the allocations of this server are; an address of this host like any other if it has none of that family.
    if (kind == 11) return {at("203.0.113.1:3478"), !config_.relay_v4};
    if (kind < 14 && !relayed.empty()) return {relayed[which / 16 % relayed.size()], false};
    if (kind < 15) return {{at("203.0.113.1:0").address, port}, !config_.relay_v4};
    return {{at("[2001:db8:1::1]:0").address, port}, !config_.relay_v6};
  }

  Ask create_permission(std::size_t client, std::string user) {
    Ask made = make_ask(client, std::move(user), Method::create_permission);
    const std::size_t count = std::array{1U, 1U, 2U, 3U, 1U, 2U, 5U, 0U}[in_.byte() % 8];
    for (std::size_t i = 0; i < count; ++i) made.peers.push_back(peer(in_.byte()));
    return made;
  }

  std::uint16_t channel_number() {
    const std::uint8_t which = in_.byte();
    if (which < 224) return static_cast<std::uint16_t>(k_min_channel + which % 4);
    return std::array<std::uint16_t, 8>{0x3FFF, 0x4FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF, 0, 0x4003}[which % 8];
  }

  // One that tells ChannelData from STUN.
  std::uint16_t data_number() { return (channel_number() & 0x3FFFU) | 0x4000U; }

  Ask bind_channel(std::size_t client, std::string user) {
    Ask made = make_ask(client, std::move(user), Method::channel_bind);
    if (!in_.is_rare()) made.number = channel_number();
    if (!in_.is_rare()) made.peers.push_back(peer(in_.byte()));
    return made;
  }

  Bytes payload() {
    Bytes bytes = to_bytes(std::to_string(pair_.step()));
    bytes.resize(in_.byte(), std::byte{'.'});
    return bytes;
  }

  void send(std::size_t client) {
    Bytes buffer(1024);
    stun::Writer writer(buffer, {Method::send, Class::indication, {}});
    const Peer to = peer(in_.byte());
    const Bytes data = payload();
    const std::uint8_t form = in_.byte();
    const bool has_peer = form < 240;
    const bool has_data = form < 224 || form >= 240;
    if (has_peer) stun::add_xor_address(writer, Attribute::xor_peer_address, to.endpoint, {});
    if (has_data) writer.add(Attribute::data, data);
    if ((form & 1U) != 0) writer.add_flag(Attribute::dont_fragment);
    const bool has_unknown = (form & 14U) == 14U;
    if (has_unknown) writer.add_flag(Attribute{0x7FF0});
    // Of two peers the first counts.
    if ((form & 16U) != 0 && has_peer) {
      stun::add_xor_address(writer, Attribute::xor_peer_address, peer(in_.byte()).endpoint, {});
    }
    if (has_peer && has_data && !has_unknown) model_.send(client, to, data, (form & 1U) != 0);
    pair_.route(client, writer.written());
  }

  static Bytes channel_message(std::uint16_t number, BytesView data) {
    Bytes bytes(k_channel_header_size);
    encode_channel_header(number, data.size(), std::span(bytes).first<k_channel_header_size>());
    append(bytes, data);
    return bytes;
  }
  void channel_data(std::size_t client) {
    const std::uint16_t number = data_number();
    Bytes bytes = channel_message(number, payload());
    const std::uint8_t form = in_.byte();
    if (form >= 224) bytes.resize(bytes.size() + form % 6);             // padding, or more than that
    if (form < 32 && bytes.size() > 4) bytes.resize(bytes.size() - 1);  // less than it says
    model_.channel_data(client, bytes);
    pair_.route(client, bytes);
  }

  void peer_data() {
    const auto relays = model_.open_relays();
    const std::uint8_t which = in_.byte();
    const RelayId relay = relays.empty() || which >= 248 ? RelayId{9999} : relays[which % relays.size()];
    const Endpoint from = peer(in_.byte()).endpoint;
    const Bytes data = payload();
    const std::uint16_t segment = in_.byte() % 4 == 0 && !data.empty() ? 32 : 0;
    for (std::size_t at = 0; segment != 0 && at < data.size(); at += segment) {
      model_.peer_data(relay, from, BytesView(data).subspan(at, std::min<std::size_t>(segment, data.size() - at)));
    }
    if (segment == 0) model_.peer_data(relay, from, data);
    pair_.route_peer(relay, from, data, segment);
  }

  // Time passes; the timer comes when it is due, or not yet.
  void advance(bool has_timer) {
    constexpr std::array<std::int64_t, 16> k_milliseconds{1000,   1000,    1000,    2000,   2000,   5000,
                                                          10'000, 29'000,  30'000,  30'000, 31'000, 60'000,
                                                          60'000, 100'000, 300'000, 601'000};
    constexpr std::array<std::int64_t, 8> k_late{1, 500, 999, 1000, 30'000, 299'999, 300'000, 600'000};
    const std::uint8_t which = in_.byte();
    pair_.pass(std::chrono::milliseconds(has_timer ? k_milliseconds[which % 16] : k_late[which % 8]), has_timer);
  }

  // What the next openings of ports come to, or an answer that was held back.
  void shell() {
    const std::uint8_t which = in_.byte();
    constexpr std::array k_ends{Opening::works, Opening::port_in_use, Opening::fails};
    if (which % 2 == 1 && pair_.answer_held(k_ends[which / 2 % 3])) return;
    pair_.plan_opening(static_cast<Opening>(which / 2 % 4));
  }

  void bad_proof(std::size_t client, const std::string& user) {
    const auto proof = static_cast<Proof>(1 + in_.byte() % (static_cast<std::uint8_t>(Proof::count) - 1U));
    Ask made = refresh(client, user);
    const std::uint8_t which = in_.byte();
    if (which % 4 == 1) made = allocate(client, user);
    if (which % 4 == 2) made = create_permission(client, user);
    if (which % 4 == 3) made = bind_channel(client, user);
    made.proof = proof;
    ask(std::move(made));
  }

  // Bytes that nobody can have authenticated: no more than one small answer may come of them.
  void noise(std::size_t client) {
    Bytes bytes;
    const std::uint8_t form = in_.byte();
    if (form % 2 == 0) {  // a well-formed message in its outside
      bytes.resize(stun::k_header_size);
      const auto method = static_cast<Method>(form / 2 % 16);
      const stun::Writer writer(bytes, {method, static_cast<Class>(in_.byte() % 4), {}});
      append(bytes, in_.take(in_.byte() / 4 * 4));
      bytes[3] = static_cast<std::byte>(bytes.size() - stun::k_header_size);
    } else {
      bytes = to_bytes(in_.take(in_.byte()));
    }
    // Indications need no credentials; send() has those.
    if (bytes.size() > 1 && bytes[0] == std::byte{0} && bytes[1] == std::byte{0x16}) bytes[1] = std::byte{0x17};
    if (bytes.empty() || !starts_channel_data(bytes.front())) return pair_.route_stranger(client, bytes);
    model_.channel_data(client, bytes);
    pair_.route(client, bytes);
  }
  // One bit of a request is not what it was.
  void tampered(std::size_t client) {
    if (!last_[client]) return;
    Bytes bytes = last_[client]->bytes;
    const std::size_t bit = (std::size_t{in_.byte()} << 8U | in_.byte()) % (bytes.size() * 8);
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    pair_.route_stranger(client, bytes);
  }

  // Several messages in one batch; the request in the middle may end the allocation.
  void batch(std::size_t client, const std::string& user) {
    if (pair_.nonce(client).empty()) ask(make_ask(client, user, Method::refresh));
    Ask middle = complete(refresh(client, user));
    const auto message = [&](std::size_t size) { return channel_message(data_number(), Bytes(size, std::byte{'b'})); };
    const Bytes first = message(middle.bytes.size() - k_channel_header_size);
    const Bytes last = message(5);
    Bytes whole = first;
    append(whole, middle.bytes);
    append(whole, last);
    model_.channel_data(client, first);
    expect(middle);
    model_.channel_data(client, last);
    pair_.route(client, whole, static_cast<std::uint16_t>(middle.bytes.size()));
  }

  void binding(std::size_t client) {
    Bytes buffer(256);
    const std::uint8_t form = in_.byte();
    const auto message_class = static_cast<Class>(form >= 224 ? form % 4 : 0);
    const bool has_unknown = (form & 12U) == 12U;
    const bool has_fingerprint = (form & 1U) != 0;
    stun::Writer writer(buffer, {Method::binding, message_class, {}});
    if ((form & 16U) != 0) writer.add(Attribute::software, in_.take(in_.byte() % 64));
    if (has_unknown) writer.add_flag(Attribute{0x7FF0});
    if (has_fingerprint) stun::add_fingerprint(writer);
    Bytes bytes = to_bytes(writer.written());
    const bool is_broken = has_fingerprint && (form & 2U) != 0;
    if (is_broken) bytes.back() ^= std::byte{1};
    const Endpoint& remote = pair_.path(client).remote;
    const std::size_t address = attribute_size(remote.address.is_v4() ? 8 : 20);
    const std::size_t answer = stun::k_header_size + (has_unknown ? attribute_size(4) + attribute_size(2) : address) +
                               (has_fingerprint ? attribute_size(4) : 0);
    const std::string what = has_unknown ? "binding 420" : "binding ok, mapped " + remote.to_string();
    const std::size_t times = in_.is_rare() ? 12 : 1;  // more than an unverified address is answered in a second
    for (std::size_t i = 0; i < times; ++i) {
      pair_.expect_size(answer);
      if (message_class == Class::request && !is_broken) {
        model_.answer_stranger(client, what, bytes.size(), answer);
      }
      pair_.route(client, bytes);
    }
  }

  void repeat(std::size_t client) {
    if (!last_[client]) return;
    expect(*last_[client]);
    pair_.route(client, last_[client]->bytes);
  }

  void close_or_drain(std::size_t client) {
    const std::uint8_t which = in_.byte();
    if (which >= 253) {
      const auto alternate = which % 2 == 0 ? std::optional(at("198.51.100.9:3478")) : std::nullopt;
      pair_.drain(alternate);
    } else if (which % 4 == 0) {
      pair_.close(client);
    }
  }

  // --- requests ---------------------------------------------------------------------------------------------------
  void ask(Ask wanted) {
    if (pair_.nonce(wanted.client).empty() && wanted.proof != Proof::none) {
      Ask first = make_ask(wanted.client, wanted.user, wanted.method);
      first.proof = Proof::none;
      ask(std::move(first));
      if (pair_.nonce(wanted.client).empty()) return;  // the server has answered this address often enough
    }
    Ask& last = last_[wanted.client].emplace(complete(std::move(wanted)));
    expect(last);
    pair_.route(last.client, last.bytes);
  }
  Ask complete(Ask made) {
    made.nonce = pair_.nonce(made.client);
    made.nonce_made = pair_.nonce_made(made.client);
    if (made.nonce.empty()) made.proof = Proof::none;
    if (made.proof == Proof::broken_nonce) made.nonce.back() = made.nonce.back() == 'A' ? 'B' : 'A';
    if (made.proof == Proof::foreign_nonce) made.nonce = pair_.nonce((made.client + 1) % k_clients.size());
    made.bytes = encode(made, k_clients[made.client].habit);
    return made;
  }
  // Has the model say what comes of a request.
  void expect(const Ask& ask) {
    const std::string name(method_name(ask.method));
    if (const int code = refusal_of_proof(ask, pair_.now(), config_.limits.nonce_lifetime)) {
      const std::size_t answer = stranger_answer_size(code, NonceMaker::size);
      pair_.expect_size(answer);
      return model_.answer_stranger(ask.client, name + " " + std::to_string(code), ask.bytes.size(), answer);
    }
    model_.prove(ask.client);
    const ServerModel::Asker asker{ask.client, ask.user, ask.transaction};
    if (ask.has_unknown_attribute) return model_.refuse(asker, name, 420);
    const auto first_peer = ask.peers.empty() ? std::nullopt : std::optional(ask.peers.front());
    if (ask.method == Method::allocate) return model_.allocate(asker, ask.wish);
    if (ask.method == Method::refresh) return model_.refresh(asker, ask.lifetime, ask.family);
    if (ask.method == Method::create_permission) return model_.create_permission(asker, ask.peers);
    model_.bind_channel(asker, ask.number, first_peer);
  }

  Input in_;
  ServerConfig config_;
  ServerPair pair_;
  ServerModel& model_ = pair_.model();
  std::array<std::optional<Ask>, k_clients.size()> last_;
  std::uint32_t transactions_ = 0;
};

}  // namespace

ScheduleResult run_server_schedule(BytesView input) { return Schedule(input).run(); }

}  // namespace dig::turn::testing
