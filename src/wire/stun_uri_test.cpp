// SPDX-License-Identifier: Apache-2.0
#include "wire/stun_uri.hpp"

#include <gtest/gtest.h>

namespace dig {
namespace {

TEST(StunUri, TheExamplesOfRfc7064AndRfc7065) {
  const struct {
    std::string_view text;
    StunUri uri;
  } examples[] = {
      {"stun:example.org", {false, StunTransport::udp, "example.org", 3478}},
      {"stuns:example.org", {false, StunTransport::tls, "example.org", 5349}},
      {"stun:example.org:8000", {false, StunTransport::udp, "example.org", 8000}},
      {"turn:example.org", {true, StunTransport::udp, "example.org", 3478}},
      {"turns:example.org", {true, StunTransport::tls, "example.org", 5349}},
      {"turn:example.org:8000", {true, StunTransport::udp, "example.org", 8000}},
      {"turn:example.org?transport=udp", {true, StunTransport::udp, "example.org", 3478}},
      {"turn:example.org?transport=tcp", {true, StunTransport::tcp, "example.org", 3478}},
      {"turns:example.org?transport=tcp", {true, StunTransport::tls, "example.org", 5349}},
      {"turns:example.org?transport=udp", {true, StunTransport::dtls, "example.org", 5349}},
      {"turn:192.0.2.1:80?transport=tcp", {true, StunTransport::tcp, "192.0.2.1", 80}},
      {"TURN:[2001:DB8::1]:443", {true, StunTransport::udp, "2001:db8::1", 443}},
      {"stun:Stun_1.Example.ORG", {false, StunTransport::udp, "stun_1.example.org", 3478}},
  };
  for (const auto& example : examples) {
    const auto uri = StunUri::parse(example.text);
    ASSERT_TRUE(uri) << example.text << ": " << uri.error().message();
    EXPECT_EQ(*uri, example.uri) << example.text;
    EXPECT_EQ(StunUri::parse(uri->to_string()), *uri) << uri->to_string();
  }
}

TEST(StunUri, EverythingElseIsRefusedWithItsCode) {
  for (const std::string_view bad : {"",
                                     "stun",
                                     "stun:",
                                     "http://example.org",
                                     "stun://example.org",
                                     "stun:user@example.org",
                                     "turn:example.org/",
                                     "turn:example.org#x",
                                     "turn:example.org:",
                                     "turn:example.org:0",
                                     "turn:example.org:65536",
                                     "turn:example.org:+1",
                                     "turn:example.org:080",
                                     "turn:example.org:8 ",
                                     "turn:example.org?transport=sctp",
                                     "turn:example.org?transport=",
                                     "turn:example.org?",
                                     "turn:example.org?transport=tcp&x=y",
                                     "turn:example.org?TRANSPORT=tcp",
                                     "stun:example.org?transport=tcp",
                                     "turn:[::1",
                                     "turn:[::1]x",
                                     "turn:[192.0.2.1]",
                                     "turn:::1",
                                     "turn:256.1.1.1",
                                     "turn:1.2.3",
                                     "turn:a..b",
                                     "turn:.a",
                                     "turn:ex ample.org",
                                     "turn:ex\xc3\xa4mple.org",
                                     "turn:a\nb"}) {
    const auto uri = StunUri::parse(bad);
    ASSERT_FALSE(uri) << bad;
    EXPECT_EQ(uri.error().code(), Errc::bad_server_uri) << bad;
  }
  EXPECT_TRUE(StunUri::parse("turn:" + std::string(253, 'a')));
  EXPECT_FALSE(StunUri::parse("turn:" + std::string(254, 'a')));
}

}  // namespace
}  // namespace dig
