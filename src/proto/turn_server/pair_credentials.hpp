// SPDX-License-Identifier: Apache-2.0
// Credentials that a node mints for one peer to reach one other peer through it, for a short time. Nothing is kept of
// a credential: its user name carries the pair and the expiry, sealed under a secret of the node, so that who listens
// on the way to the relay does not learn who talks with whom; its password is a MAC over the user name.
#pragma once

#include <deque>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "crypto/secret.hpp"
#include "proto/turn_server/credentials.hpp"

namespace dig::turn {

// Thread-safety: find() is const; mint() changes the secrets, and must not run beside it.
class PairCredentials final : public CredentialSource {
 public:
  struct Limits {
    // Of a credential. An allocation made with it can be refreshed, and a permission given, until then: a permission
    // is the last to end, five minutes later.
    std::chrono::seconds lifetime = 1h;
    // So long a secret makes new credentials; it is accepted until the last of them has expired.
    std::chrono::seconds secret_lifetime = 1h;
  };

  // `relay` is the node that mints: the credentials of another one are nobody's here.
  PairCredentials(PeerId relay, Limits limits) : relay_(std::move(relay)), limits_(limits) {}
  explicit PairCredentials(PeerId relay) : PairCredentials(std::move(relay), Limits{}) {}

  struct Minted {
    std::string username;  // of letters, digits and "-._", see max_username
    std::string password;
    std::chrono::seconds lifetime{};
  };
  static constexpr std::size_t max_username = 180;

  // For the holder of the identity `role.self`, which the caller has proven. invalid_argument: no pair of two peers, or
  // the relay is one of them.
  [[nodiscard]] Result<Minted> mint(UnixTime now, const PairRole& role, Rng& rng);

  // A name that is not of the right form costs no cryptography, any other at most one decryption and one MAC.
  [[nodiscard]] UserCredentials find(std::string_view username, UnixTime now) const override;
  // The names are not known beforehand: nobody.
  [[nodiscard]] UserCredentials find_by_hash(BytesView userhash, UnixTime now) const override;

  [[nodiscard]] std::size_t secrets() const noexcept { return secrets_.size(); }

 private:
  struct NodeSecret {
    std::uint32_t id = 0;
    UnixTime made;
    std::uint64_t minted = 0;  // the nonce of the next user name
    crypto::Secret<32> sealing;
    crypto::Secret<32> signing;
  };
  struct Content {
    PairRole role;
    UnixTime expires;
  };

  [[nodiscard]] bool is_pair(const PairRole& role) const;
  [[nodiscard]] NodeSecret& current_secret(UnixTime now, Rng& rng);
  [[nodiscard]] Bytes associated_data() const;
  [[nodiscard]] std::string seal(const Content& content, NodeSecret& secret) const;
  [[nodiscard]] Result<Content> open(BytesView sealed, std::uint64_t nonce, const NodeSecret& secret) const;
  [[nodiscard]] std::string password(std::string_view username, const NodeSecret& secret) const;

  PeerId relay_;
  Limits limits_;
  std::uint32_t next_id_ = 0;
  std::deque<NodeSecret> secrets_;  // the newest last
};

}  // namespace dig::turn
