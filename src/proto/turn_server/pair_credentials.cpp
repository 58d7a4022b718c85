// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/pair_credentials.hpp"

#include <algorithm>

#include "base/base_encoding.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/uvarint.hpp"
#include "crypto/aead.hpp"

namespace dig::turn {
namespace {

// A user name: the prefix, then in base64url the number of the secret (4 bytes), the nonce (8) and, sealed, the expiry
// (8) and the two peers, each behind its length (1).
constexpr std::string_view k_prefix = "pair1.";
constexpr std::string_view k_sealing_domain = "dignet-turn-pair-name-1";
constexpr std::string_view k_signing_domain = "dignet-turn-pair-password-1";

void write_peer(ByteWriter& writer, const PeerId& peer) {
  writer.u8(static_cast<std::uint8_t>(peer.bytes().size()));
  writer.bytes(peer.bytes());
}

Result<PeerId> read_peer(ByteReader& reader) {
  DIG_TRY(const std::uint8_t size, reader.u8());
  DIG_TRY(const BytesView bytes, reader.bytes(size));
  return PeerId::from_bytes(bytes);
}

}  // namespace

bool PairCredentials::is_pair(const PairRole& role) const {
  return !role.self.empty() && !role.peer.empty() && role.self != role.peer && role.self != relay_ &&
         role.peer != relay_;
}

PairCredentials::NodeSecret& PairCredentials::current_secret(UnixTime now, Rng& rng) {
  std::erase_if(secrets_, [&](const NodeSecret& secret) {
    const auto age = std::chrono::seconds(now.seconds - secret.made.seconds);
    return age >= limits_.secret_lifetime + limits_.lifetime;
  });
  if (secrets_.empty() || now.seconds - secrets_.back().made.seconds >= limits_.secret_lifetime.count()) {
    NodeSecret& made = secrets_.emplace_back();
    made.id = next_id_++;
    made.made = now;
    rng.fill(made.sealing.mutable_view());
    rng.fill(made.signing.mutable_view());
  }
  return secrets_.back();
}

Result<PairCredentials::Minted> PairCredentials::mint(UnixTime now, const PairRole& role, Rng& rng) {
  if (!is_pair(role)) return fail(Errc::invalid_argument, "no pair of two peers with a relay between them");
  NodeSecret& secret = current_secret(now, rng);
  Minted minted{.username = seal({role, {now.seconds + limits_.lifetime.count()}}, secret),
                .password = {},
                .lifetime = limits_.lifetime};
  minted.password = password(minted.username, secret);
  return minted;
}

UserCredentials PairCredentials::find(std::string_view username, UnixTime now) const {
  UserCredentials user{std::string(username), {}, {}};
  if (!username.starts_with(k_prefix) || username.size() > max_username) return user;
  const auto decoded = decode_base(Base::base64url, username.substr(k_prefix.size()));
  if (!decoded) return user;
  ByteReader reader(*decoded);
  const auto id = reader.u32();
  const auto nonce = reader.u64();
  if (!id || !nonce) return user;
  const auto secret = std::ranges::find(secrets_, *id, &NodeSecret::id);
  if (secret == secrets_.end()) return user;
  auto content = open(reader.rest(), *nonce, *secret);
  if (!content || content->expires <= now) return user;
  user.passwords.push_back(password(username, *secret));
  user.pair = std::move(content->role);
  return user;
}

UserCredentials PairCredentials::find_by_hash(BytesView /*userhash*/, UnixTime /*now*/) const { return {}; }

// Binds a sealed name to what it is and to the node that made it.
Bytes PairCredentials::associated_data() const {
  Bytes data = to_bytes(k_sealing_domain);
  append(data, relay_.bytes());
  return data;
}

std::string PairCredentials::seal(const Content& content, NodeSecret& secret) const {
  const std::uint64_t nonce = secret.minted++;
  Bytes buffer;
  ByteWriter writer(buffer);
  writer.u64(static_cast<std::uint64_t>(content.expires.seconds));
  write_peer(writer, content.role.self);
  write_peer(writer, content.role.peer);
  const std::size_t size = buffer.size();
  buffer.resize(size + crypto::Aead::tag_size);
  crypto::Aead(secret.sealing).seal_in_place(buffer, size, nonce, associated_data());

  Bytes name;
  ByteWriter head(name);
  head.u32(secret.id);
  head.u64(nonce);
  head.bytes(buffer);
  return std::string(k_prefix) + encode_base(Base::base64url, name);
}

Result<PairCredentials::Content> PairCredentials::open(BytesView sealed, std::uint64_t nonce,
                                                       const NodeSecret& secret) const {
  Bytes plain(sealed.size());
  DIG_TRY(const std::size_t size, crypto::Aead(secret.sealing).open(sealed, plain, nonce, associated_data()));
  ByteReader reader(BytesView(plain).first(size));
  Content content;
  DIG_TRY(const std::uint64_t expires, reader.u64());
  content.expires.seconds = static_cast<std::int64_t>(expires);
  DIG_TRY(content.role.self, read_peer(reader));
  DIG_TRY(content.role.peer, read_peer(reader));
  DIG_CHECK(reader.expect_end());
  return content;
}

std::string PairCredentials::password(std::string_view username, const NodeSecret& secret) const {
  Bytes text;
  for (const BytesView part : {as_bytes(k_signing_domain), relay_.bytes(), as_bytes(username)}) {
    write_uvarint(text, part.size());
    append(text, part);
  }
  return encode_base(Base::base64url, crypto::hmac_sha256(secret.signing.view(), text));
}

}  // namespace dig::turn
