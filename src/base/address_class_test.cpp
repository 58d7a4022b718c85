// SPDX-License-Identifier: Apache-2.0
#include "base/address_class.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "base/rng.hpp"

namespace dig {
namespace {

using enum AddressClass;
__extension__ using Number = unsigned __int128;  // the oracle compares ranges of numbers, not prefixes of bytes

struct Range {
  const char* first;
  const char* last;
  AddressClass inside;
  AddressClass before;  // of the address just below `first`, and just above `last`
  AddressClass after;
};

const Range k_v4_ranges[] = {
    {"0.0.0.0", "0.255.255.255", unspecified, broadcast, global},
    {"10.0.0.0", "10.255.255.255", private_use, global, global},
    {"100.64.0.0", "100.127.255.255", cgnat, global, global},
    {"127.0.0.0", "127.255.255.255", loopback, global, global},
    {"169.254.0.0", "169.254.255.255", link_local, global, global},
    {"172.16.0.0", "172.31.255.255", private_use, global, global},
    {"192.0.0.0", "192.0.0.255", reserved, global, global},
    {"192.0.2.0", "192.0.2.255", documentation, global, global},
    {"192.88.99.0", "192.88.99.255", reserved, global, global},
    {"192.168.0.0", "192.168.255.255", private_use, global, global},
    {"198.18.0.0", "198.19.255.255", benchmarking, global, global},
    {"198.51.100.0", "198.51.100.255", documentation, global, global},
    {"203.0.113.0", "203.0.113.255", documentation, global, global},
    {"224.0.0.0", "239.255.255.255", multicast, global, reserved},
    {"240.0.0.0", "255.255.255.254", reserved, multicast, broadcast},
    {"255.255.255.255", "255.255.255.255", broadcast, reserved, unspecified},
};

const Range k_v6_ranges[] = {
    {"::", "::", unspecified, multicast, loopback},
    {"::1", "::1", loopback, unspecified, unspecified},  // ::2 carries 0.0.0.2
    {"100::", "100::ffff:ffff:ffff:ffff", reserved, reserved, reserved},
    {"2001:1::", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", reserved, unspecified,
     benchmarking},  // before: Teredo, 0.0.0.0
    {"2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", benchmarking, reserved, reserved},
    {"2001:2:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", reserved, benchmarking, global},
    {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", documentation, global, global},
    {"2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", global, reserved,
     broadcast},  // after: Teredo, 255.255.255.255
    {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", documentation, global, global},
    {"3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", global, documentation, reserved},
    {"5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", reserved, reserved, reserved},
    {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", private_use, reserved, reserved},
    {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", link_local, reserved, private_use},
    {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", private_use, link_local, multicast},
    {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", multicast, private_use, unspecified},
};

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

Number to_number(const IpAddress& address) {
  Number number = 0;
  for (const std::byte octet : address.bytes()) number = number << 8 | std::to_integer<unsigned>(octet);
  return number;
}
IpAddress from_number(Number number, IpFamily family) {
  std::array<std::uint8_t, 16> octets{};
  for (std::size_t i = 16; i-- > 0; number >>= 8) octets[i] = static_cast<std::uint8_t>(number & 0xFF);
  return family == IpFamily::v6 ? IpAddress::v6(octets)
                                : IpAddress::v4({octets[12], octets[13], octets[14], octets[15]});
}

// The spellings of an IPv4 address. Only the locally used NAT64 prefix changes a class: it is never global.
struct Encoding {
  const char* name;
  std::function<IpAddress(Number)> encode;
  bool is_local = false;
};
std::vector<Encoding> encodings() {
  const auto within = [](const char* base, unsigned shift) {
    return [base = to_number(ip(base)), shift](Number v4) { return from_number(base | v4 << shift, IpFamily::v6); };
  };
  return {{"native", [](Number v4) { return from_number(v4, IpFamily::v4); }},
          {"v4-mapped", within("::ffff:0:0", 0)},
          {"v4-compatible", within("::", 0)},
          {"6to4", within("2002::", 80)},
          {"6to4 with a host", within("2002::1:2:3:4", 80)},
          {"NAT64", within("64:ff9b::", 0)},
          {"local NAT64", within("64:ff9b:1::", 0), true},
          {"Teredo", [](Number v4) {
             return from_number(to_number(ip("2001:0:4136:e378:8000:63bf::")) | (v4 ^ 0xFFFFFFFF), IpFamily::v6);
           }}};
}

TEST(AddressClass, JudgesEveryIpv4BlockInEverySpelling) {
  for (const Encoding& encoding : encodings()) {
    for (const Range& range : k_v4_ranges) {
      const auto expect = [&](Number v4, AddressClass expected) {
        const IpAddress address = encoding.encode(v4 & 0xFFFFFFFF);
        const bool is_loopback_form = address == ip("::1");  // 0.0.0.1 as v4-compatible is the loopback address
        if (encoding.is_local && expected == global) expected = private_use;
        EXPECT_EQ(classify(address), is_loopback_form ? loopback : expected)
            << encoding.name << ' ' << address.to_string();
        EXPECT_EQ(is_global(address), expected == global);
      };
      const Number first = to_number(ip(range.first));
      const Number last = to_number(ip(range.last));
      expect(first, range.inside);
      expect(first + (last - first) / 2, range.inside);
      expect(last, range.inside);
      expect(first - 1, range.before);
      expect(last + 1, range.after);
    }
  }
}

TEST(AddressClass, JudgesEveryIpv6Block) {
  for (const Range& range : k_v6_ranges) {
    const Number first = to_number(ip(range.first));
    const Number last = to_number(ip(range.last));
    const auto expect = [](Number number, AddressClass expected) {
      const IpAddress address = from_number(number, IpFamily::v6);
      EXPECT_EQ(address_class_name(classify(address)), address_class_name(expected)) << address.to_string();
    };
    expect(first, range.inside);
    expect(first - 1, range.before);
    expect(last + 1, range.after);
    expect(last, range.inside);
  }
}

TEST(AddressClass, KnowsTheAddressesThatPoliciesMustStop) {
  const std::pair<const char*, AddressClass> cases[] = {
      {"169.254.169.254", link_local},
      {"::ffff:169.254.169.254", link_local},
      {"64:ff9b::169.254.169.254", link_local},
      {"2002:7f00:1::", loopback},
      {"::127.0.0.1", loopback},
      {"::ffff:7f00:1", loopback},
      {"fd00:ec2::254", private_use},
      {"2001::ffff:ffff:80ff:fffe", loopback},  // Teredo for 127.0.0.1
      {"64:ff9b:1::10.0.0.1", private_use},
      {"64:ff9b:1::8.8.8.8", private_use},
      {"::ffff:0:127.0.0.1", reserved},
      {"::ffff:8.8.8.8", global},
      {"2002:808:808::1", global},
      {"2606:4700::1111", global},
      {"8.8.8.8", global},
      {"1.1.1.1", global},
      {"fd00::1", private_use}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(classify(ip(text)), expected) << text;
}

TEST(AddressClass, FindsTheIpv4AddressInEverySpelling) {
  for (const Encoding& encoding : encodings()) {
    const Number v4 = to_number(ip("203.0.113.77"));
    EXPECT_EQ(canonical(encoding.encode(v4)), ip("203.0.113.77")) << encoding.name;
  }
  EXPECT_EQ(canonical(ip("::1")), ip("::1"));
  EXPECT_EQ(canonical(ip("::")), ip("::"));
  EXPECT_EQ(canonical(ip("2606:4700::1111")), ip("2606:4700::1111"));
  EXPECT_EQ(canonical(IpAddress::v6(ip("fe80::1").octets(), 3)), ip("fe80::1")) << "the scope is no part of it";
}

TEST(AddressClass, IgnoresTheScope) { EXPECT_EQ(classify(IpAddress::v6(ip("fe80::1").octets(), 3)), link_local); }

// --- the oracle: the narrowest range of numbers that holds the address ----------------------------------------------

AddressClass oracle_v4(Number v4) {
  for (const Range& range : k_v4_ranges) {
    if (v4 >= to_number(ip(range.first)) && v4 <= to_number(ip(range.last))) return range.inside;
  }
  return global;
}

AddressClass oracle_v6(Number n) {
  const auto between = [&](const char* first, const char* last) {
    return n >= to_number(ip(first)) && n <= to_number(ip(last));
  };
  const Number low = n & 0xFFFFFFFF;
  if (n == 0) return unspecified;
  if (n == 1) return loopback;
  if (n <= 0xFFFFFFFF || between("::ffff:0:0", "::ffff:ffff:ffff")) return oracle_v4(low);
  if (between("64:ff9b::", "64:ff9b::ffff:ffff")) return oracle_v4(low);
  if (between("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff")) {
    return oracle_v4(low) == global ? private_use : oracle_v4(low);
  }
  if (between("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff")) return oracle_v4(low ^ 0xFFFFFFFF);
  if (between("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff")) return oracle_v4(n >> 80 & 0xFFFFFFFF);
  for (const Range& range : k_v6_ranges) {
    if (between(range.first, range.last)) return range.inside;
  }
  return between("2000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") ? global : reserved;
}

TEST(AddressClass, AgreesWithAnOracleThatComparesNumbers) {
  SeededRng rng(17);
  const std::vector<Encoding> forms = encodings();
  for (int i = 0; i < 4000; ++i) {
    const auto v4 = static_cast<Number>(rng.u64() & 0xFFFFFFFF);
    ASSERT_EQ(classify(from_number(v4, IpFamily::v4)), oracle_v4(v4)) << from_number(v4, IpFamily::v4).to_string();
    const IpAddress encoded = forms[1 + rng.below(forms.size() - 1)].encode(v4);
    ASSERT_EQ(classify(encoded), oracle_v6(to_number(encoded))) << encoded.to_string();
    // Around the edges of a known block, where mistakes live; and anywhere.
    const Range& range = k_v6_ranges[rng.below(std::size(k_v6_ranges))];
    const Number edge = to_number(ip(rng.below(2) == 0 ? range.first : range.last));
    const Number near = edge + rng.below(5) - 2 + (static_cast<Number>(rng.below(3)) << (8 * rng.below(16)));
    const Number anywhere = static_cast<Number>(rng.u64()) << 64 | rng.u64();
    for (const Number n : {near, anywhere}) {
      ASSERT_EQ(classify(from_number(n, IpFamily::v6)), oracle_v6(n)) << from_number(n, IpFamily::v6).to_string();
    }
  }
}

}  // namespace
}  // namespace dig
