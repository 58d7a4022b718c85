// SPDX-License-Identifier: Apache-2.0
// A TURN server without a network, and clients that speak to it through the codec alone. Test-only.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/turn_server/server.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::turn::testing {

using stun::Attribute;
using stun::Class;
using stun::Method;

inline Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }
inline IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

// Keeps what the server sends.
class Recorder final : public Sink {
 public:
  struct ToClient {
    ClientPath client;
    Bytes bytes;
    std::size_t padding = 0;
  };
  struct ToPeer {
    RelayId relay;
    Endpoint peer;
    Bytes payload;
    bool dont_fragment = false;
  };
  void to_client(const ClientPath& client, BytesView head, BytesView payload, std::size_t padding) override {
    Bytes bytes = to_bytes(head);
    append(bytes, payload);
    clients.push_back({client, std::move(bytes), padding});
  }
  void to_peer(RelayId relay, const Endpoint& peer, BytesView payload, bool dont_fragment) override {
    peers.push_back({relay, peer, to_bytes(payload), dont_fragment});
  }
  std::deque<ToClient> clients;
  std::deque<ToPeer> peers;
};

// One answer, owning its bytes.
class Answer {
 public:
  explicit Answer(Bytes bytes) : bytes_(std::move(bytes)), message_(stun::Message::parse(bytes_)) {}
  [[nodiscard]] const stun::Message& message() const { return message_.value(); }
  [[nodiscard]] bool is_success() const { return message().message_class() == Class::success; }
  // 0 for a success.
  [[nodiscard]] int error() const {
    const auto value = message().find(Attribute::error_code);
    return value ? stun::decode_error(*value).value().code : 0;
  }
  [[nodiscard]] Endpoint address(Attribute type) const { return stun::xor_address(message(), type).value(); }
  [[nodiscard]] std::uint32_t lifetime() const {
    return stun::decode_u32(*message().find(Attribute::lifetime)).value();
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

 private:
  Bytes bytes_;
  Result<stun::Message> message_;
};

class World {
 public:
  static ServerConfig default_config() {
    ServerConfig config;
    config.realm = "example.org";
    config.relay_v4 = ip("203.0.113.1");
    config.relay_v6 = ip("2001:db8:1::1");
    config.own_addresses = {ip("203.0.113.1"), ip("2001:db8:1::1"), ip("203.0.113.2")};
    // Documentation addresses stand for the Internet here.
    config.peers = PeerPolicy({Cidr::parse("192.0.2.0/24").value(), Cidr::parse("198.51.100.0/24").value(),
                               Cidr::parse("2001:db8::/32").value()});
    return config;
  }

  explicit World(ServerConfig config = default_config(), QuotaBook::Limits quota_limits = {},
                 const CredentialSource* credentials = nullptr)
      : quotas(quota_limits), server(std::move(config), credentials == nullptr ? users : *credentials, quotas, rng) {
    users.add("user", "pass");
    users.add("other", "word");
  }

  // Carries out what the server asks of its shell; `opens` says what the system does with a port. While openings are
  // held nothing is carried out.
  void settle() {
    if (holds_openings) return;
    while (auto event = server.poll_event()) {
      if (const auto* open = std::get_if<OpenRelay>(&*event)) {
        const Result<void> result = opens ? opens(*open) : Result<void>();
        if (result) open_relays[open->relay] = *open;
        server.handle_relay_opened(now, open->relay, result, sink);
      } else if (const auto* close = std::get_if<CloseRelay>(&*event)) {
        open_relays.erase(close->relay);
      } else {
        facts.push_back(std::move(*event));
      }
    }
  }
  void advance(Duration duration) {
    now = now + duration;
    wall.seconds += std::chrono::duration_cast<std::chrono::seconds>(duration).count();
    if (const auto due = server.next_timeout(); due && *due <= now) server.handle_timeout(now);
    settle();
  }
  void send_raw(const ClientPath& client, BytesView bytes, std::uint16_t segment_size = 0) {
    server.route({now, wall, client, bytes, segment_size}, sink);
    settle();
  }
  void send_from_peer(RelayId relay, const Endpoint& peer, BytesView bytes, std::uint16_t segment_size = 0) {
    server.route({now, relay, peer, bytes, segment_size}, sink);
    settle();
  }
  RelayId relay_of(const Endpoint& relayed) const {
    for (const auto& [id, open] : open_relays) {
      if (open.port == relayed.port && (open.family == IpFamily::v4) == relayed.address.is_v4()) return id;
    }
    return {};
  }
  std::optional<Answer> take_answer() {
    if (sink.clients.empty()) return std::nullopt;
    Answer answer(std::move(sink.clients.front().bytes));
    sink.clients.pop_front();
    return answer;
  }
  template <class Fact>
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(facts, [](const ServerEvent& fact) { return std::holds_alternative<Fact>(fact); }));
  }

  Instant now{1000s};
  UnixTime wall{1'700'000'000};
  SeededRng rng{1};
  StaticUsers users{"example.org"};
  Quotas quotas;
  Recorder sink;
  Server server;
  std::map<RelayId, OpenRelay> open_relays;
  std::function<Result<void>(const OpenRelay&)> opens;
  bool holds_openings = false;
  std::vector<ServerEvent> facts;
};

// What a request holds besides credentials.
using Fill = std::function<void(stun::Writer&)>;

class TestClient {
 public:
  explicit TestClient(World& world, std::string_view from = "192.0.2.10:5000",
                      StunTransport transport = StunTransport::udp)
      : path{transport, at("203.0.113.1:3478"), at(from), transport == StunTransport::udp ? 0U : 1U}, world_(world) {}

  // With credentials; learns realm and nonce from a challenge, once.
  Answer request(Method method, const Fill& fill = {}) {
    if (nonce.empty()) learn(method);
    return *exchange(build(method, fill));
  }
  // The first answer to a message.
  std::optional<Answer> exchange(BytesView bytes) {
    world_.sink.clients.clear();
    world_.send_raw(path, bytes);
    return world_.take_answer();
  }
  void learn(Method method = Method::allocate) {
    std::array<std::byte, 512> buffer;
    const stun::Writer writer(buffer, {method, Class::request, next_transaction()});
    const auto challenge = exchange(writer.written());
    ASSERT_TRUE(challenge && challenge->error() == 401);
    realm = as_text(*challenge->message().find(Attribute::realm));
    nonce = as_text(*challenge->message().find(Attribute::nonce));
  }
  Bytes build(Method method, const Fill& fill = {}, std::optional<stun::TransactionId> transaction = {}) {
    Bytes buffer(4096);
    last_transaction = transaction ? *transaction : next_transaction();
    stun::Writer writer(buffer, {method, Class::request, last_transaction});
    if (fill) fill(writer);
    if (uses_userhash) {
      writer.add(Attribute::userhash, stun::userhash(username, realm));
    } else {
      writer.add_text(Attribute::username, username);
    }
    writer.add_text(Attribute::realm, realm);
    writer.add_text(Attribute::nonce, nonce);
    if (uses_sha256) {
      stun::add_password_algorithms(writer, std::array{stun::PasswordAlgorithm::sha256, stun::PasswordAlgorithm::md5});
      stun::add_password_algorithm(writer, stun::PasswordAlgorithm::sha256);
      stun::add_integrity_sha256(writer, key().view());
    } else {
      stun::add_integrity(writer, key().view());
    }
    return to_bytes(writer.written());
  }
  [[nodiscard]] stun::LongTermKey key() const {
    return {uses_sha256 ? stun::PasswordAlgorithm::sha256 : stun::PasswordAlgorithm::md5, username, realm, password};
  }
  [[nodiscard]] bool is_signed(const Answer& answer) const {
    return uses_sha256 ? stun::has_valid_integrity_sha256(answer.message(), key().view())
                       : stun::has_valid_integrity(answer.message(), key().view());
  }

  Answer allocate(const Fill& fill = {}) {
    Answer answer = request(Method::allocate, [&](stun::Writer& writer) {
      stun::add_requested_transport(writer, stun::k_transport_udp);
      if (fill) fill(writer);
    });
    if (answer.is_success()) relayed = answer.address(Attribute::xor_relayed_address);
    return answer;
  }
  Answer permit(std::initializer_list<std::string_view> peers) {
    return request(Method::create_permission, [&](stun::Writer& writer) {
      for (const std::string_view peer : peers) {
        stun::add_xor_address(writer, Attribute::xor_peer_address, at(peer), writer.transaction());
      }
    });
  }
  Answer bind(std::uint16_t channel, const Endpoint& peer) {
    return request(Method::channel_bind, [&](stun::Writer& writer) {
      stun::add_channel_number(writer, channel);
      stun::add_xor_address(writer, Attribute::xor_peer_address, peer, writer.transaction());
    });
  }
  Answer refresh(std::optional<std::uint32_t> lifetime = {}) {
    return request(Method::refresh, [&](stun::Writer& writer) {
      if (lifetime) writer.add_u32(Attribute::lifetime, *lifetime);
    });
  }
  void send_indication(const Endpoint& peer, BytesView data, bool dont_fragment = false) {
    Bytes buffer(data.size() + 128);
    stun::Writer writer(buffer, {Method::send, Class::indication, next_transaction()});
    stun::add_xor_address(writer, Attribute::xor_peer_address, peer, writer.transaction());
    if (dont_fragment) writer.add_flag(Attribute::dont_fragment);
    writer.add(Attribute::data, data);
    world_.send_raw(path, writer.written());
  }
  void send_channel_data(std::uint16_t channel, std::string_view data) {
    Bytes bytes(k_channel_header_size);
    encode_channel_header(channel, data.size(), std::span(bytes).first<k_channel_header_size>());
    append(bytes, as_bytes(data));
    world_.send_raw(path, bytes);
  }
  stun::TransactionId next_transaction() {
    ++transactions_;
    stun::TransactionId id{};
    id[0] = static_cast<std::byte>(transactions_ >> 8U);
    id[1] = static_cast<std::byte>(transactions_);
    id[2] = static_cast<std::byte>(path.remote.port);
    return id;
  }

  ClientPath path;
  std::string username = "user";
  std::string password = "pass";
  std::string realm;
  std::string nonce;
  bool uses_sha256 = false;
  bool uses_userhash = false;
  Endpoint relayed;
  stun::TransactionId last_transaction{};

 private:
  World& world_;
  unsigned transactions_ = 0;
};

}  // namespace dig::turn::testing
