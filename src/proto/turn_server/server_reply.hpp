// SPDX-License-Identifier: Apache-2.0
// A request under way in the server and the answer to it. Private to server*.cpp.
#pragma once

#include <array>
#include <string>

#include "proto/turn_server/server.hpp"
#include "wire/stun_attributes.hpp"

namespace dig::turn {

struct Server::Request {
  Instant now;
  UnixTime wall;
  const ClientPath& client;
  const stun::Message& message;
  Sink& sink;
};

// Whose request it is, and the key that its integrity was made with.
struct Server::Authenticated {
  std::string username;
  stun::LongTermKey key;
  bool uses_sha256 = false;
  std::optional<PairRole> pair;
};

class Server::Reply {
 public:
  Reply(const stun::Message& request, stun::Class message_class)
      : Reply(request.method(), request.transaction(), message_class) {}
  Reply(stun::Method method, const stun::TransactionId& transaction, stun::Class message_class)
      : transaction_(transaction), writer_(buffer_, {method, message_class, transaction}) {}

  [[nodiscard]] stun::Writer& writer() noexcept { return writer_; }
  void add_xor_address(stun::Attribute type, const Endpoint& endpoint) {
    stun::add_xor_address(writer_, type, endpoint, transaction_);
  }
  // RFC 8489 §9.2.4: an answer to an authenticated request is authenticated the same way.
  void sign(BytesView key, bool uses_sha256) {
    if (uses_sha256) {
      stun::add_integrity_sha256(writer_, key);
    } else {
      stun::add_integrity(writer_, key);
    }
  }
  void sign(const Authenticated& who) { sign(who.key.view(), who.uses_sha256); }
  void add_fingerprint() { stun::add_fingerprint(writer_); }
  [[nodiscard]] BytesView bytes() const noexcept { return writer_.has_overflowed() ? BytesView() : writer_.written(); }

 private:
  std::array<std::byte, 2048> buffer_;
  stun::TransactionId transaction_;
  stun::Writer writer_;
};

}  // namespace dig::turn
