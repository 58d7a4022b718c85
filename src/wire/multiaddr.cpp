// SPDX-License-Identifier: Apache-2.0
#include "wire/multiaddr.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"
#include "base/decimal.hpp"
#include "base/uvarint.hpp"
#include "wire/multiaddr_protocols.hpp"

namespace dig {
namespace {

using multiaddr::ProtocolInfo;

// Whether each component may follow the one before it; text and bytes go through the same rules.
class Grammar {
 public:
  Result<void> accept(const ProtocolInfo& info, BytesView value) {
    if (++count_ > Multiaddr::max_components) return fail(Errc::oversized, "too many components");
    if ((info.after & stage_) == 0) return fail(Errc::malformed, std::string(info.name) + " may not stand here");
    stage_ = info.becomes;
    if (info.protocol == Protocol::p2p_circuit && std::exchange(has_circuit_, true)) {
      return fail(Errc::malformed, "a relay behind a relay");
    }
    if (info.protocol == Protocol::p2p) {
      if (has_circuit_ && equal(value, relay_)) return fail(Errc::malformed, "a relay that relays to itself");
      relay_ = to_bytes(value);
    }
    return {};
  }
  [[nodiscard]] Result<void> finish() const {
    if (stage_ == multiaddr::at_start) return fail(Errc::malformed, "an empty address");
    if (stage_ == multiaddr::at_zone) return fail(Errc::malformed, "a zone without an address");
    return {};
  }

 private:
  unsigned stage_ = multiaddr::at_start;
  std::size_t count_ = 0;
  bool has_circuit_ = false;
  Bytes relay_;  // the last peer named
};

struct RawComponent {
  const ProtocolInfo* info;
  BytesView value;
};

Result<RawComponent> read_component(ByteReader& reader) {
  DIG_TRY(const std::uint64_t code, read_uvarint(reader));
  const ProtocolInfo* info = multiaddr::find_protocol(code);
  if (info == nullptr) return fail(Errc::unsupported, "protocol code " + std::to_string(code));
  std::uint64_t size = 0;
  if (const auto fixed = multiaddr::fixed_size(info->kind)) {
    size = *fixed;
  } else {
    DIG_TRY(size, read_uvarint(reader));
    if (size > Multiaddr::max_size) return fail(Errc::oversized, "a value longer than its limit");
  }
  DIG_TRY(const BytesView value, reader.bytes(static_cast<std::size_t>(size)));
  return RawComponent{info, value};
}

void append_component(Bytes& out, const ProtocolInfo& info, BytesView value) {
  write_uvarint(out, static_cast<std::uint64_t>(info.protocol));
  if (!multiaddr::fixed_size(info.kind)) write_uvarint(out, value.size());
  append(out, value);
}

// Takes "/segment" off the front of the text.
Result<std::string_view> take_segment(std::string_view& text) {
  if (!text.starts_with('/')) return fail(Errc::malformed, "an address starts with a slash");
  text.remove_prefix(1);
  const std::string_view segment = text.substr(0, text.find('/'));
  if (segment.empty()) return fail(Errc::malformed, "an empty part between slashes");
  text.remove_prefix(segment.size());
  return segment;
}

Result<Bytes> parse_components(std::string_view text) {
  if (text.size() > Multiaddr::max_text_size) return fail(Errc::oversized, "the text is too long");
  Bytes binary;
  Grammar grammar;
  while (!text.empty()) {
    DIG_TRY(const std::string_view name, take_segment(text));
    const ProtocolInfo* info = multiaddr::find_protocol(name);
    if (info == nullptr) return fail(Errc::unsupported, "protocol " + std::string(name.substr(0, 32)));
    Bytes value;
    if (info->kind != multiaddr::ValueKind::none) {
      if (text.empty()) return fail(Errc::malformed, std::string(name) + " needs a value");
      DIG_TRY(const std::string_view value_text, take_segment(text));
      DIG_TRY(value, multiaddr::parse_value(info->kind, value_text));
    }
    DIG_CHECK(grammar.accept(*info, value));
    append_component(binary, *info, value);
  }
  DIG_CHECK(grammar.finish());
  if (binary.size() > Multiaddr::max_size) return fail(Errc::oversized, "the address is too long");
  return binary;
}

std::uint16_t port_of(BytesView value) { return ByteReader(value).u16().value_or(0); }

using Components = std::span<const Multiaddr::Component>;

// Takes the first component off the others if it is of the protocol.
const Multiaddr::Component* take(Components& rest, Protocol protocol) {
  if (rest.empty() || rest.front().protocol != protocol) return nullptr;
  const Multiaddr::Component* const taken = &rest.front();
  rest = rest.subspan(1);
  return taken;
}

bool is_link_local_v6(const IpAddress& address) {  // fe80::/10
  return !address.is_v4() && address.octets()[0] == 0xFE && (address.octets()[1] & 0xC0) == 0x80;
}

// Errors are the beginnings of sentences that end with the address.
using TargetError = std::unexpected<std::string_view>;

std::expected<IpAddress, std::string_view> take_ip(Components& rest) {
  std::uint32_t scope = 0;
  if (const auto* zone = take(rest, Protocol::ip6zone)) {
    const auto index = parse_decimal(as_text(zone->value), 0xFFFFFFFF);
    if (!index || *index == 0) return TargetError("the zone must be the index of an interface: ");
    scope = static_cast<std::uint32_t>(*index);
  }
  const auto address = IpAddress::from_bytes(rest.front().value).value_or(IpAddress());
  rest = rest.subspan(1);
  if (is_link_local_v6(address) && scope == 0) return TargetError("a link-local address needs ip6zone: ");
  return address.is_v4() ? address : IpAddress::v6(address.octets(), scope);
}

// RFC 9112 §3.2: the port stands there unless it is the usual one of the scheme.
std::string http_host_of(std::string host, std::uint16_t port, bool is_secure) {
  if (host.contains(':')) host = "[" + host + "]";
  return port == (is_secure ? 443 : 80) ? host : host + ":" + std::to_string(port);
}

struct TcpRemote {
  std::variant<Endpoint, Multiaddr::DnsTcp> remote;
  std::string host;
  std::uint16_t port = 0;
};

std::expected<TcpRemote, std::string_view> take_tcp_remote(Components& rest) {
  constexpr std::array k_names = {Protocol::dns, Protocol::dns4, Protocol::dns6};
  constexpr std::array k_addresses = {Protocol::ip4, Protocol::ip6, Protocol::ip6zone};
  if (rest.empty()) return TargetError("");
  const Protocol first = rest.front().protocol;
  TcpRemote found;
  IpAddress address;
  const bool is_name = std::ranges::find(k_names, first) != k_names.end();
  if (is_name) {
    found.host = take(rest, first)->to_string();
  } else if (std::ranges::find(k_addresses, first) != k_addresses.end()) {
    DIG_TRY(address, take_ip(rest));
    found.host = address.to_string();
  }
  const auto* const tcp = take(rest, Protocol::tcp);
  if (tcp == nullptr || found.host.empty()) return TargetError("");
  found.port = port_of(tcp->value);
  if (is_name) {
    found.remote = Multiaddr::DnsTcp{first, found.host, found.port};
  } else {
    found.remote = Endpoint{address, found.port};
  }
  return found;
}

std::expected<Multiaddr::StreamTarget, std::string_view> read_stream_target(Components rest) {
  using Carrier = Multiaddr::Carrier;
  if (!rest.empty() && rest.back().protocol == Protocol::p2p) rest = rest.first(rest.size() - 1);
  DIG_TRY(TcpRemote tcp, take_tcp_remote(rest));
  Multiaddr::StreamTarget target{.remote = std::move(tcp.remote)};
  if (rest.empty()) return target;
  const bool is_tls = take(rest, Protocol::tls) != nullptr;
  if (const auto* const sni = is_tls ? take(rest, Protocol::sni) : nullptr) tcp.host = sni->to_string();
  if (tcp.host.contains('*')) return TargetError("a wildcard is no server: ");
  const bool is_secure = is_tls || (!rest.empty() && rest.front().protocol == Protocol::wss);
  if (take(rest, is_secure && !is_tls ? Protocol::wss : Protocol::ws) == nullptr || !rest.empty()) {
    return TargetError("");
  }
  target.carrier = is_secure ? Carrier::secure_websocket : Carrier::websocket;
  target.http_host = http_host_of(tcp.host, tcp.port, is_secure);
  if (is_secure) target.tls_name = std::move(tcp.host);
  return target;
}

}  // namespace

std::string_view protocol_name(Protocol protocol) noexcept {
  const ProtocolInfo* info = multiaddr::find_protocol(static_cast<std::uint64_t>(protocol));
  return info == nullptr ? std::string_view("unknown") : info->name;
}

std::string Multiaddr::Component::to_string() const {
  const ProtocolInfo* info = multiaddr::find_protocol(static_cast<std::uint64_t>(protocol));
  return info == nullptr ? std::string() : multiaddr::print_value(info->kind, value);
}

Result<Multiaddr> Multiaddr::parse(std::string_view text) {
  const Result<Bytes> binary = parse_components(text);
  if (binary) return Multiaddr(std::string(as_text(*binary)));
  if (binary.error().code() == Errc::unsupported) return std::unexpected(binary.error());
  return fail(Errc::bad_multiaddr, binary.error().detail());
}

Result<Multiaddr> Multiaddr::from_bytes(BytesView bytes) {
  if (bytes.size() > max_size) return fail(Errc::oversized, "the address is too long");
  ByteReader reader(bytes);
  Grammar grammar;
  while (!reader.empty()) {
    DIG_TRY(const RawComponent component, read_component(reader));
    DIG_CHECK(multiaddr::check_value(component.info->kind, component.value));
    DIG_CHECK(grammar.accept(*component.info, component.value));
  }
  DIG_CHECK(grammar.finish());
  return Multiaddr(std::string(as_text(bytes)));
}

Multiaddr Multiaddr::tcp(const Endpoint& endpoint, Carrier carrier) {
  Bytes binary;
  const auto add = [&](Protocol protocol, BytesView value) {
    append_component(binary, *multiaddr::find_protocol(static_cast<std::uint64_t>(protocol)), value);
  };
  const IpAddress& address = endpoint.address;
  if (address.scope() != 0) add(Protocol::ip6zone, as_bytes(std::to_string(address.scope())));
  add(address.is_v4() ? Protocol::ip4 : Protocol::ip6, address.bytes());
  const std::array port = {static_cast<std::byte>(endpoint.port >> 8), static_cast<std::byte>(endpoint.port)};
  add(Protocol::tcp, port);
  if (carrier == Carrier::secure_websocket) add(Protocol::tls, {});
  if (carrier != Carrier::plain) add(Protocol::ws, {});
  return Multiaddr(std::string(as_text(binary)));
}

std::string Multiaddr::to_string() const {
  std::string text;
  for (const Component& component : components()) {
    text.append("/").append(protocol_name(component.protocol));
    if (const std::string value = component.to_string(); !value.empty()) text.append("/").append(value);
  }
  return text;
}

std::vector<Multiaddr::Component> Multiaddr::components() const {
  std::vector<Component> components;
  ByteReader reader(bytes());
  while (!reader.empty()) {
    const Result<RawComponent> component = read_component(reader);
    if (!component) break;  // cannot be: the bytes were checked when the address was made
    components.push_back({component->info->protocol, component->value});
  }
  return components;
}

bool Multiaddr::has(Protocol protocol) const {
  const std::vector<Component> all = components();
  return std::any_of(all.begin(), all.end(),
                     [&](const Component& component) { return component.protocol == protocol; });
}

std::optional<PeerId> Multiaddr::peer_id() const {
  const std::vector<Component> all = components();
  if (all.empty() || all.back().protocol != Protocol::p2p) return std::nullopt;
  Result<PeerId> peer = PeerId::from_bytes(all.back().value);
  if (!peer) return std::nullopt;
  return *std::move(peer);
}

std::optional<Multiaddr::Relay> Multiaddr::relay() const {
  ByteReader reader(bytes());
  std::optional<Multiaddr> before;
  while (!reader.empty()) {
    const std::size_t begins = binary_.size() - reader.remaining();
    const Result<RawComponent> component = read_component(reader);
    if (!component) return std::nullopt;
    const Protocol protocol = component->info->protocol;
    if (before && protocol != Protocol::p2p) return std::nullopt;
    if (protocol == Protocol::p2p_circuit) before = Multiaddr(binary_.substr(0, begins));
  }
  const auto peer = before ? before->peer_id() : std::nullopt;
  return peer ? std::optional(Relay{*peer, *std::move(before)}) : std::nullopt;
}

Multiaddr Multiaddr::without_peer_id() const {
  ByteReader reader(bytes());
  std::size_t last_begins = 0;
  Protocol last = Protocol::ip4;
  while (!reader.empty()) {
    last_begins = binary_.size() - reader.remaining();
    const Result<RawComponent> component = read_component(reader);
    if (!component) break;
    last = component->info->protocol;
  }
  return last == Protocol::p2p ? Multiaddr(binary_.substr(0, last_begins)) : *this;
}

Result<Multiaddr> Multiaddr::with_peer_id(const PeerId& peer) const {
  Bytes binary = to_bytes(without_peer_id().bytes());
  append_component(binary, *multiaddr::find_protocol(static_cast<std::uint64_t>(Protocol::p2p)), peer.bytes());
  return from_bytes(binary);
}

Result<Multiaddr::StreamTarget> Multiaddr::stream_target() const {
  const std::vector<Component> all = components();
  const auto target = read_stream_target(all);
  if (!target) return fail(Errc::address_not_dialable, std::string(target.error()) + to_string());
  return *target;
}

Result<Endpoint> Multiaddr::tcp_endpoint() const {
  DIG_TRY(const StreamTarget target, stream_target());
  const auto* const endpoint = std::get_if<Endpoint>(&target.remote);
  if (endpoint == nullptr || target.carrier != Carrier::plain) return fail(Errc::address_not_dialable, to_string());
  return *endpoint;
}

std::optional<Multiaddr::DnsTcp> Multiaddr::dns_tcp() const {
  const auto target = stream_target();
  const auto* const name = target ? std::get_if<DnsTcp>(&target->remote) : nullptr;
  if (name == nullptr || target->carrier != Carrier::plain) return std::nullopt;
  return *name;
}

std::string Multiaddr::host() const {
  for (const Component& component : components()) {
    const ProtocolInfo* info = multiaddr::find_protocol(static_cast<std::uint64_t>(component.protocol));
    if (info->becomes == multiaddr::at_host) return component.to_string();
  }
  return {};
}

std::optional<std::uint16_t> Multiaddr::port() const {
  for (const Component& component : components()) {
    if (component.protocol == Protocol::tcp || component.protocol == Protocol::udp) return port_of(component.value);
  }
  return std::nullopt;
}

}  // namespace dig
