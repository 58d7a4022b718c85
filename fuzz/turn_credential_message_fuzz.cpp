// SPDX-License-Identifier: Apache-2.0
// The messages of /dignet/turn-credentials/1.0.0: what is accepted survives encoding, and is within its limits.
#include "base/safe_text.hpp"
#include "input.hpp"
#include "wire/turn_credential_message.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  if (const auto request = TurnCredentialRequest::decode(input)) {
    fuzz::require(!request->target.empty() && TurnCredentialRequest::decode(request->encode()) == *request);
  }
  const auto response = TurnCredentialResponse::decode(input);
  if (!response) return 0;
  fuzz::require(TurnCredentialResponse::decode(response->encode()) == *response);
  fuzz::require(response->credentials.has_value() == (response->status == TurnCredentialStatus::ok));
  if (!response->credentials) return 0;
  const TurnCredentials& credentials = *response->credentials;
  for (const std::string& text : {credentials.username, credentials.password}) {
    fuzz::require(!text.empty() && text.size() <= TurnCredentials::max_username && is_safe_text(text));
  }
  fuzz::require(!credentials.servers.empty() && credentials.servers.size() <= TurnCredentials::max_servers);
  for (const StunUri& server : credentials.servers) fuzz::require(server.is_turn);
  return 0;
}
