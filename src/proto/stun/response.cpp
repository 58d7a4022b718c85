// SPDX-License-Identifier: Apache-2.0
#include "proto/stun/response.hpp"

#include "base/address_class.hpp"

namespace dig::stun {
namespace {

constexpr std::size_t k_max_domain = 255;  // RFC 8489 §14.16

std::optional<Endpoint> address_in(const Message& message, Attribute type) {
  const auto value = message.find(type);
  if (!value) return std::nullopt;
  const auto endpoint = decode_address(*value);
  return endpoint ? std::optional(*endpoint) : std::nullopt;
}

}  // namespace

bool is_usable(const Endpoint& endpoint, AddressPolicy policy) noexcept {
  if (endpoint.port == 0) return false;
  const AddressClass address_class = classify(endpoint.address);
  if (policy == AddressPolicy::global_only) return address_class == AddressClass::global;
  return address_class != AddressClass::unspecified && address_class != AddressClass::multicast &&
         address_class != AddressClass::broadcast;
}

Result<void> check_reflexive(const Endpoint& mapped, AddressPolicy policy) {
  if (is_usable(mapped, policy)) return {};
  return fail(Errc::stun_bad_address,
              mapped.to_string() + " (" + std::string(address_class_name(classify(mapped.address))) + ")");
}

std::optional<std::uint16_t> unknown_required(const Message& message) noexcept {
  for (const Message::Item& item : message.attributes()) {
    if (!is_understood(item.type)) return static_cast<std::uint16_t>(item.type);
  }
  return std::nullopt;
}

Result<ErrorCode> error_of(const Message& message) {
  const auto value = message.find(Attribute::error_code);
  if (!value) return fail(Errc::stun_bad_response, "an error response without ERROR-CODE");
  return decode_error(*value);
}

std::string describe(const ErrorCode& error) {
  std::string text = std::to_string(error.code);
  if (!error.reason.empty()) text.append(" ").append(SafeText(error.reason).str());
  return text;
}

Result<BindingAnswer> read_binding(const Message& success) {
  if (const auto unknown = unknown_required(success)) {
    return fail(Errc::stun_bad_response, "an unknown attribute that must be known: " + std::to_string(*unknown));
  }
  const auto mapped = xor_address(success, Attribute::xor_mapped_address);
  if (!mapped) return fail(Errc::stun_bad_response, "no XOR-MAPPED-ADDRESS");
  DIG_CHECK(check_reflexive(*mapped, AddressPolicy::any_unicast));
  return BindingAnswer{.mapped = *mapped,
                       .response_origin = address_in(success, Attribute::response_origin),
                       .other_address = address_in(success, Attribute::other_address)};
}

std::optional<Alternate> alternate_of(const Message& message, const Endpoint& server, AddressPolicy policy) {
  const auto value = message.find(Attribute::alternate_server);
  if (!value) return std::nullopt;
  const auto alternate = decode_address(*value);
  if (!alternate || alternate->address.family() != server.address.family() || *alternate == server ||
      !is_usable(*alternate, policy)) {
    return std::nullopt;
  }
  const auto domain = message.find(Attribute::alternate_domain);
  return Alternate{.server = *alternate, .domain = domain ? SafeText(as_text(*domain), k_max_domain) : SafeText()};
}

}  // namespace dig::stun
