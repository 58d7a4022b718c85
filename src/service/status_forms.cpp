// SPDX-License-Identifier: Apache-2.0
#include "service/status_forms.hpp"

#include <unistd.h>

#include <cmath>

#include "service/json_forms.hpp"

namespace dig::service {
namespace {

json::array texts(const std::vector<std::string>& items) { return json::array(items.begin(), items.end()); }

// Whole seconds tell enough of how long something lasts.
json::value seconds_form(const std::optional<double>& seconds) {
  return seconds ? json::value(static_cast<std::int64_t>(std::llround(*seconds))) : json::value(nullptr);
}

json::value problem_form(const std::optional<dignet::Error>& error) {
  return error ? json::value(error_form(*error)) : json::value(nullptr);
}

json::object bootstrap_form(const dignet::BootstrapServerStatus& server) {
  return {{"peer_id", server.peer_id},
          {"connected", server.is_connected},
          {"registered_s", seconds_form(server.registered_seconds)},
          {"replicated", server.is_replicated},
          {"error", problem_form(server.error)}};
}

json::object reservation_form(const dignet::ReservationStatus& reservation) {
  return {{"relay", reservation.relay_peer_id},
          {"seconds", seconds_form(reservation.seconds)},
          {"error", problem_form(reservation.error)}};
}

json::object peer_form(const dignet::PeerStatus& peer) {
  return {{"peer_id", peer.peer_id}, {"crypto_ipv6", peer.crypto_ipv6},
          {"address", peer.address}, {"direction", peer.is_inbound ? "inbound" : "outbound"},
          {"tier", peer.tier},       {"tier_name", peer.tier_name},
          {"method", peer.method},   {"seconds", seconds_form(peer.seconds)}};
}

json::object refused_form(const dignet::OnePortStatus::RefusedConnections& row) {
  return {{"phase", row.phase}, {"reason", error_info(row.reason).code}, {"count", row.count}};
}

json::object refused_datagrams_form(const dignet::OnePortStatus::RefusedDatagrams& row) {
  return {{"reason", row.reason}, {"count", row.count}};
}

template <class Item, class Form>
json::array list(const std::vector<Item>& items, Form form) {
  json::array out;
  for (const Item& item : items) out.emplace_back(form(item));
  return out;
}

json::object one_port_form(const dignet::OnePortStatus& port) {
  return {{"unidentified", port.unidentified},
          {"accepted", port.accepted},
          {"rejected", port.rejected},
          {"libp2p", port.libp2p},
          {"stun", port.stun},
          {"pages", port.pages},
          {"misdirected_pages", port.misdirected_pages},
          {"refused", list(port.refused, refused_form)},
          {"datagrams_refused", list(port.datagrams_refused, refused_datagrams_form)}};
}

}  // namespace

json::object node_form(const dignet::NodeIdentity& identity, const std::vector<dignet::PortLease>& ports,
                       const std::vector<std::string>& addresses, const std::vector<std::string>& roles) {
  json::object out = identity_form(identity);
  out.erase("public_key");
  json::object numbers;
  for (const dignet::PortLease& lease : ports) numbers.emplace(lease.purpose, lease.port);
  out.emplace("addresses", texts(addresses));
  out.emplace("ports", std::move(numbers));
  out.emplace("roles", texts(roles));
  out.emplace("pid", static_cast<std::int64_t>(::getpid()));
  return out;
}

json::object status_form(const dignet::NodeIdentity& identity, const std::vector<dignet::PortLease>& ports,
                         const dignet::NodeStatus& status) {
  json::object out = node_form(identity, ports, status.addresses, status.roles);
  out.emplace("connections", status.connections);
  out.emplace("bootstraps", list(status.bootstraps, bootstrap_form));
  out.emplace("reservations", list(status.reservations, reservation_form));
  if (status.relay) {
    out.emplace("relay", json::object{{"reservations", status.relay->reservations},
                                      {"circuits", status.relay->circuits},
                                      {"circuits_admitted", status.relay->circuits_admitted},
                                      {"circuits_refused", status.relay->circuits_refused}});
  }
  if (status.directory) {
    json::object directory{{"records", status.directory->records},       {"bytes", status.directory->bytes},
                           {"registered", status.directory->registered}, {"refused", status.directory->refused},
                           {"expired", status.directory->expired},       {"look_ups", status.directory->look_ups}};
    if (status.directory->is_shared) directory.emplace("shared", *status.directory->is_shared);
    out.emplace("directory", std::move(directory));
  }
  if (status.one_port) out.emplace("one_port", one_port_form(*status.one_port));
  return out;
}

json::object peers_form(const std::vector<dignet::PeerStatus>& peers) { return {{"peers", list(peers, peer_form)}}; }

}  // namespace dig::service
