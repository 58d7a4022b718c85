// SPDX-License-Identifier: Apache-2.0
#include "wire/udp_probe_message.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"

namespace dig::udp_probe {
namespace {

const std::string k_nonce = "000102030405060708090a0b0c0d0e0f";
const std::string k_v4 = "08080404c350" + k_nonce;  // 8.8.4.4:50000
const std::string k_v6 = "260000000000000000000000000000010400" + k_nonce;

Bytes bytes(const std::string& hex) { return from_hex(hex).value(); }

Nonce nonce() {
  Nonce made;
  for (std::size_t i = 0; i < made.size(); ++i) made[i] = static_cast<std::byte>(i);
  return made;
}

TEST(UdpProbeMessage, RequestIsAnEndpointAndANonce) {
  const Request v4{Endpoint::parse("8.8.4.4:50000").value(), nonce()};
  EXPECT_EQ(to_hex(v4.encode()), k_v4);
  EXPECT_EQ(Request::decode(bytes(k_v4)), v4);
  const Request v6{Endpoint::parse("[2600::1]:1024").value(), nonce()};
  EXPECT_EQ(to_hex(v6.encode()), k_v6);
  EXPECT_EQ(Request::decode(bytes(k_v6)), v6);
  EXPECT_EQ(v6.encode().size(), Request::max_encoded_size);
}

TEST(UdpProbeMessage, NoOtherSizeIsARequest) {
  const Bytes whole(Request::max_encoded_size + 4, std::byte{0x11});
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto decoded = Request::decode(BytesView(whole).first(size));
    EXPECT_EQ(decoded.has_value(), size == 22 || size == 34) << size;
    EXPECT_EQ(decoded ? Errc::malformed : decoded.error().code(), Errc::malformed) << size;
  }
}

TEST(UdpProbeMessage, PortsOfTheSystemAreNotAskedFor) {
  for (const char* port : {"0000", "0016", "03ff"}) {
    const auto decoded = Request::decode(bytes("08080404" + (port + k_nonce)));
    EXPECT_EQ(decoded ? std::string("accepted") : decoded.error().detail(),
              "a request for a UDP probe of a port of the system")
        << port;
  }
  EXPECT_EQ(Request::decode(bytes("080804040400" + k_nonce)).value().target.port, 1024);
}

TEST(UdpProbeMessage, ResponseIsAStatus) {
  for (const Status status : {Status::sent, Status::busy, Status::refused}) {
    EXPECT_EQ(Response::decode(Response{status}.encode()), Response{status});
  }
  EXPECT_EQ(to_hex(Response{Status::refused}.encode()), "02");
  for (const char* bad : {"", "03", "ff", "0000"}) {
    const auto decoded = Response::decode(bytes(bad));
    ASSERT_FALSE(decoded) << bad;
    EXPECT_EQ(decoded.error().code(), Errc::malformed) << bad;
  }
}

TEST(UdpProbeMessage, DatagramIsMarkedAndNoLargerThanARequest) {
  const Bytes whole = Datagram{nonce()}.encode();
  EXPECT_EQ(to_hex(whole), to_hex(as_bytes("dignet")) + k_nonce);
  EXPECT_LE(whole.size(), bytes(k_v4).size());
  EXPECT_EQ(Datagram::decode(whole), Datagram{nonce()});
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(Datagram::decode(BytesView(whole).first(size)));
  Bytes longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(Datagram::decode(longer));
  for (std::size_t i = 0; i < 6; ++i) {
    Bytes altered = whole;
    altered[i] ^= std::byte{1};
    EXPECT_FALSE(Datagram::decode(altered)) << i;
  }
}

}  // namespace
}  // namespace dig::udp_probe
