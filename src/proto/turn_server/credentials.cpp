// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/credentials.hpp"

#include <algorithm>
#include <limits>

#include "base/base_encoding.hpp"
#include "base/decimal.hpp"
#include "crypto/secret.hpp"
#include "wire/stun_integrity.hpp"

namespace dig::turn {

void StaticUsers::add(std::string username, std::string password) {
  const auto hash = stun::userhash(username, realm_);
  users_.push_back({std::move(username), std::move(password), hash});
}

UserCredentials StaticUsers::find(std::string_view username, UnixTime /*now*/) const {
  const auto user = std::ranges::find(users_, username, &User::username);
  if (user == users_.end()) return {std::string(username), {}};
  return {user->username, {user->password}};
}

UserCredentials StaticUsers::find_by_hash(BytesView userhash, UnixTime /*now*/) const {
  const auto user = std::ranges::find_if(users_, [&](const User& known) { return equal(known.hash, userhash); });
  if (user == users_.end()) return {};
  return {user->username, {user->password}};
}

UserCredentials RestSecrets::find(std::string_view username, UnixTime now) const {
  UserCredentials credentials{std::string(username), {}};
  const auto expiry = parse_decimal(username.substr(0, username.find(':')), std::numeric_limits<std::int64_t>::max());
  if (!expiry || static_cast<std::int64_t>(*expiry) < now.seconds) return credentials;
  for (const std::string& secret : secrets_) credentials.passwords.push_back(rest_password(secret, username));
  return credentials;
}

UserCredentials RestSecrets::find_by_hash(BytesView /*userhash*/, UnixTime /*now*/) const { return {}; }

UserCredentials CredentialSources::find(std::string_view username, UnixTime now) const {
  for (const auto& source : sources_) {
    UserCredentials found = source->find(username, now);
    if (!found.passwords.empty()) return found;
  }
  return {std::string(username), {}};
}

UserCredentials CredentialSources::find_by_hash(BytesView userhash, UnixTime now) const {
  for (const auto& source : sources_) {
    UserCredentials found = source->find_by_hash(userhash, now);
    if (!found.passwords.empty()) return found;
  }
  return {};
}

std::string rest_password(std::string_view secret, std::string_view username) {
  return encode_base(Base::base64_padded, crypto::hmac_sha1(as_bytes(secret), {as_bytes(username)}));
}

}  // namespace dig::turn
