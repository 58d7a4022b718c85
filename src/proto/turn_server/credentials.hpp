// SPDX-License-Identifier: Apache-2.0
// Who may use a TURN server: users with passwords, and time-limited credentials made from a shared secret (the TURN
// REST API: the user name is "expiry:name" or "expiry", the password the base64 of its HMAC-SHA1).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "crypto/hash.hpp"
#include "proto/turn_server/pair_role.hpp"

namespace dig::turn {

// A name and the passwords it may have: several while a shared secret is being replaced.
struct UserCredentials {
  std::string username;
  std::vector<std::string> passwords;
  std::optional<PairRole> pair{};  // what a pair relay lets this name do, and a name without it nothing
};

// Thread-safety: const; one source may serve several shards.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  // Empty passwords: nobody has this name now.
  [[nodiscard]] virtual UserCredentials find(std::string_view username, UnixTime now) const = 0;
  // The same by USERHASH (RFC 8489 §14.4), for names that are known beforehand.
  [[nodiscard]] virtual UserCredentials find_by_hash(BytesView userhash, UnixTime now) const = 0;
};

class StaticUsers final : public CredentialSource {
 public:
  // `realm` is that of the server: the hash of a name depends on it.
  explicit StaticUsers(std::string realm) : realm_(std::move(realm)) {}
  void add(std::string username, std::string password);

  [[nodiscard]] UserCredentials find(std::string_view username, UnixTime now) const override;
  [[nodiscard]] UserCredentials find_by_hash(BytesView userhash, UnixTime now) const override;
  [[nodiscard]] bool empty() const noexcept { return users_.empty(); }

 private:
  struct User {
    std::string username;
    std::string password;
    crypto::Sha256Digest hash;
  };
  std::string realm_;
  std::vector<User> users_;
};

class RestSecrets final : public CredentialSource {
 public:
  // The first makes new credentials, all are accepted.
  explicit RestSecrets(std::vector<std::string> secrets) : secrets_(std::move(secrets)) {}

  [[nodiscard]] UserCredentials find(std::string_view username, UnixTime now) const override;
  // A hash cannot be undone, and the names are not known: nobody.
  [[nodiscard]] UserCredentials find_by_hash(BytesView userhash, UnixTime now) const override;

 private:
  std::vector<std::string> secrets_;
};

// Asks one after the other.
class CredentialSources final : public CredentialSource {
 public:
  void add(std::unique_ptr<CredentialSource> source) { sources_.push_back(std::move(source)); }
  [[nodiscard]] UserCredentials find(std::string_view username, UnixTime now) const override;
  [[nodiscard]] UserCredentials find_by_hash(BytesView userhash, UnixTime now) const override;

 private:
  std::vector<std::unique_ptr<CredentialSource>> sources_;
};

// The password of the TURN REST API for a user name.
[[nodiscard]] std::string rest_password(std::string_view secret, std::string_view username);

}  // namespace dig::turn
