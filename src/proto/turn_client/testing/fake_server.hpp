// SPDX-License-Identifier: Apache-2.0
// A TURN server for tests of the client: answers each message at once, as a script says. It keeps just enough state to
// be told how to misbehave; a real server is another module's business. Test-only.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wire/stun_attributes.hpp"
#include "wire/stun_integrity.hpp"
#include "wire/stun_message.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::turn::testing {

using stun::Attribute;
using stun::Class;
using stun::Method;
using stun::PasswordAlgorithm;

inline constexpr Endpoint k_server{IpAddress::v4({20, 0, 0, 1}), 3478};
inline constexpr Endpoint k_relayed{IpAddress::v4({20, 0, 0, 1}), 50'000};
inline constexpr Endpoint k_mapped{IpAddress::v4({30, 0, 0, 7}), 40'000};
inline constexpr Endpoint k_peer{IpAddress::v4({40, 0, 0, 9}), 7000};
inline const Endpoint k_relayed_v6{*IpAddress::parse("2a00::1"), 50'000};
inline const Endpoint k_peer_v6{*IpAddress::parse("2a00::9"), 7000};

struct Script {
  bool asks_for_credentials = true;
  std::string username = "alice";
  std::string password = "wonderland";
  std::string realm = "example.org";
  std::string nonce = "nonce-1";
  // RFC 8489: a nonce cookie, PASSWORD-ALGORITHMS, MESSAGE-INTEGRITY-SHA256.
  std::optional<stun::SecurityFeatures> features{};
  std::vector<PasswordAlgorithm> algorithms = {PasswordAlgorithm::sha256, PasswordAlgorithm::md5};
  bool omits_algorithms = false;

  std::vector<Endpoint> relayed = {k_relayed};
  std::optional<std::uint16_t> address_error{};  // of IPv6
  std::optional<std::uint32_t> lifetime{};       // granted; nothing: what was wanted
  std::optional<std::uint64_t> reservation_token{};

  std::map<Method, std::uint16_t> refusals{};  // an error response to each request of the method
  bool refuses_unprotected = false;            // such a refusal comes before the challenge
  std::optional<Endpoint> alternate{};
  std::set<IpAddress> forbidden{};  // peers, with 403
  std::vector<std::uint16_t> unknown_attributes{};

  bool omits_integrity = false;
  bool breaks_integrity = false;
  std::function<void(stun::Writer&, Method)> more;             // attributes before the integrity
  std::function<void(stun::Writer&)> after_integrity;          // and behind it
  std::function<void(stun::Writer&, Method)> instead_success;  // the attributes of a success response
};

class FakeServer {
 public:
  struct Seen {
    Method method;
    Bytes bytes;
    bool is_authenticated = false;
  };

  explicit FakeServer(Script behaviour) : script(std::move(behaviour)) {}

  // What the server answers to one message from the client, if anything.
  std::optional<Bytes> handle(BytesView bytes) {
    if (!bytes.empty() && starts_channel_data(bytes.front())) {
      const auto decoded = decode_channel_data(bytes);
      if (decoded && channels.contains(decoded->channel)) {
        relayed_out.push_back({channels.at(decoded->channel), to_bytes(decoded->data)});
      } else {
        ++unbound;
      }
      ++channel_messages;
      return std::nullopt;
    }
    const auto message = stun::Message::parse(bytes);
    if (!message) {
      ++garbage;
      return std::nullopt;
    }
    if (message->is(Method::send, Class::indication)) {
      const auto peer = stun::xor_address(*message, Attribute::xor_peer_address);
      relayed_out.push_back({*peer, to_bytes(*message->find(Attribute::data))});
      ++send_indications;
      return std::nullopt;
    }
    if (message->message_class() != Class::request) return std::nullopt;
    return answer(*message);
  }

  // What comes from a peer, as the server sends it to the client.
  Bytes data_from(const Endpoint& peer, BytesView data, bool is_stream = false) const {
    for (const auto& [number, bound] : channels) {
      if (bound != peer) continue;
      Bytes out(k_channel_header_size);
      encode_channel_header(number, data.size(), std::span<std::byte, 4>(out.data(), 4));
      append(out, data);
      if (is_stream) out.resize(out.size() + channel_padding(data.size()));
      return out;
    }
    return data_indication(peer, data);
  }
  static Bytes data_indication(const Endpoint& peer, BytesView data) {
    Bytes out(data.size() + 100);
    stun::Writer writer(out, {.method = Method::data, .message_class = Class::indication, .transaction = {}});
    stun::add_xor_address(writer, Attribute::xor_peer_address, peer, {});
    writer.add(Attribute::data, data);
    out.resize(*writer.finish());
    return out;
  }

  std::size_t count(Method method) const {
    return static_cast<std::size_t>(std::ranges::count(seen, method, &Seen::method));
  }
  const Seen& last(Method method) const {
    return *std::find_if(seen.rbegin(), seen.rend(), [&](const Seen& s) { return s.method == method; });
  }
  std::string nonce() const { return (script.features ? stun::nonce_cookie(*script.features) : "") + script.nonce; }

  Script script;
  std::vector<Seen> seen;  // requests
  std::vector<std::pair<Endpoint, Bytes>> relayed_out;
  std::map<std::uint16_t, Endpoint> channels;
  std::set<IpAddress> permissions;
  std::size_t send_indications = 0;
  std::size_t channel_messages = 0;
  std::size_t unbound = 0;
  std::size_t garbage = 0;

 private:
  bool offers_algorithms() const { return script.features && script.features->password_algorithms; }

  std::optional<Bytes> answer(const stun::Message& request) {
    const bool has_credentials = request.has(Attribute::username) || request.has(Attribute::userhash);
    seen.push_back({request.method(), to_bytes(request.bytes()), has_credentials});
    const auto refusal = script.refusals.find(request.method());
    if (refusal != script.refusals.end() && script.refuses_unprotected) return error(request, refusal->second);
    if (script.asks_for_credentials) {
      if (!has_credentials) return error(request, 401);
      const auto realm_sent = request.find(Attribute::realm);
      if (!realm_sent || as_text(*realm_sent) != script.realm) return error(request, 401);
      const auto nonce_sent = request.find(Attribute::nonce);
      if (!nonce_sent || as_text(*nonce_sent) != nonce()) return error(request, 438);
      if (!is_authentic(request)) return error(request, 401);
    }
    if (refusal != script.refusals.end()) return error(request, refusal->second);
    return success(request);
  }

  // Which key the request was made with.
  stun::LongTermKey key_of(const stun::Message& request) const {
    const auto named = request.find(Attribute::password_algorithm);
    const auto number = named ? stun::decode_password_algorithm(*named) : Result<std::uint16_t>(1);
    return stun::LongTermKey(number == 2 ? PasswordAlgorithm::sha256 : PasswordAlgorithm::md5, script.username,
                             script.realm, script.password);
  }

  bool is_authentic(const stun::Message& request) const {
    const auto key = key_of(request);
    if (script.features && script.features->username_anonymity) {
      const auto hash = request.find(Attribute::userhash);
      if (!hash || !equal(*hash, stun::userhash(script.username, script.realm))) return false;
    } else if (request.find(Attribute::username).has_value() != true ||
               as_text(*request.find(Attribute::username)) != script.username) {
      return false;
    }
    if (!offers_algorithms()) return stun::has_valid_integrity(request, key.view());
    // RFC 8489 §9.2.4: the list must come back as it was sent.
    Bytes listed(64);
    stun::Writer writer(listed, {});
    stun::add_password_algorithms(writer, script.algorithms);
    const auto echoed = request.find(Attribute::password_algorithms);
    return echoed && equal(*echoed, writer.written().subspan(stun::k_header_size + stun::k_attribute_header_size)) &&
           stun::has_valid_integrity_sha256(request, key.view());
  }

  std::optional<Bytes> error(const stun::Message& request, std::uint16_t code) {
    Bytes out(4096);
    stun::Writer writer(
        out, {.method = request.method(), .message_class = Class::error, .transaction = request.transaction()});
    stun::add_error(writer, code, "because");
    if (code == 401 || code == 438) {
      writer.add_text(Attribute::realm, script.realm);
      writer.add_text(Attribute::nonce, nonce());
      if (offers_algorithms() && !script.omits_algorithms) stun::add_password_algorithms(writer, script.algorithms);
    } else {
      if (code == 300 && script.alternate) stun::add_address(writer, Attribute::alternate_server, *script.alternate);
      if (code == 420) stun::add_unknown_attributes(writer, script.unknown_attributes);
    }
    if (script.more) script.more(writer, request.method());
    if (code != 401 && code != 438 && request.has(Attribute::nonce)) protect(writer, request);
    out.resize(*writer.finish());
    return out;
  }

  void protect(stun::Writer& writer, const stun::Message& request) const {
    if (script.omits_integrity) return;
    auto key = key_of(request);
    if (script.breaks_integrity) key = stun::LongTermKey(PasswordAlgorithm::md5, "x", "y", "z");
    if (request.integrity_sha256()) {
      stun::add_integrity_sha256(writer, key.view());
    } else {
      stun::add_integrity(writer, key.view());
    }
    if (script.after_integrity) script.after_integrity(writer);
  }

  std::optional<Bytes> success(const stun::Message& request) {
    Bytes out(4096);
    stun::Writer writer(
        out, {.method = request.method(), .message_class = Class::success, .transaction = request.transaction()});
    if (const auto refused = act(request)) return error(request, *refused);
    if (script.instead_success) {
      script.instead_success(writer, request.method());
    } else {
      add_success(writer, request);
    }
    if (script.more) script.more(writer, request.method());
    if (request.has(Attribute::nonce)) protect(writer, request);
    out.resize(*writer.finish());
    return out;
  }

  std::optional<std::uint16_t> act(const stun::Message& request) {
    std::vector<Endpoint> peers;
    request.for_each(Attribute::xor_peer_address, [&](BytesView value) {
      peers.push_back(*stun::decode_xor_address(value, request.transaction()));
      return true;
    });
    for (const Endpoint& peer : peers) {
      if (script.forbidden.contains(peer.address)) return 403;
    }
    for (const Endpoint& peer : peers) permissions.insert(peer.address);
    if (request.method() == Method::channel_bind) {
      channels[*stun::decode_channel_number(*request.find(Attribute::channel_number))] = peers.at(0);
    }
    return std::nullopt;
  }

  void add_success(stun::Writer& writer, const stun::Message& request) const {
    if (request.method() != Method::allocate && request.method() != Method::refresh) return;
    const std::uint32_t wanted = *stun::decode_u32(*request.find(Attribute::lifetime));
    writer.add_u32(Attribute::lifetime, wanted == 0 ? 0 : script.lifetime.value_or(wanted));
    if (request.method() == Method::refresh) return;
    for (const Endpoint& relayed : script.relayed) {
      stun::add_xor_address(writer, Attribute::xor_relayed_address, relayed, request.transaction());
    }
    stun::add_xor_address(writer, Attribute::xor_mapped_address, k_mapped, request.transaction());
    if (script.address_error) stun::add_address_error(writer, stun::AddressFamily::ipv6, *script.address_error);
    if (script.reservation_token) writer.add_u64(Attribute::reservation_token, *script.reservation_token);
  }
};

}  // namespace dig::turn::testing
