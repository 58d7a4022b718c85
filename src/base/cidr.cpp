// SPDX-License-Identifier: Apache-2.0
#include "base/cidr.hpp"

#include "base/decimal.hpp"
#include "base/safe_text.hpp"

namespace dig {
namespace {

std::unexpected<Error> bad(std::string_view text) {
  return fail(Errc::invalid_argument, "not a block of addresses like 192.0.2.0/24: " + SafeText(text).str());
}

// The bits of octet `index` that lie within the first `bits` of an address.
std::uint8_t mask_of(unsigned bits, std::size_t index) {
  const auto first = static_cast<unsigned>(8 * index);
  if (bits >= first + 8) return 0xFF;
  return bits <= first ? std::uint8_t{0} : static_cast<std::uint8_t>(0xFF << (8 - (bits - first)));
}

}  // namespace

Result<Cidr> Cidr::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return bad(text);
  const unsigned size = address->is_v4() ? 32 : 128;
  Cidr block;
  block.prefix_ = *address;
  block.bits_ = size;
  if (slash != std::string_view::npos) {
    const auto bits = parse_decimal(text.substr(slash + 1), size);
    if (!bits) return bad(text);
    block.bits_ = static_cast<unsigned>(*bits);
  }
  for (std::size_t i = 0; i < size / 8; ++i) {
    if ((address->octets()[i] & ~mask_of(block.bits_, i)) != 0) return bad(text);
  }
  return block;
}

bool Cidr::contains(const IpAddress& address) const noexcept {
  if (address.family() != prefix_.family()) return false;
  for (std::size_t i = 0; 8 * i < bits_; ++i) {
    if (((address.octets()[i] ^ prefix_.octets()[i]) & mask_of(bits_, i)) != 0) return false;
  }
  return true;
}

std::string Cidr::to_string() const { return prefix_.to_string() + '/' + std::to_string(bits_); }

}  // namespace dig
