// SPDX-License-Identifier: Apache-2.0
#include "wire/identify_message.hpp"

#include <gtest/gtest.h>

#include "identify.pb.h"
#include "wire/protobuf.hpp"

namespace dig {
namespace {

Multiaddr some_address() { return Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value(); }

Identify some_identify() {
  Identify identify;
  identify.public_key = PublicKey::ed25519(Bytes(32, std::byte{7}));
  identify.listen_addresses = {some_address(), Multiaddr::parse("/ip6/2001:db8::1/tcp/4001").value()};
  identify.protocols = {"/ipfs/id/1.0.0", "/dignet/store/1.0.0"};
  identify.observed_address = some_address();
  identify.protocol_version = SafeText("ipfs/0.1.0");
  identify.agent_version = SafeText("dignet/0.1.0");
  identify.signed_peer_record = to_bytes("an envelope");
  return identify;
}

Result<Identify> decode(const pb::Identify& message) { return Identify::decode(serialise_protobuf(message)); }
Errc error_of(const pb::Identify& message) {
  const auto identify = decode(message);
  EXPECT_FALSE(identify);
  return identify ? Errc::internal : identify.error().code();
}

TEST(IdentifyMessage, RoundTrips) {
  EXPECT_EQ(Identify::decode(some_identify().encode()).value(), some_identify());
  EXPECT_EQ(Identify::decode({}).value(), Identify()) << "every field is optional";
}

TEST(IdentifyMessage, SkipsAndCountsAddressesItDoesNotUnderstand) {
  pb::Identify message;
  message.add_listen_addrs(to_field(some_address().bytes()));
  message.add_listen_addrs("\x84\x01");  // sctp
  message.add_listen_addrs("");
  message.add_listen_addrs("\x04\x01\x02");  // cut short
  message.set_observed_addr("garbage");
  const Identify identify = decode(message).value();
  EXPECT_EQ(identify.listen_addresses, std::vector{some_address()});
  EXPECT_FALSE(identify.observed_address);
  EXPECT_EQ(identify.skipped, 4U);
}

TEST(IdentifyMessage, SkipsProtocolNamesThatAreNotPrintable) {
  pb::Identify message;
  for (const char* name : {"", "/a\n", "/\x1b[2J", "/\xE2\x80\xAE", "/\xFF", "/good"}) message.add_protocols(name);
  const Identify identify = decode(message).value();
  EXPECT_EQ(identify.protocols, std::vector<std::string>{"/good"});
  EXPECT_EQ(identify.skipped, 5U);
}

TEST(IdentifyMessage, CleansAndCutsTheVersions) {
  pb::Identify message;
  message.set_agent_version("evil\x1b[31m\n" + std::string(4000, 'x'));
  message.set_protocol_version("\xFF");
  const Identify identify = decode(message).value();
  EXPECT_LE(identify.agent_version.str().size(), SafeText::default_limit);
  EXPECT_TRUE(identify.agent_version.str().starts_with("evil?[31m?"));
  EXPECT_EQ(identify.protocol_version.str(), "?");
}

TEST(IdentifyMessage, BoundsTheAddresses) {
  pb::Identify message;
  for (std::size_t i = 0; i < Identify::max_addresses; ++i) message.add_listen_addrs(to_field(some_address().bytes()));
  EXPECT_EQ(decode(message).value().listen_addresses.size(), Identify::max_addresses);
  message.add_listen_addrs("");
  EXPECT_EQ(error_of(message), Errc::oversized);

  pb::Identify long_one;
  long_one.add_listen_addrs(std::string(Multiaddr::max_size + 1, 'x'));
  EXPECT_EQ(error_of(long_one), Errc::oversized);
  pb::Identify long_observed;
  long_observed.set_observed_addr(std::string(Multiaddr::max_size + 1, 'x'));
  EXPECT_EQ(error_of(long_observed), Errc::oversized);
}

TEST(IdentifyMessage, BoundsTheProtocols) {
  pb::Identify message;
  for (std::size_t i = 0; i < Identify::max_protocols; ++i) message.add_protocols("/a");
  EXPECT_EQ(decode(message).value().protocols.size(), Identify::max_protocols);
  message.add_protocols("/a");
  EXPECT_EQ(error_of(message), Errc::oversized);

  pb::Identify long_one;
  long_one.add_protocols(std::string(Identify::max_protocol_size, 'x'));
  EXPECT_TRUE(decode(long_one));
  long_one.add_protocols(std::string(Identify::max_protocol_size + 1, 'x'));
  EXPECT_EQ(error_of(long_one), Errc::oversized);
}

TEST(IdentifyMessage, BoundsTheMessage) {
  pb::Identify message;
  message.set_signed_peer_record(std::string(Identify::max_encoded_size - 3, 'x'));
  EXPECT_EQ(serialise_protobuf(message).size(), Identify::max_encoded_size);
  EXPECT_TRUE(decode(message));
  message.set_signed_peer_record(std::string(Identify::max_encoded_size - 2, 'x'));
  EXPECT_EQ(error_of(message), Errc::oversized);
}

TEST(IdentifyMessage, RefusesBombsOfEmptyEntries) {
  Bytes bomb;
  for (int i = 0; i < 4000; ++i) append(bomb, to_bytes(std::string("\x12\x00", 2)));
  EXPECT_EQ(Identify::decode(bomb).error().code(), Errc::oversized);
}

TEST(IdentifyMessage, RefusesBadKeysAndGarbage) {
  pb::Identify message;
  message.set_public_key("");
  EXPECT_EQ(error_of(message), Errc::bad_public_key);
  message.set_public_key(to_field(PublicKey{KeyType::rsa, Bytes(2000)}.encode()));
  EXPECT_EQ(error_of(message), Errc::bad_public_key);
  EXPECT_EQ(Identify::decode(to_bytes("\x0F")).error().code(), Errc::malformed);              // wire type 7
  EXPECT_EQ(Identify::decode(to_bytes("\x12\xFF\xFF\x03")).error().code(), Errc::malformed);  // a length past the end
}

TEST(IdentifyMessage, TakesTheLastOfAFieldGivenTwiceAndIgnoresUnknownOnes) {
  Bytes twice = some_identify().encode();
  pb::Identify second;
  second.set_agent_version("second");
  append(twice, serialise_protobuf(second));
  append(twice, to_bytes("\x98\x06\x01"));  // field 99
  const Identify identify = Identify::decode(twice).value();
  EXPECT_EQ(identify.agent_version.str(), "second");
  EXPECT_EQ(identify.protocols, some_identify().protocols);
}

TEST(IdentifyMessage, SurvivesEveryCut) {
  const Bytes encoded = some_identify().encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    const auto cut = Identify::decode(BytesView(encoded).first(size));
    if (cut) {
      EXPECT_NE(*cut, some_identify()) << size;
    }
  }
}

}  // namespace
}  // namespace dig
