// SPDX-License-Identifier: Apache-2.0
// STUN messages: what parses is written again with the same meaning, and every typed decoder stands any value.
#include <cstdint>
#include <cstdlib>

#include "wire/stun_attributes.hpp"
#include "wire/stun_integrity.hpp"
#include "wire/stun_message.hpp"
#include "wire/turn_channel_data.hpp"

namespace {

using namespace dig::stun;

void decode_everything(const Message& message) {
  for (const Message::Item& item : message.attributes()) {
    std::array<std::uint16_t, 8> types{};
    (void)decode_address(item.value);
    (void)decode_error(item.value);
    (void)decode_address_error(item.value);
    (void)decode_unknown_attributes(item.value, types);
    (void)decode_u32(item.value);
    (void)decode_u64(item.value);
    (void)decode_channel_number(item.value);
    (void)decode_requested_transport(item.value);
    (void)decode_address_family(item.value);
    (void)decode_even_port(item.value);
    (void)decode_icmp(item.value);
    (void)decode_password_algorithms(item.value);
    (void)decode_password_algorithm(item.value);
    (void)features_of_nonce(item.value);
    if (const auto address = decode_xor_address(item.value, message.transaction())) {
      std::array<std::byte, 64> buffer{};
      Writer writer(buffer, message.header());
      add_xor_address(writer, item.type, *address, message.transaction());
      const auto again = Message::parse(writer.written());
      if (again && again->attributes().size() == 1 && xor_address(*again, item.type) != *address) std::abort();
    }
  }
}

void write_again(const Message& message) {
  dig::Bytes buffer(message.bytes().size() + 64);
  Writer writer(buffer, message.header());
  for (const Message::Item& item : message.attributes()) writer.add(item.type, item.value);
  const dig::BytesView key = dig::as_bytes("key");
  add_integrity(writer, key);
  add_integrity_sha256(writer, key);
  add_fingerprint(writer);
  if (!writer.finish()) return;  // the longest messages have no room for more
  const auto again = Message::parse(writer.written());
  if (!again) {
    if (again.error().code() == dig::Errc::oversized) return;  // three attributes more
    std::abort();
  }
  if (again->header() != message.header() || again->attributes().size() != message.attributes().size()) std::abort();
  for (std::size_t i = 0; i < message.attributes().size(); ++i) {
    if (!dig::equal(again->attributes()[i].value, message.attributes()[i].value)) std::abort();
  }
  if (!has_valid_integrity(*again, key) || !has_valid_integrity_sha256(*again, key)) std::abort();
  if (!has_valid_fingerprint(*again)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  if (const auto message = Message::parse(input)) {
    if (!is_stun(input)) std::abort();
    decode_everything(*message);
    write_again(*message);
    (void)has_valid_integrity(*message, input);
    (void)has_valid_integrity_sha256(*message, input);
    (void)has_valid_fingerprint(*message);
  }
  if (const auto channel = dig::turn::decode_channel_data(input)) {
    if (!dig::turn::is_channel_number(channel->channel) || channel->data.size() > size) std::abort();
  }
  return 0;
}
