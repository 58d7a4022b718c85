// SPDX-License-Identifier: Apache-2.0
#include "wire/multiaddr.hpp"

#include <gtest/gtest.h>

#include <unordered_set>

#include "base/base_encoding.hpp"
#include "base/rng.hpp"

namespace dig {
namespace {

const PeerId k_peer = PeerId::from_public_key(PublicKey::ed25519(Bytes(32, std::byte{7})));
const PeerId k_relay = PeerId::from_public_key({KeyType::ecdsa, Bytes(91, std::byte{8})});
const std::string k_certhash = "uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ";

using Carrier = Multiaddr::Carrier;

std::string p2p(const PeerId& peer) { return "/p2p/" + peer.to_string(); }
std::string reprinted(std::string_view text) {
  const auto address = Multiaddr::parse(text);
  return address ? address->to_string() : "error";
}
Errc parse_error(std::string_view text) {
  const auto address = Multiaddr::parse(text);
  EXPECT_FALSE(address) << text.substr(0, 80);
  return address ? Errc::internal : address.error().code();
}
Errc bytes_error(std::string_view hex) {
  const auto address = Multiaddr::from_bytes(from_hex(hex).value());
  EXPECT_FALSE(address) << hex.substr(0, 80);
  return address ? Errc::internal : address.error().code();
}

std::vector<std::string> good_addresses() {
  return {"/ip4/192.0.2.1",
          "/ip4/192.0.2.1/tcp/4001",
          "/ip4/0.0.0.0/tcp/0",
          "/ip6/2001:db8::1/tcp/65535",
          "/ip6zone/eth0/ip6/fe80::1/tcp/4001",
          "/ip4/192.0.2.1/tcp/4001" + p2p(k_peer),
          "/dns/example.com/tcp/443",
          "/dns4/localhost/tcp/4001",
          "/dns6/a-b.example/udp/4001/quic-v1",
          "/dnsaddr/_x.bootstrap.example",
          "/dnsaddr/bootstrap.example" + p2p(k_peer),
          "/ip4/192.0.2.1/udp/4001/quic-v1" + p2p(k_peer),
          "/ip4/192.0.2.1/udp/4001/quic",
          "/ip4/192.0.2.1/udp/4001/utp",
          "/ip4/192.0.2.1/udp/4001/quic-v1/webtransport/certhash/" + k_certhash + "/certhash/" + k_certhash,
          "/ip4/192.0.2.1/udp/4001/webrtc-direct/certhash/" + k_certhash + p2p(k_peer),
          "/ip4/192.0.2.1/tcp/80/ws",
          "/dns/example.com/tcp/443/wss" + p2p(k_peer),
          "/dns/example.com/tcp/443/tls/ws",
          "/ip4/192.0.2.1/tcp/443/tls/sni/*.peer.example/ws",
          "/dns/example.com/tcp/443/tls/http",
          "/ip4/192.0.2.1/tcp/4001/noise",
          "/ip4/192.0.2.1/tcp/4001" + p2p(k_relay) + "/p2p-circuit",
          "/ip4/192.0.2.1/tcp/4001" + p2p(k_relay) + "/p2p-circuit" + p2p(k_peer),
          "/ip4/192.0.2.1/tcp/4001" + p2p(k_relay) + "/p2p-circuit/webrtc" + p2p(k_peer),
          p2p(k_peer)};
}

TEST(Multiaddr, PrintsWhatItReadAndItsBytesReadBack) {
  for (const std::string& text : good_addresses()) {
    const auto address = Multiaddr::parse(text);
    ASSERT_TRUE(address) << text << ": " << address.error().message();
    EXPECT_EQ(address->to_string(), text);
    EXPECT_EQ(Multiaddr::from_bytes(address->bytes()).value(), *address);
  }
}

TEST(Multiaddr, HasTheBytesOfTheSpecification) {
  const auto hex_of = [](std::string_view text) { return to_hex(Multiaddr::parse(text).value().bytes()); };
  EXPECT_EQ(hex_of("/ip4/127.0.0.1/udp/1234"), "047f000001910204d2");
  EXPECT_EQ(hex_of("/ip4/127.0.0.1/tcp/4321"), "047f0000010610e1");
  EXPECT_EQ(hex_of("/ip6/::1/tcp/80"), "2900000000000000000000000000000001060050");
  EXPECT_EQ(hex_of("/dns4/example.com/tcp/443/wss"), "360b6578616d706c652e636f6d0601bbde03");
  EXPECT_EQ(hex_of("/ip4/1.2.3.4/udp/1/quic-v1"), "040102030491020001cd03");
  EXPECT_EQ(hex_of(p2p(k_peer)), "a50326" + to_hex(k_peer.bytes()));
  EXPECT_EQ(hex_of(p2p(k_relay) + "/p2p-circuit"), "a50322" + to_hex(k_relay.bytes()) + "a202");
}

TEST(Multiaddr, NormalisesSpellings) {
  EXPECT_EQ(reprinted("/ip6/2001:0DB8:0:0::1/tcp/1"), "/ip6/2001:db8::1/tcp/1");
  EXPECT_EQ(reprinted("/p2p/" + k_peer.to_cid()), p2p(k_peer));
}

TEST(Multiaddr, RefusesBrokenText) {
  for (const std::string& text : {std::string(""),
                                  std::string("/"),
                                  std::string("//"),
                                  std::string("ip4/1.2.3.4"),
                                  std::string("/ip4"),
                                  std::string("/ip4/"),
                                  std::string("/ip4/1.2.3.4/"),
                                  std::string("/ip4/1.2.3.4/tcp"),
                                  std::string("/ip4/1.2.3.4/tcp/"),
                                  std::string("/ip4/1.2.3.4//tcp/1"),
                                  std::string("//ip4/1.2.3.4"),
                                  std::string("/ip4/256.1.1.1/tcp/1"),
                                  std::string("/ip4/1.2.3/tcp/1"),
                                  std::string("/ip4/01.2.3.4"),
                                  std::string("/ip4/0x7f.1"),
                                  std::string("/ip4/::1"),
                                  std::string("/ip6/1.2.3.4"),
                                  std::string("/ip6/::1%lo"),
                                  std::string("/ip6/:::1"),
                                  std::string("/ip4/1.2.3.4/tcp/65536"),
                                  std::string("/ip4/1.2.3.4/tcp/-1"),
                                  std::string("/ip4/1.2.3.4/tcp/ 80"),
                                  std::string("/ip4/1.2.3.4/tcp/080"),
                                  std::string("/ip4/1.2.3.4/tcp/0x50"),
                                  std::string("/ip4/1.2.3.4/tcp/%38%30"),
                                  std::string("/ip4/1.2.3.4/tcp/80 "),
                                  std::string("/ip4/1.2.3.4/tcp/\xD9\xA8\xD9\xA0"),
                                  std::string("/ip4/1.2.3.4\n/tcp/80"),
                                  std::string("/dns4/.."),
                                  std::string("/dns4/a..b"),
                                  std::string("/dns4/.a"),
                                  std::string("/dns4/a."),
                                  std::string("/dns4/a b"),
                                  std::string("/dns4/%61"),
                                  std::string("/dns4/\xD0\xB0pple.com"),
                                  std::string("/dns4/*.example"),
                                  std::string("/dns/x\x1b[m"),
                                  "/dns/" + std::string(64, 'a'),
                                  "/dns/" + std::string(254, 'a'),
                                  std::string("/p2p/x"),
                                  std::string("/p2p/12D3KooW"),
                                  std::string("/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx50")}) {
    EXPECT_EQ(parse_error(text), Errc::bad_multiaddr) << text;
  }
}

TEST(Multiaddr, RefusesChainsThatMeanNothing) {
  const std::string circuit = "/ip4/1.2.3.4/tcp/1" + p2p(k_relay) + "/p2p-circuit";
  for (const std::string& text : {std::string("/tcp/1"),
                                  std::string("/ip4/1.2.3.4/ip4/1.2.3.4"),
                                  std::string("/ip4/1.2.3.4/tcp/1/tcp/2"),
                                  std::string("/ip4/1.2.3.4/tcp/1/udp/2"),
                                  std::string("/ip4/1.2.3.4/tcp/1/quic-v1"),
                                  std::string("/ip4/1.2.3.4/quic-v1"),
                                  std::string("/ip4/1.2.3.4/tcp/1/ws/wss"),
                                  std::string("/ip4/1.2.3.4/tcp/1/wss/ws"),
                                  std::string("/ip4/1.2.3.4/tcp/1/tls/wss"),
                                  std::string("/ip4/1.2.3.4/tcp/1/sni/a"),
                                  std::string("/ip4/1.2.3.4/udp/1/ws"),
                                  std::string("/ip6zone/x"),
                                  std::string("/ip6zone/x/ip4/1.2.3.4"),
                                  std::string("/ip6zone/a%b/ip6/fe80::1"),
                                  "/ip6zone/x" + p2p(k_peer),
                                  "/ip6zone/" + std::string(33, 'z') + "/ip6/fe80::1",
                                  std::string("/p2p-circuit"),
                                  "/p2p-circuit" + p2p(k_peer),
                                  std::string("/ip4/1.2.3.4/tcp/1/p2p-circuit"),
                                  circuit + "/p2p-circuit",
                                  p2p(k_peer) + p2p(k_relay),
                                  circuit + p2p(k_relay),
                                  circuit + p2p(k_peer) + "/p2p-circuit",
                                  p2p(k_peer) + "/tcp/1",
                                  std::string("/ip4/1.2.3.4/udp/1/webrtc"),
                                  std::string("/ip4/1.2.3.4/tcp/1/certhash/") + k_certhash}) {
    EXPECT_EQ(parse_error(text), Errc::bad_multiaddr) << text;
  }
}

TEST(Multiaddr, RefusesCertificateHashesOtherThanSha256) {
  const std::string prefix = "/ip4/1.2.3.4/udp/1/webrtc-direct/certhash/";
  EXPECT_NE(reprinted(prefix + "f1220" + std::string(64, '1')), "error");
  EXPECT_EQ(parse_error(prefix + "f1120" + std::string(64, '1')), Errc::bad_multiaddr);
  EXPECT_EQ(parse_error(prefix + "f121f" + std::string(62, '1')), Errc::bad_multiaddr);
  EXPECT_EQ(parse_error(prefix + "f1220" + std::string(62, '1')), Errc::bad_multiaddr);
  EXPECT_EQ(parse_error(prefix + "f"), Errc::bad_multiaddr);
  EXPECT_EQ(parse_error(prefix + "?1220"), Errc::bad_multiaddr) << "no multibase prefix";
}

TEST(Multiaddr, SaysWhichProtocolsItDoesNotKnow) {
  for (const char* text :
       {"/unix/etc/passwd", "/memory/1", "/onion3/x", "/ip4/1.2.3.4/sctp/1", "/IP4/1.2.3.4", "/ip4/1.2.3.4/tcp/1/x"}) {
    EXPECT_EQ(parse_error(text), Errc::unsupported) << text;
  }
  EXPECT_EQ(bytes_error("9003"
                        "04"
                        "2f657463"),
            Errc::unsupported);  // unix
  EXPECT_EQ(bytes_error("0401020304"
                        "8401"
                        "0001"),
            Errc::unsupported);  // sctp
}

TEST(Multiaddr, BoundsTextAndComponents) {
  EXPECT_EQ(parse_error("/ip4/1.2.3.4/tcp/1" + std::string(10240, '/')), Errc::bad_multiaddr);
  EXPECT_EQ(parse_error("/dns/" + std::string(10240, 'a')), Errc::bad_multiaddr);
  std::string text = "/ip4/1.2.3.4/udp/1/webrtc-direct";
  for (std::size_t i = 3; i < Multiaddr::max_components; ++i) text += "/certhash/" + k_certhash;
  const auto largest = Multiaddr::parse(text);
  ASSERT_TRUE(largest);
  EXPECT_EQ(parse_error(text + "/certhash/" + k_certhash), Errc::bad_multiaddr);
  EXPECT_EQ(bytes_error(to_hex(largest->bytes()) +
                        "d203"
                        "22"
                        "1220" +
                        std::string(64, '1')),
            Errc::oversized);
  EXPECT_FALSE(largest->with_peer_id(k_peer));
  EXPECT_EQ(bytes_error(std::string(2 * (Multiaddr::max_size + 1), '0')), Errc::oversized);
}

TEST(Multiaddr, RefusesBrokenBytes) {
  EXPECT_EQ(bytes_error(""), Errc::malformed);
  EXPECT_EQ(bytes_error("04010203"), Errc::truncated);              // ip4 with three bytes
  EXPECT_EQ(bytes_error("ffffffffffffffffff01"), Errc::malformed);  // a code of ten bytes
  EXPECT_EQ(bytes_error("8400"
                        "01020304"),
            Errc::malformed);  // a code that is not minimal
  EXPECT_EQ(bytes_error("35"
                        "05"
                        "61"),
            Errc::truncated);  // a length beyond the end
  EXPECT_EQ(bytes_error("35"
                        "8100"
                        "61"),
            Errc::malformed);  // a length that is not minimal
  EXPECT_EQ(bytes_error("35"
                        "ffffffffffffffff7f"),
            Errc::oversized);  // a length of 2^63 - 1
  EXPECT_EQ(bytes_error("35"
                        "00"),
            Errc::malformed);  // an empty name
  EXPECT_EQ(bytes_error("35"
                        "03"
                        "612f62"),
            Errc::malformed);  // a slash within a name
  EXPECT_EQ(bytes_error("35"
                        "03"
                        "610062"),
            Errc::malformed);
  EXPECT_EQ(bytes_error("a503"
                        "00"),
            Errc::malformed);  // p2p of no bytes
  EXPECT_EQ(bytes_error("a503"
                        "21"
                        "1220" +
                        std::string(62, '1')),
            Errc::malformed);
  EXPECT_EQ(bytes_error("a503"
                        "02"
                        "0000"),
            Errc::malformed);  // an identity hash of nothing
  EXPECT_EQ(bytes_error("a503"
                        "43"
                        "0041" +
                        std::string(130, '1')),
            Errc::malformed);
  EXPECT_EQ(bytes_error("047f000001"
                        "0610e1"
                        "06"),
            Errc::truncated);
  EXPECT_EQ(bytes_error("047f000001"
                        "0610e1"
                        "00"),
            Errc::unsupported);  // code 0
}

TEST(Multiaddr, EveryPrefixIsRefusedOrIsAnAddressItself) {
  for (const std::string& text : good_addresses()) {
    const Multiaddr address = Multiaddr::parse(text).value();
    for (std::size_t size = 0; size < address.bytes().size(); ++size) {
      const auto cut = Multiaddr::from_bytes(address.bytes().first(size));
      if (cut) {
        EXPECT_TRUE(text.starts_with(cut->to_string())) << text;
      }
    }
    for (std::size_t size = 0; size < text.size(); ++size) {
      const auto cut = Multiaddr::parse(text.substr(0, size));
      if (cut) {
        EXPECT_EQ(cut->to_string(), text.substr(0, size));
      }
    }
  }
}

TEST(Multiaddr, ChangedBytesNeverBreakTheRoundTrip) {
  SeededRng rng(5);
  const std::vector<std::string> texts = good_addresses();
  for (int i = 0; i < 5000; ++i) {
    Bytes bytes = to_bytes(Multiaddr::parse(texts[rng.below(texts.size())]).value().bytes());
    bytes[rng.below(bytes.size())] = static_cast<std::byte>(rng.u64());
    const auto address = Multiaddr::from_bytes(bytes);
    if (!address) continue;
    const auto again = Multiaddr::parse(address->to_string());
    ASSERT_TRUE(again) << address->to_string();
    EXPECT_EQ(*again, *address);
  }
}

TEST(Multiaddr, KnowsThePeerItLeadsTo) {
  const Multiaddr direct = Multiaddr::parse("/ip4/1.2.3.4/tcp/1" + p2p(k_peer)).value();
  EXPECT_EQ(direct.peer_id().value(), k_peer);
  EXPECT_EQ(direct.without_peer_id().to_string(), "/ip4/1.2.3.4/tcp/1");
  EXPECT_EQ(direct.with_peer_id(k_relay).value().to_string(), "/ip4/1.2.3.4/tcp/1" + p2p(k_relay));
  EXPECT_EQ(direct.without_peer_id().with_peer_id(k_peer).value(), direct);
  EXPECT_FALSE(direct.without_peer_id().peer_id());
  EXPECT_TRUE(Multiaddr::parse(p2p(k_peer)).value().without_peer_id().empty());
  EXPECT_FALSE(Multiaddr().peer_id());
  EXPECT_FALSE(direct.with_peer_id(PeerId()));
}

TEST(Multiaddr, DoesNotTakeARelayForThePeer) {
  const Multiaddr via = Multiaddr::parse("/ip4/1.2.3.4/tcp/1" + p2p(k_relay) + "/p2p-circuit").value();
  EXPECT_FALSE(via.peer_id());
  EXPECT_EQ(via.without_peer_id(), via);
  EXPECT_EQ(via.with_peer_id(k_peer).value().peer_id().value(), k_peer);
  EXPECT_FALSE(via.with_peer_id(k_relay)) << "a relay that relays to itself";
}

TEST(Multiaddr, GivesEndpointsForPlainTcpOnly) {
  const auto endpoint = [](std::string_view text) {
    const auto found = Multiaddr::parse(text).value().tcp_endpoint();
    if (!found) {
      EXPECT_EQ(found.error().code(), Errc::address_not_dialable);
    }
    return found ? found->to_string() : "error";
  };
  EXPECT_EQ(endpoint("/ip4/192.0.2.1/tcp/4001"), "192.0.2.1:4001");
  EXPECT_EQ(endpoint("/ip6/2001:db8::1/tcp/4001" + p2p(k_peer)), "[2001:db8::1]:4001");
  for (const std::string& text : good_addresses()) {
    const bool is_plain = text.starts_with("/ip") && !text.starts_with("/ip6zone") &&
                          text.find("/tcp/") != std::string::npos && text.find("/ws") == std::string::npos &&
                          text.find("/noise") == std::string::npos && text.find("circuit") == std::string::npos;
    EXPECT_EQ(endpoint(text) != "error", is_plain) << text;
  }
  EXPECT_EQ(endpoint("/ip6/fe80::1/tcp/1"), "error") << "link-local without a zone";
  EXPECT_EQ(endpoint("/ip6zone/eth0/ip6/fe80::1/tcp/1"), "error") << "a zone by name";
  EXPECT_EQ(endpoint("/ip6zone/0/ip6/fe80::1/tcp/1"), "error");
  EXPECT_FALSE(Multiaddr().tcp_endpoint());
}

TEST(Multiaddr, RoundTripsEndpoints) {
  const Endpoint v4{IpAddress::v4({192, 0, 2, 1}), 4001};
  EXPECT_EQ(Multiaddr::tcp(v4).to_string(), "/ip4/192.0.2.1/tcp/4001");
  const IpAddress link_local = IpAddress::parse("fe80::1").value();
  const Endpoint scoped{IpAddress::v6(link_local.octets(), 3), 80};
  EXPECT_EQ(Multiaddr::tcp(scoped).to_string(), "/ip6zone/3/ip6/fe80::1/tcp/80");
  EXPECT_EQ(Multiaddr::tcp(v4, Carrier::websocket).to_string(), "/ip4/192.0.2.1/tcp/4001/ws");
  EXPECT_EQ(Multiaddr::tcp(v4, Carrier::secure_websocket).to_string(), "/ip4/192.0.2.1/tcp/4001/tls/ws");
  for (const Endpoint& endpoint : {v4, scoped, Endpoint{IpAddress::loopback(IpFamily::v6), 65535}}) {
    for (const auto carrier : {Carrier::plain, Carrier::websocket, Carrier::secure_websocket}) {
      const Multiaddr made = Multiaddr::tcp(endpoint, carrier);
      EXPECT_EQ(made.stream_target().value().carrier, carrier);
      EXPECT_EQ(std::get<Endpoint>(made.stream_target().value().remote), endpoint);
      EXPECT_EQ(Multiaddr::from_bytes(made.bytes()).value(), made);
      EXPECT_EQ(made.tcp_endpoint().has_value(), carrier == Carrier::plain);
    }
    EXPECT_EQ(Multiaddr::tcp(endpoint).tcp_endpoint().value(), endpoint);
    EXPECT_EQ(Multiaddr::from_bytes(Multiaddr::tcp(endpoint).bytes()).value(), Multiaddr::tcp(endpoint));
  }
}

TEST(Multiaddr, FindsNamesWithTcpPorts) {
  const auto dns = Multiaddr::parse("/dns4/example.com/tcp/443" + p2p(k_peer)).value().dns_tcp();
  EXPECT_EQ(dns.value(), (Multiaddr::DnsTcp{Protocol::dns4, "example.com", 443}));
  for (const char* text : {"/dns/example.com", "/dns/example.com/tcp/443/wss", "/dnsaddr/example.com/tcp/1",
                           "/ip4/1.2.3.4/tcp/1", "/dns/example.com/udp/1"}) {
    EXPECT_FALSE(Multiaddr::parse(text).value().dns_tcp()) << text;
  }
  EXPECT_FALSE(Multiaddr::parse("/dns/example.com" + p2p(k_peer)).value().dns_tcp());
}

TEST(Multiaddr, SaysHowToDialWebSockets) {
  const Endpoint v4{IpAddress::v4({192, 0, 2, 1}), 443};
  const auto target = [](std::string_view text) { return Multiaddr::parse(text).value().stream_target().value(); };
  const auto dns = [](std::uint16_t port) { return Multiaddr::DnsTcp{Protocol::dns4, "example.com", port}; };
  const auto secure = Carrier::secure_websocket;
  const std::pair<std::string, Multiaddr::StreamTarget> cases[] = {
      {"/ip4/192.0.2.1/tcp/443", {v4}},
      {"/ip4/192.0.2.1/tcp/443/ws", {v4, Carrier::websocket, "", "192.0.2.1:443"}},
      {"/ip4/192.0.2.1/tcp/443/wss", {v4, secure, "192.0.2.1", "192.0.2.1"}},
      {"/ip4/192.0.2.1/tcp/443/tls/ws", {v4, secure, "192.0.2.1", "192.0.2.1"}},
      {"/ip4/192.0.2.1/tcp/443/tls/sni/example.com/ws", {v4, secure, "example.com", "example.com"}},
      {"/dns4/example.com/tcp/80/ws", {dns(80), Carrier::websocket, "", "example.com"}},
      {"/dns4/example.com/tcp/80/tls/ws", {dns(80), secure, "example.com", "example.com:80"}},
      {"/dns4/example.com/tcp/8443/wss", {dns(8443), secure, "example.com", "example.com:8443"}},
      {"/dns4/example.com/tcp/4001/tls/sni/a.example/ws", {dns(4001), secure, "a.example", "a.example:4001"}},
      {"/dns4/example.com/tcp/443", {dns(443)}},
      {"/ip6/2001:db8::1/tcp/443/ws",
       {Endpoint{IpAddress::parse("2001:db8::1").value(), 443}, Carrier::websocket, "", "[2001:db8::1]:443"}},
      {"/ip6/2001:db8::1/tcp/443/tls/ws",
       {Endpoint{IpAddress::parse("2001:db8::1").value(), 443}, secure, "2001:db8::1", "[2001:db8::1]"}},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(target(text), expected) << text;
    EXPECT_EQ(target(text + p2p(k_peer)), expected) << text;
  }
}

TEST(Multiaddr, DoesNotDialWhatIsNoStreamOverTcp) {
  for (const std::string& text :
       {std::string("/ip4/192.0.2.1"), std::string("/ip4/192.0.2.1/udp/443/quic-v1"), p2p(k_peer),
        std::string("/dnsaddr/bootstrap.example"), std::string("/dnsaddr/bootstrap.example/tcp/443/ws"),
        std::string("/ip4/192.0.2.1/tcp/443/tls"), std::string("/ip4/192.0.2.1/tcp/443/tls/sni/example.com"),
        std::string("/ip4/192.0.2.1/tcp/443/tls/sni/*.example.com/ws"), std::string("/ip4/192.0.2.1/tcp/443/tls/http"),
        std::string("/ip4/192.0.2.1/tcp/443/http"), std::string("/ip4/192.0.2.1/tcp/443/noise"),
        std::string("/ip4/192.0.2.1/tcp/443/ws/noise"), std::string("/ip4/192.0.2.1/udp/443"),
        std::string("/ip6/fe80::1/tcp/443/ws"), std::string("/ip6zone/eth0/ip6/fe80::1/tcp/443/tls/ws"),
        "/ip4/192.0.2.1/tcp/443/ws" + p2p(k_relay) + "/p2p-circuit" + p2p(k_peer),
        "/ip4/192.0.2.1/tcp/443/ws" + p2p(k_relay) + "/p2p-circuit"}) {
    const auto target = Multiaddr::parse(text).value().stream_target();
    ASSERT_FALSE(target) << text;
    EXPECT_EQ(target.error().code(), Errc::address_not_dialable) << text;
    EXPECT_TRUE(target.error().detail().ends_with(text)) << text;
  }
  EXPECT_FALSE(Multiaddr().stream_target());
}

TEST(Multiaddr, TellsHostAndPort) {
  const Multiaddr quic = Multiaddr::parse("/ip6zone/eth0/ip6/fe80::1/udp/9/quic-v1").value();
  EXPECT_EQ(quic.host(), "fe80::1");
  EXPECT_EQ(quic.port().value(), 9);
  EXPECT_TRUE(quic.has(Protocol::quic_v1));
  EXPECT_FALSE(quic.has(Protocol::tcp));
  const Multiaddr peer = Multiaddr::parse(p2p(k_peer)).value();
  EXPECT_EQ(peer.host(), "");
  EXPECT_FALSE(peer.port());
}

TEST(Multiaddr, ComparesAndHashesByValue) {
  const Multiaddr a = Multiaddr::parse("/ip4/1.2.3.4/tcp/1").value();
  const Multiaddr b = Multiaddr::parse("/ip4/1.2.3.4/tcp/2").value();
  EXPECT_LT(a, b);
  const std::unordered_set<Multiaddr> set = {a, b, Multiaddr::parse("/ip4/1.2.3.4/tcp/1").value()};
  EXPECT_EQ(set.size(), 2U);
}

TEST(Multiaddr, ARelayedAddressHasTheRelayInIt) {
  const std::string relay = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
  const std::string peer = "/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ";
  const std::string at = "/ip4/192.0.2.1/tcp/4001/p2p/" + relay;
  for (const std::string& text : {at + "/p2p-circuit", at + "/p2p-circuit" + peer}) {
    const auto found = Multiaddr::parse(text)->relay();
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->peer.to_string(), relay);
    EXPECT_EQ(found->address.to_string(), at);
  }
  EXPECT_EQ(Multiaddr::parse("/p2p/" + relay + "/p2p-circuit" + peer)->relay()->address.to_string(), "/p2p/" + relay);
  for (const std::string& text : {at, at + "/p2p-circuit/webrtc" + peer, std::string("/ip4/192.0.2.1/tcp/1")}) {
    EXPECT_FALSE(Multiaddr::parse(text)->relay()) << text;
  }
}

}  // namespace
}  // namespace dig
