// SPDX-License-Identifier: Apache-2.0
#include "base/address_class.hpp"

#include <array>
#include <optional>
#include <span>

namespace dig {
namespace {

using Octets = std::array<std::uint8_t, 16>;  // IPv4 uses the first four

struct Block {
  Octets prefix;
  unsigned bits;
  AddressClass address_class;
};

// In each table the first block that contains an address decides; what is in no block is global.
constexpr std::array k_v4_blocks = {
    Block{{0}, 8, AddressClass::unspecified},                  // RFC 791: this host on this network
    Block{{10}, 8, AddressClass::private_use},                 // RFC 1918
    Block{{100, 64}, 10, AddressClass::cgnat},                 // RFC 6598
    Block{{127}, 8, AddressClass::loopback},                   // RFC 1122
    Block{{169, 254}, 16, AddressClass::link_local},           // RFC 3927
    Block{{172, 16}, 12, AddressClass::private_use},           // RFC 1918
    Block{{192, 0, 0}, 24, AddressClass::reserved},            // RFC 6890: protocol assignments, with its two anycasts
    Block{{192, 0, 2}, 24, AddressClass::documentation},       // RFC 5737
    Block{{192, 88, 99}, 24, AddressClass::reserved},          // RFC 7526: the former 6to4 relay anycast
    Block{{192, 168}, 16, AddressClass::private_use},          // RFC 1918
    Block{{198, 18}, 15, AddressClass::benchmarking},          // RFC 2544
    Block{{198, 51, 100}, 24, AddressClass::documentation},    // RFC 5737
    Block{{203, 0, 113}, 24, AddressClass::documentation},     // RFC 5737
    Block{{224}, 4, AddressClass::multicast},                  // RFC 5771
    Block{{255, 255, 255, 255}, 32, AddressClass::broadcast},  // RFC 919
    Block{{240}, 4, AddressClass::reserved},                   // RFC 1112
};

constexpr Octets k_v6_any{};
constexpr Octets k_v6_loopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr Octets k_local_nat64{0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01};

constexpr std::array k_v6_blocks = {
    Block{k_v6_any, 128, AddressClass::unspecified},                        // RFC 4291
    Block{k_v6_loopback, 128, AddressClass::loopback},                      // RFC 4291
    Block{k_local_nat64, 48, AddressClass::private_use},                    // RFC 8215
    Block{{0xFC}, 7, AddressClass::private_use},                            // RFC 4193
    Block{{0xFE, 0x80}, 10, AddressClass::link_local},                      // RFC 4291
    Block{{0xFE, 0xC0}, 10, AddressClass::private_use},                     // RFC 3879: the former site-local addresses
    Block{{0xFF}, 8, AddressClass::multicast},                              // RFC 4291
    Block{{0x20, 0x01, 0x00, 0x02, 0, 0}, 48, AddressClass::benchmarking},  // RFC 5180
    Block{{0x20, 0x01, 0x00}, 23, AddressClass::reserved},                  // RFC 2928: protocol assignments, anycasts
    Block{{0x20, 0x01, 0x0D, 0xB8}, 32, AddressClass::documentation},       // RFC 3849
    Block{{0x3F, 0xFF, 0x00}, 20, AddressClass::documentation},             // RFC 9637
    Block{{0x20}, 3, AddressClass::global},                                 // RFC 4291 §2.4: all global unicast
    Block{k_v6_any, 0, AddressClass::reserved},                             // 100::/64, 5f00::/16 and all unassigned
};

constexpr bool contains(const Octets& prefix, unsigned bits, const Octets& octets) {
  const unsigned whole = bits / 8;
  for (unsigned i = 0; i < whole; ++i) {
    if (prefix[i] != octets[i]) return false;
  }
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFF << (8 - bits % 8));
  return (prefix[whole] & mask) == (octets[whole] & mask);
}

AddressClass look_up(std::span<const Block> blocks, const Octets& octets) {
  for (const Block& block : blocks) {
    if (contains(block.prefix, block.bits, octets)) return block.address_class;
  }
  return AddressClass::global;
}

// Where an IPv6 form keeps its IPv4 address. Teredo stores it with every bit inverted (RFC 4380 §4).
struct Embedding {
  Octets prefix;
  unsigned bits;
  std::size_t offset;
  std::uint8_t inverted = 0;
};

constexpr std::array k_embeddings = {
    Embedding{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 96, 12},  // RFC 4291 §2.5.5.2: v4-mapped
    Embedding{{0x00, 0x64, 0xFF, 0x9B}, 96, 12},                    // RFC 6052: NAT64
    Embedding{k_local_nat64, 48, 12},                               // RFC 8215, in its /96 form
    Embedding{{0x20, 0x02}, 16, 2},                                 // RFC 3056: 6to4
    Embedding{{0x20, 0x01, 0, 0}, 32, 12, 0xFF},                    // RFC 4380: Teredo
    Embedding{k_v6_any, 96, 12},                                    // RFC 4291 §2.5.5.1: v4-compatible
};

std::optional<IpAddress> embedded_v4(const Octets& octets) {
  if (octets == k_v6_any || octets == k_v6_loopback) return std::nullopt;
  for (const Embedding& form : k_embeddings) {
    if (!contains(form.prefix, form.bits, octets)) continue;
    std::array<std::uint8_t, 4> v4{};
    for (std::size_t i = 0; i < 4; ++i) v4[i] = static_cast<std::uint8_t>(octets[form.offset + i] ^ form.inverted);
    return IpAddress::v4(v4);
  }
  return std::nullopt;
}

}  // namespace

std::string_view address_class_name(AddressClass address_class) noexcept {
  switch (address_class) {
    case AddressClass::unspecified:
      return "unspecified";
    case AddressClass::loopback:
      return "loopback";
    case AddressClass::private_use:
      return "private";
    case AddressClass::link_local:
      return "link-local";
    case AddressClass::cgnat:
      return "cgnat";
    case AddressClass::documentation:
      return "documentation";
    case AddressClass::benchmarking:
      return "benchmarking";
    case AddressClass::multicast:
      return "multicast";
    case AddressClass::broadcast:
      return "broadcast";
    case AddressClass::reserved:
      return "reserved";
    case AddressClass::global:
      return "global";
  }
  return "reserved";
}

IpAddress canonical(const IpAddress& address) noexcept {
  if (address.is_v4()) return address;
  return embedded_v4(address.octets()).value_or(IpAddress::v6(address.octets()));
}

AddressClass classify(const IpAddress& address) noexcept {
  const IpAddress plain = canonical(address);
  if (!plain.is_v4()) return look_up(k_v6_blocks, plain.octets());
  const AddressClass found = look_up(k_v4_blocks, plain.octets());
  // The locally used NAT64 prefix may place the IPv4 address elsewhere (RFC 6052 §2.2), so it is never global.
  const bool is_local_nat64 = !address.is_v4() && contains(k_local_nat64, 48, address.octets());
  return is_local_nat64 && found == AddressClass::global ? AddressClass::private_use : found;
}

}  // namespace dig
