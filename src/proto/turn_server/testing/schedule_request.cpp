// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/testing/schedule_request.hpp"

namespace dig::turn::testing {
namespace {

using stun::Attribute;

void add_number(stun::Writer& writer, Attribute type, std::optional<std::uint8_t> number) {
  if (number) writer.add_u32(type, std::uint32_t{*number} << 24U);
}

void add_wish(stun::Writer& writer, const AllocateWish& wish) {
  add_number(writer, Attribute::requested_transport, wish.transport);
  add_number(writer, Attribute::requested_address_family, wish.family);
  add_number(writer, Attribute::additional_address_family, wish.additional);
  if (wish.even_port) stun::add_even_port(writer, *wish.even_port);
  if (wish.token) writer.add_u64(Attribute::reservation_token, *wish.token);
  if (wish.lifetime) writer.add_u32(Attribute::lifetime, *wish.lifetime);
}

void add_credentials(stun::Writer& writer, const Ask& ask, const Habit& habit) {
  if (ask.proof == Proof::none) return;
  const std::string user = ask.proof == Proof::unknown_user ? "nobody" : ask.user;
  const std::string realm = ask.proof == Proof::wrong_realm ? "elsewhere" : std::string(k_schedule_realm);
  const std::string password = ask.proof == Proof::wrong_password ? "wrong" : std::string(password_of(user));
  if (ask.proof != Proof::no_username && habit.uses_userhash) {
    writer.add(Attribute::userhash, stun::userhash(user, realm));
  } else if (ask.proof != Proof::no_username) {
    writer.add_text(Attribute::username, user);
  }
  if (ask.proof != Proof::no_realm) writer.add_text(Attribute::realm, realm);
  if (ask.proof != Proof::no_nonce) writer.add_text(Attribute::nonce, ask.nonce);
  constexpr std::array k_offered{stun::PasswordAlgorithm::sha256, stun::PasswordAlgorithm::md5};
  const auto algorithm = habit.uses_sha256 ? stun::PasswordAlgorithm::sha256 : stun::PasswordAlgorithm::md5;
  if (ask.proof == Proof::bid_down) {
    stun::add_password_algorithms(writer, std::span(k_offered).last(1));
    stun::add_password_algorithm(writer, stun::PasswordAlgorithm::md5);
  } else if (habit.uses_sha256) {
    stun::add_password_algorithms(writer, k_offered);
    stun::add_password_algorithm(writer, algorithm);
  }
  const stun::LongTermKey key(algorithm, user, realm, password);
  if (habit.uses_sha256) {
    stun::add_integrity_sha256(writer, key.view());
  } else {
    stun::add_integrity(writer, key.view());
  }
}

}  // namespace

std::string_view method_name(stun::Method method) {
  switch (method) {
    case stun::Method::binding:
      return "binding";
    case stun::Method::allocate:
      return "allocate";
    case stun::Method::refresh:
      return "refresh";
    case stun::Method::create_permission:
      return "permission";
    case stun::Method::channel_bind:
      return "channel";
    default:
      return "other";
  }
}

std::string_view password_of(std::string_view user) { return user == "user" ? "pass" : "word"; }

stun::LongTermKey key_of(std::string_view user, const Habit& habit) {
  return {habit.uses_sha256 ? stun::PasswordAlgorithm::sha256 : stun::PasswordAlgorithm::md5, user, k_schedule_realm,
          password_of(user)};
}

Bytes encode(const Ask& ask, const Habit& habit) {
  Bytes buffer(1024);
  stun::Writer writer(buffer, {ask.method, stun::Class::request, ask.transaction});
  if (ask.method == stun::Method::allocate) add_wish(writer, ask.wish);
  if (ask.method == stun::Method::refresh) {
    if (ask.lifetime) writer.add_u32(Attribute::lifetime, *ask.lifetime);
    add_number(writer, Attribute::requested_address_family, ask.family);
  }
  if (ask.number) stun::add_channel_number(writer, *ask.number);
  for (const Peer& peer : ask.peers) {
    stun::add_xor_address(writer, Attribute::xor_peer_address, peer.endpoint, ask.transaction);
  }
  if (ask.has_unknown_attribute) writer.add_flag(Attribute{0x7FF0});
  add_credentials(writer, ask, habit);
  return to_bytes(writer.written());
}

int refusal_of_proof(const Ask& ask, Instant now, Duration nonce_lifetime) {
  const auto second = [](Instant time) { return std::chrono::floor<std::chrono::seconds>(time.since_origin); };
  switch (ask.proof) {
    case Proof::none:
      return 401;
    case Proof::no_username:
    case Proof::no_realm:
    case Proof::no_nonce:
      return 400;
    case Proof::foreign_nonce:
    case Proof::broken_nonce:
      return 438;
    default:
      break;
  }
  if (second(now) - second(ask.nonce_made) > nonce_lifetime) return 438;
  if (ask.proof == Proof::bid_down) return 400;
  return ask.proof == Proof::good ? 0 : 401;
}

std::size_t stranger_answer_size(int code, std::size_t nonce_size) {
  const std::size_t error = stun::k_header_size + attribute_size(4);
  if (code == 400) return error;
  const std::size_t algorithms = attribute_size(8);
  return error + attribute_size(k_schedule_realm.size()) + attribute_size(nonce_size) + algorithms;
}

}  // namespace dig::turn::testing
