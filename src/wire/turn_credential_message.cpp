// SPDX-License-Identifier: Apache-2.0
#include "wire/turn_credential_message.hpp"

#include "base/safe_text.hpp"
#include "turn_credential.pb.h"
#include "wire/protobuf.hpp"

namespace dig {
namespace {

Result<std::string> decode_name(const std::string& field, std::size_t max_size) {
  if (field.size() > max_size) return fail(Errc::oversized, "a user name or password longer than its limit");
  if (field.empty() || !is_safe_text(field)) return fail(Errc::malformed, "a user name or password that is none");
  return field;
}

Result<std::vector<StunUri>> decode_servers(const pb::TurnCredentialResponse& message) {
  if (message.servers_size() > static_cast<int>(TurnCredentials::max_servers)) {
    return fail(Errc::oversized, "too many servers");
  }
  std::vector<StunUri> servers;
  for (const std::string& text : message.servers()) {
    if (text.size() > TurnCredentials::max_server_size) return fail(Errc::oversized, "a server longer than its limit");
    auto uri = StunUri::parse(text);
    if (uri && uri->is_turn) servers.push_back(*std::move(uri));
  }
  if (servers.empty()) return fail(Errc::unsupported, "TURN credentials without a server that is understood");
  return servers;
}

Result<TurnCredentials> decode_credentials(const pb::TurnCredentialResponse& message) {
  TurnCredentials credentials;
  // An unknown kind reads as absent in proto2.
  if (!message.has_kind()) return fail(Errc::unsupported, "TURN credentials of an unknown kind");
  credentials.kind = static_cast<TurnRelayKind>(message.kind());
  DIG_TRY(credentials.username, decode_name(message.username(), TurnCredentials::max_username));
  DIG_TRY(credentials.password, decode_name(message.password(), TurnCredentials::max_password));
  credentials.expires_in = std::chrono::seconds(message.expires_in());
  if (credentials.expires_in == credentials.expires_in.zero() ||
      credentials.expires_in > TurnCredentials::max_lifetime) {
    return fail(Errc::malformed, "an impossible lifetime of TURN credentials");
  }
  DIG_TRY(credentials.servers, decode_servers(message));
  return credentials;
}

}  // namespace

Result<TurnCredentialRequest> TurnCredentialRequest::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::TurnCredentialRequest>(bytes, max_encoded_size));
  DIG_TRY(PeerId target, PeerId::from_bytes(as_bytes(message.target())));
  return TurnCredentialRequest{std::move(target)};
}

Bytes TurnCredentialRequest::encode() const {
  pb::TurnCredentialRequest message;
  message.set_target(to_field(target.bytes()));
  return serialise_protobuf(message);
}

Result<TurnCredentialResponse> TurnCredentialResponse::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::TurnCredentialResponse>(bytes, max_encoded_size));
  // An unknown status reads as absent in proto2, and absent must not read as OK.
  if (!message.has_status()) return fail(Errc::malformed, "a response without a known status");
  TurnCredentialResponse response{static_cast<TurnCredentialStatus>(message.status()), {}};
  if (response.status == TurnCredentialStatus::ok) {
    DIG_TRY(response.credentials, decode_credentials(message));
  }
  return response;
}

Bytes TurnCredentialResponse::encode() const {
  pb::TurnCredentialResponse message;
  message.set_status(static_cast<pb::TurnCredentialResponse::Status>(status));
  if (credentials) {
    message.set_kind(static_cast<pb::TurnCredentialResponse::Kind>(credentials->kind));
    message.set_username(credentials->username);
    message.set_password(credentials->password);
    message.set_expires_in(static_cast<std::uint32_t>(credentials->expires_in.count()));
    for (const StunUri& server : credentials->servers) message.add_servers(server.to_string());
  }
  return serialise_protobuf(message);
}

}  // namespace dig
