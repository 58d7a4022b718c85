// SPDX-License-Identifier: Apache-2.0
// Binding requests (RFC 8489 §7.3) and what RFC 5780 adds for servers with two addresses.
#include "proto/turn_server/server_reply.hpp"

namespace dig::turn {
namespace {

constexpr std::uint32_t k_change_ip = 4;  // RFC 5780 §7.2
constexpr std::uint32_t k_change_port = 2;

Endpoint other_of(const ServerConfig::Discovery& discovery, const Endpoint& local, bool changes_ip, bool changes_port) {
  const bool is_primary_ip = local.address == discovery.primary.address;
  const bool is_primary_port = local.port == discovery.primary.port;
  return {is_primary_ip != changes_ip ? discovery.primary.address : discovery.alternate.address,
          is_primary_port != changes_port ? discovery.primary.port : discovery.alternate.port};
}

bool belongs_to(const ServerConfig::Discovery& discovery, const Endpoint& local) {
  return (local.address == discovery.primary.address || local.address == discovery.alternate.address) &&
         (local.port == discovery.primary.port || local.port == discovery.alternate.port);
}

}  // namespace

void Server::handle_binding(const Request& request) {
  if (refuse_unknown_attributes(request, nullptr)) return;
  ++counters_.bindings;
  const stun::Message& message = request.message;
  Reply reply(message, stun::Class::success);
  reply.add_xor_address(stun::Attribute::xor_mapped_address, request.client.remote);
  // Unless it asks for more a request gets the smallest answer there is.
  const auto change = message.find(stun::Attribute::change_request);
  const auto response_port = message.find(stun::Attribute::response_port);
  const auto padding = message.find(stun::Attribute::padding);
  if (!config_.discovery || !belongs_to(*config_.discovery, request.client.local)) return send(request, reply);

  ClientPath path = request.client;
  if (change && !path.is_stream()) {
    const auto flags = stun::decode_u32(*change);
    if (!flags) return refuse(request, nullptr, 400);
    path.local = other_of(*config_.discovery, path.local, (*flags & k_change_ip) != 0, (*flags & k_change_port) != 0);
  }
  if (response_port) {
    const auto port = stun::decode_channel_number(*response_port);  // the same form: a number, two reserved bytes
    if (!port || *port == 0 || padding || path.is_stream()) return refuse(request, nullptr, 400);
    path.remote.port = *port;
  }
  stun::add_address(reply.writer(), stun::Attribute::mapped_address, request.client.remote);
  stun::add_address(reply.writer(), stun::Attribute::response_origin, path.local);
  stun::add_address(reply.writer(), stun::Attribute::other_address,
                    other_of(*config_.discovery, request.client.local, true, true));
  // RFC 5780 §6.1: as long as the one that came, so that nothing is amplified.
  if (padding) {
    for (std::byte& byte : reply.writer().reserve(stun::Attribute::padding, padding->size())) byte = std::byte{0};
  }
  send({request.now, request.wall, path, message, request.sink}, reply);
}

}  // namespace dig::turn
