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

bool is_link_local_v6(const IpAddress& address) {  // fe80::/10
  return !address.is_v4() && address.octets()[0] == 0xFE && (address.octets()[1] & 0xC0) == 0x80;
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

Multiaddr Multiaddr::tcp(const Endpoint& endpoint) {
  Bytes binary;
  const auto add = [&](Protocol protocol, BytesView value) {
    append_component(binary, *multiaddr::find_protocol(static_cast<std::uint64_t>(protocol)), value);
  };
  const IpAddress& address = endpoint.address;
  if (address.scope() != 0) add(Protocol::ip6zone, as_bytes(std::to_string(address.scope())));
  add(address.is_v4() ? Protocol::ip4 : Protocol::ip6, address.bytes());
  const std::array port = {static_cast<std::byte>(endpoint.port >> 8), static_cast<std::byte>(endpoint.port)};
  add(Protocol::tcp, port);
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

Result<Endpoint> Multiaddr::tcp_endpoint() const {
  std::vector<Component> all = components();
  if (!all.empty() && all.back().protocol == Protocol::p2p) all.pop_back();
  const auto not_dialable = [&](std::string_view why) { return fail(Errc::address_not_dialable, why); };
  std::uint32_t scope = 0;
  if (!all.empty() && all.front().protocol == Protocol::ip6zone) {
    const auto index = parse_decimal(as_text(all.front().value), 0xFFFFFFFF);
    if (!index || *index == 0) return not_dialable("the zone must be the index of an interface: " + to_string());
    scope = static_cast<std::uint32_t>(*index);
    all.erase(all.begin());
  }
  const bool is_ip = !all.empty() && (all[0].protocol == Protocol::ip4 || all[0].protocol == Protocol::ip6);
  if (!is_ip || all.size() != 2 || all[1].protocol != Protocol::tcp) return not_dialable(to_string());
  DIG_TRY(IpAddress address, IpAddress::from_bytes(all[0].value));
  if (is_link_local_v6(address) && scope == 0)
    return not_dialable("a link-local address needs ip6zone: " + to_string());
  if (!address.is_v4()) address = IpAddress::v6(address.octets(), scope);
  return Endpoint{address, port_of(all[1].value)};
}

std::optional<Multiaddr::DnsTcp> Multiaddr::dns_tcp() const {
  const std::vector<Component> all = components();
  const bool has_peer = !all.empty() && all.back().protocol == Protocol::p2p;
  if (all.size() != (has_peer ? 3U : 2U) || all[1].protocol != Protocol::tcp) return std::nullopt;
  const Protocol kind = all[0].protocol;
  if (kind != Protocol::dns && kind != Protocol::dns4 && kind != Protocol::dns6) return std::nullopt;
  return DnsTcp{kind, all[0].to_string(), port_of(all[1].value)};
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
