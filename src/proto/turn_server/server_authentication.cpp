// SPDX-License-Identifier: Apache-2.0
// Long-term credentials (RFC 8489 §9.2.4). The order of the checks is the point: what costs nothing to forge is
// answered without having cost anything.
#include "proto/turn_server/server_reply.hpp"

namespace dig::turn {
namespace {

constexpr std::array k_algorithms{stun::PasswordAlgorithm::sha256, stun::PasswordAlgorithm::md5};
constexpr std::size_t k_max_username = 508;  // RFC 8489 §14.3: fewer than 509 bytes

// The algorithm that the request was made with, or nothing: it does not fit what the server offers.
std::optional<stun::PasswordAlgorithm> chosen_algorithm(const stun::Message& message) {
  const auto offered = message.find(stun::Attribute::password_algorithms);
  const auto chosen = message.find(stun::Attribute::password_algorithm);
  if (!offered && !chosen) return stun::PasswordAlgorithm::md5;
  if (!offered || !chosen) return std::nullopt;
  const auto list = stun::decode_password_algorithms(*offered);
  const auto number = stun::decode_password_algorithm(*chosen);
  if (!list || !number || list->size() != k_algorithms.size()) return std::nullopt;
  std::optional<stun::PasswordAlgorithm> found;
  for (std::size_t i = 0; i < k_algorithms.size(); ++i) {
    // The list must be echoed as it was sent: else somebody has taken the strong one out of it.
    if ((*list)[i] != static_cast<std::uint16_t>(k_algorithms[i])) return std::nullopt;
    if (*number == (*list)[i]) found = k_algorithms[i];
  }
  return found;
}

}  // namespace

void Server::challenge(const Request& request, std::uint16_t code) {
  counters_.refuse(code);
  Reply reply(request.message, stun::Class::error);
  stun::add_error(reply.writer(), code);
  reply.writer().add_text(stun::Attribute::realm, config_.realm);
  reply.writer().add(stun::Attribute::nonce, nonces_.make(request.now, request.client.remote));
  stun::add_password_algorithms(reply.writer(), k_algorithms);
  send(request, reply);
}

std::optional<Server::Authenticated> Server::authenticate(const Request& request) {
  const stun::Message& message = request.message;
  const bool has_sha256 = message.integrity_sha256().has_value();
  if (!has_sha256 && !message.integrity()) {
    challenge(request, 401);
    return std::nullopt;
  }
  const auto username = message.find(stun::Attribute::username);
  const auto userhash = message.find(stun::Attribute::userhash);
  const auto realm = message.find(stun::Attribute::realm);
  const auto nonce = message.find(stun::Attribute::nonce);
  if ((!username && !userhash) || !realm || !nonce || (username && username->size() > k_max_username)) {
    refuse(request, nullptr, 400);
    return std::nullopt;
  }
  if (!nonces_.is_valid(request.now, request.client.remote, *nonce)) {
    challenge(request, 438);
    return std::nullopt;
  }
  const auto algorithm = chosen_algorithm(message);
  if (!algorithm) {
    refuse(request, nullptr, 400);
    return std::nullopt;
  }
  UserCredentials user = username ? credentials_.find(as_text(*username), request.wall)
                                  : credentials_.find_by_hash(*userhash, request.wall);
  if (as_text(*realm) == config_.realm) {
    for (const std::string& password : user.passwords) {
      stun::LongTermKey key(*algorithm, user.username, config_.realm, password);
      const bool fits = has_sha256 ? stun::has_valid_integrity_sha256(message, key.view())
                                   : stun::has_valid_integrity(message, key.view());
      if (fits) return Authenticated{std::move(user.username), std::move(key), has_sha256, std::move(user.pair)};
    }
  }
  challenge(request, 401);
  return std::nullopt;
}

}  // namespace dig::turn
