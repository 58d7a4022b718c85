// SPDX-License-Identifier: Apache-2.0
#include "wire/turn_credential_message.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "base/base_encoding.hpp"
#include "base/rng.hpp"
#include "turn_credential.pb.h"
#include "wire/identity.hpp"
#include "wire/protobuf.hpp"

namespace dig {
namespace {

PeerId some_peer() {
  SeededRng rng(1);
  return Identity::generate(rng).peer_id();
}

TurnCredentials some_credentials() {
  return {.kind = TurnRelayKind::pair,
          .username = "pair1.abc",
          .password = "secret",
          .expires_in = std::chrono::seconds(3600),
          .servers = {StunUri::parse("turn:192.0.2.1:4001?transport=tcp").value(),
                      StunUri::parse("turns:[2001:db8::1]:443?transport=tcp").value()}};
}

// The message of some_credentials(), to be made worse.
pb::TurnCredentialResponse some_message() {
  pb::TurnCredentialResponse message;
  const Bytes bytes = TurnCredentialResponse{TurnCredentialStatus::ok, some_credentials()}.encode();
  EXPECT_TRUE(message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  return message;
}

Errc error_of(const pb::TurnCredentialResponse& message) {
  const auto decoded = TurnCredentialResponse::decode(serialise_protobuf(message));
  EXPECT_FALSE(decoded);
  return decoded ? Errc::internal : decoded.error().code();
}

TEST(TurnCredentialMessage, ARequestSurvives) {
  const TurnCredentialRequest request{some_peer()};
  EXPECT_EQ(TurnCredentialRequest::decode(request.encode()), request);
  EXPECT_EQ(to_hex(request.encode()).substr(0, 16), "0a26002408011220");  // field 1: the bytes of a PeerId
}

TEST(TurnCredentialMessage, ARequestNamesAPeer) {
  for (const std::string_view hex : {"", "0a00", "0a0100", "0a0312345678", "ff", "1226002408011220"}) {
    EXPECT_FALSE(TurnCredentialRequest::decode(from_hex(hex).value())) << hex;
  }
  Bytes padded = TurnCredentialRequest{some_peer()}.encode();
  pb::TurnCredentialResponse unknown_field;
  unknown_field.set_username(std::string(TurnCredentialRequest::max_encoded_size - padded.size() - 2, 'x'));
  append(padded, serialise_protobuf(unknown_field));
  EXPECT_TRUE(TurnCredentialRequest::decode(padded));
  padded.push_back(std::byte{0});
  EXPECT_EQ(TurnCredentialRequest::decode(padded).error().code(), Errc::oversized);
}

TEST(TurnCredentialMessage, AResponseSurvives) {
  const TurnCredentialResponse response{TurnCredentialStatus::ok, some_credentials()};
  EXPECT_EQ(TurnCredentialResponse::decode(response.encode()), response);
  TurnCredentialResponse open = response;
  open.credentials->kind = TurnRelayKind::open;
  EXPECT_EQ(TurnCredentialResponse::decode(open.encode()), open);
  for (const TurnCredentialStatus status : {TurnCredentialStatus::refused, TurnCredentialStatus::busy,
                                            TurnCredentialStatus::not_offered, TurnCredentialStatus::malformed}) {
    const TurnCredentialResponse refusal{status, {}};
    EXPECT_EQ(TurnCredentialResponse::decode(refusal.encode()), refusal);
  }
}

TEST(TurnCredentialMessage, TheLargestResponseFits) {
  TurnCredentials largest = some_credentials();
  largest.username.assign(TurnCredentials::max_username, 'u');
  largest.password.assign(TurnCredentials::max_password, 'p');
  largest.expires_in = TurnCredentials::max_lifetime;
  const std::string label(49, 'a');
  const std::string host = label + "." + label + "." + label + "." + label + "." + label;
  largest.servers.assign(TurnCredentials::max_servers,
                         StunUri::parse("turns:" + host + ":65535?transport=udp").value());
  const TurnCredentialResponse response{TurnCredentialStatus::ok, largest};
  EXPECT_EQ(TurnCredentialResponse::decode(response.encode()), response);
}

TEST(TurnCredentialMessage, CredentialsComeWithOkOnly) {
  pb::TurnCredentialResponse message = some_message();
  message.set_status(pb::TurnCredentialResponse::BUSY);
  const auto refused = TurnCredentialResponse::decode(serialise_protobuf(message));
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->credentials);
  message.clear_status();
  EXPECT_EQ(error_of(message), Errc::malformed);
  EXPECT_EQ(TurnCredentialResponse::decode(from_hex("0800").value()).error().code(), Errc::unsupported);  // OK, no more
  EXPECT_EQ(TurnCredentialResponse::decode(from_hex("0807").value()).error().code(), Errc::malformed);    // status 7
}

TEST(TurnCredentialMessage, NamesAndPasswordsAreTextWithinTheirLimits) {
  for (const bool is_password : {false, true}) {
    const auto with = [&](const std::string& text) {
      pb::TurnCredentialResponse message = some_message();
      is_password ? message.set_password(text) : message.set_username(text);
      return message;
    };
    const std::size_t limit = is_password ? TurnCredentials::max_password : TurnCredentials::max_username;
    EXPECT_EQ(error_of(with("")), Errc::malformed);
    EXPECT_EQ(error_of(with(std::string(limit + 1, 'x'))), Errc::oversized);
    for (const std::string_view bad : {"a\nb", "a\x1b[2J", "\xff",
                                       "a\xe2\x80\xae"
                                       "b"}) {
      EXPECT_EQ(error_of(with(std::string(bad))), Errc::malformed);
    }
    EXPECT_EQ(error_of(with(std::string("a\0b", 3))), Errc::malformed);
  }
}

TEST(TurnCredentialMessage, TheLifetimeIsPossible) {
  for (const std::uint32_t seconds : {0U, 86'401U, std::numeric_limits<std::uint32_t>::max()}) {
    pb::TurnCredentialResponse message = some_message();
    message.set_expires_in(seconds);
    EXPECT_EQ(error_of(message), Errc::malformed) << seconds;
  }
}

TEST(TurnCredentialMessage, AKindThatIsNotKnownIsNotGuessed) {
  pb::TurnCredentialResponse message = some_message();
  message.clear_kind();
  EXPECT_EQ(error_of(message), Errc::unsupported);
}

TEST(TurnCredentialMessage, ServersThatAreNotUnderstoodAreLeftOut) {
  pb::TurnCredentialResponse message = some_message();
  message.clear_servers();
  EXPECT_EQ(error_of(message), Errc::unsupported);
  for (const std::string_view text : {"", "quic-turn:192.0.2.1", "turn:", "turn:user@192.0.2.1", "stun:192.0.2.1",
                                      "turn:a\nb", "turn:192.0.2.1?transport=sctp"}) {
    message.add_servers(std::string(text));
  }
  EXPECT_EQ(error_of(message), Errc::unsupported);
  message.add_servers("turn:192.0.2.1");
  const auto decoded = TurnCredentialResponse::decode(serialise_protobuf(message));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->credentials->servers, std::vector{StunUri::parse("turn:192.0.2.1").value()});
  message.add_servers("turn:" + std::string(TurnCredentials::max_server_size - 4, 'a'));
  EXPECT_EQ(error_of(message), Errc::oversized);
}

TEST(TurnCredentialMessage, ThereAreOnlySoManyServers) {
  pb::TurnCredentialResponse message = some_message();
  while (message.servers_size() < static_cast<int>(TurnCredentials::max_servers)) message.add_servers("turn:192.0.2.1");
  EXPECT_TRUE(TurnCredentialResponse::decode(serialise_protobuf(message)));
  message.add_servers("");
  EXPECT_EQ(error_of(message), Errc::oversized);
  EXPECT_EQ(TurnCredentialResponse::decode(Bytes(TurnCredentialResponse::max_encoded_size + 1)).error().code(),
            Errc::oversized);
}

TEST(TurnCredentialMessage, EveryPrefixIsRefusedOrSmaller) {
  const Bytes whole = TurnCredentialResponse{TurnCredentialStatus::ok, some_credentials()}.encode();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto decoded = TurnCredentialResponse::decode(BytesView(whole).first(size));
    // Only the last server may be missing.
    EXPECT_TRUE(!decoded || decoded->credentials->servers.size() == 1) << size;
  }
}

}  // namespace
}  // namespace dig
