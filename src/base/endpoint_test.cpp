// SPDX-License-Identifier: Apache-2.0
#include "base/endpoint.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace dig {
namespace {

std::string reprinted(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->to_string() : "error";
}

TEST(IpAddress, ReadsAndPrintsIpv4) {
  for (const char* text : {"0.0.0.0", "1.2.3.4", "127.0.0.1", "192.0.2.255", "255.255.255.255"}) {
    EXPECT_EQ(reprinted(text), text);
  }
  EXPECT_EQ(IpAddress::parse("192.0.2.1").value(), IpAddress::v4({192, 0, 2, 1}));
}

TEST(IpAddress, RefusesLooseIpv4) {
  for (const char* text :
       {"",          "1",         "1.2",       "1.2.3",     "1.2.3.",         ".1.2.3",  "1..2.3",     "1.2.3.4.",
        "1.2.3.4.5", "256.1.1.1", "01.2.3.4",  "1.2.3.04",  "0x7f.0.0.1",     "127.1",   "2130706433", " 1.2.3.4",
        "1.2.3.4 ",  "1.2.3.-4",  "1.2.3.4\n", "1.2.3.4/8", "\xD9\xA1.2.3.4", "1,2,3,4", "..."}) {
    EXPECT_EQ(reprinted(text), "error") << '"' << text << '"';
  }
}

TEST(IpAddress, PrintsTheCanonicalFormOfRfc5952) {
  const std::pair<const char*, const char*> cases[] = {
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:0db8::0001", "2001:db8::1"},
      {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // one zero group is not shortened
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          // the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    // the first of two equal runs
      {"2001:DB8::AbCd", "2001:db8::abcd"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
      {"::ffff:c000:201", "::ffff:192.0.2.1"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"::1.2.3.4", "::102:304"},
      {"fe80::1", "fe80::1"},
  };
  for (const auto& [text, canonical] : cases) EXPECT_EQ(reprinted(text), canonical) << text;
}

TEST(IpAddress, RefusesBrokenIpv6) {
  for (const char* text : {":",
                           ":::",
                           "1",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1::2::3",
                           ":1:2:3:4:5:6:7:8",
                           "1:2:3:4:5:6:7:8:",
                           "1:2:3:4:5:6:7:8::",
                           "::1:2:3:4:5:6:7:8",
                           "1:2:3:4::5:6:7:8",
                           "12345::",
                           "g::",
                           "::%lo",
                           "fe80::1%eth0",
                           "[::1]",
                           "::1/128",
                           " ::1",
                           "::1 ",
                           "::1.2.3",
                           "::1.2.3.256",
                           "1.2.3.4::",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::1:2:3:4:5:6:1.2.3.4",
                           "-1::",
                           "0x1::",
                           "::ffff:01.2.3.4",
                           "1:2:3:4:5:6:7:"}) {
    EXPECT_EQ(reprinted(text), "error") << '"' << text << '"';
  }
}

TEST(IpAddress, EveryAddressReadsBackAsItself) {
  SeededRng rng(3);
  for (int i = 0; i < 5000; ++i) {
    std::array<std::uint8_t, 16> octets{};
    rng.fill(std::as_writable_bytes(std::span(octets)));
    const std::uint64_t zeroed = rng.u64();  // many zero groups, to meet the shortening
    for (std::size_t group = 0; group < 8; ++group) {
      if ((zeroed >> group & 1) != 0) octets[2 * group] = octets[2 * group + 1] = 0;
    }
    const IpAddress v6 = IpAddress::v6(octets);
    EXPECT_EQ(IpAddress::parse(v6.to_string()).value(), v6);
    const IpAddress v4 = IpAddress::v4({octets[0], octets[1], octets[2], octets[3]});
    EXPECT_EQ(IpAddress::parse(v4.to_string()).value(), v4);
  }
}

TEST(IpAddress, ComesFromFourOrSixteenBytesOnly) {
  const Bytes zeros(32);
  for (std::size_t size = 0; size <= zeros.size(); ++size) {
    const auto address = IpAddress::from_bytes(BytesView(zeros).first(size));
    EXPECT_EQ(address.has_value(), size == 4 || size == 16) << size;
  }
  const IpAddress loopback = IpAddress::loopback(IpFamily::v6);
  EXPECT_EQ(IpAddress::from_bytes(loopback.bytes()).value(), loopback);
  EXPECT_EQ(loopback.to_string(), "::1");
  EXPECT_EQ(IpAddress::loopback(IpFamily::v4).to_string(), "127.0.0.1");
}

TEST(IpAddress, KnowsTheUnspecifiedAddresses) {
  EXPECT_TRUE(IpAddress::any(IpFamily::v4).is_unspecified());
  EXPECT_TRUE(IpAddress::any(IpFamily::v6).is_unspecified());
  EXPECT_FALSE(IpAddress::loopback(IpFamily::v4).is_unspecified());
  EXPECT_NE(IpAddress::any(IpFamily::v4), IpAddress::any(IpFamily::v6));
}

TEST(Endpoint, ReadsAndPrints) {
  for (const char* text : {"192.0.2.1:4001", "0.0.0.0:0", "[2001:db8::1]:4001", "[::]:65535"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
}

TEST(Endpoint, RefusesWhatIsNotOne) {
  for (const char* text :
       {"", ":", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:080", "1.2.3.4:-1", "1.2.3.4: 1", "[1.2.3.4]:1",
        "::1:80", "[::1]", "[::1]:", "[::1]1", "[::1:80", "::1]:80", "[]:80", "[:80", "localhost:80"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << '"' << text << '"';
  }
}

}  // namespace
}  // namespace dig
