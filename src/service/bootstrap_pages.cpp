// SPDX-License-Identifier: Apache-2.0
#include "service/bootstrap_pages.hpp"

#include <boost/json/array.hpp>

#include "service/json_text.hpp"
#include "service/metric_families.hpp"
#include "service/status_forms.hpp"

namespace dig::service {
namespace {

// For somebody who typed the address into a browser. No scripts, nothing that is loaded. Everything in it is ours:
// names of roles, numbers, and identities of digits and letters.
constexpr std::string_view k_page_head =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>dignet bootstrap server</title>\n"
    "<h1>dignet bootstrap server</h1>\n"
    "<p>Peers of the DIG Network find each other here, and are relayed where nothing else works.</p>\n<dl>\n";
constexpr std::string_view k_page_tail =
    "</dl>\n<p><a href=\"/status.json\">status.json</a> <a href=\"/metrics\">metrics</a> "
    "<a href=\"/health\">health</a></p>\n</html>\n";

void add_row(std::string& page, std::string_view name, std::string_view value) {
  page.append("<dt>").append(name).append("</dt><dd>").append(value).append("</dd>\n");
}

std::string page_for_people(const ServerFacts& facts, const dignet::NodeStatus& status) {
  std::string page(k_page_head);
  add_row(page, "peer", facts.identity.peer_id);
  add_row(page, "version", facts.version);
  std::string roles;
  for (const std::string& role : status.roles) roles.append(roles.empty() ? "" : ", ").append(role);
  add_row(page, "roles", roles);
  add_row(page, "up for", std::to_string(facts.uptime.count()) + " s");
  add_row(page, "connections", std::to_string(status.connections));
  if (status.directory) {
    add_row(page, "registered peers", std::to_string(status.directory->records));
    if (status.directory->is_shared) add_row(page, "shared", *status.directory->is_shared ? "yes" : "Redis is lost");
  }
  if (status.relay) {
    add_row(page, "reservations", std::to_string(status.relay->reservations));
    add_row(page, "circuits", std::to_string(status.relay->circuits));
  }
  return page.append(k_page_tail);
}

std::string status_json(const ServerFacts& facts, const dignet::NodeStatus& status) {
  const json::object all = status_form(facts.identity, {}, status);
  json::object out{{"version", facts.version}};
  for (const char* name : {"peer_id", "crypto_ipv6", "roles"}) out.emplace(name, all.at(name));
  out.emplace("uptime_s", facts.uptime.count());
  for (const char* name : {"connections", "relay", "directory", "one_port"}) {
    if (const json::value* value = all.if_contains(name)) out.emplace(name, *value);
  }
  return to_line(out) + "\n";
}

void add_relay(MetricFamilies& families, const dignet::RelayRoleStatus& relay) {
  families.gauge("reservations", "Reservations that peers have at the circuit relay", relay.reservations);
  families.gauge("circuits", "Circuits that stand", relay.circuits);
  families.counter("circuits_admitted_total", "Circuits admitted", relay.circuits_admitted);
  families.counter("circuits_refused_total", "Circuits refused", relay.circuits_refused);
}

void add_directory(MetricFamilies& families, const dignet::DirectoryStatus& directory) {
  families.gauge("directory_records", "Peers that are registered", directory.records);
  families.gauge("directory_bytes", "About what the directory takes in memory", directory.bytes);
  families.counter("directory_registered_total", "Registrations accepted", directory.registered);
  families.counter("directory_refused_total", "Registrations refused", directory.refused);
  families.counter("directory_expired_total", "Records that have expired", directory.expired);
  families.counter("directory_look_ups_total", "Look-ups answered", directory.look_ups);
  if (!directory.is_shared) return;
  families.gauge("directory_shared", "1 while the directory is shared through Redis, 0 while Redis is lost",
                 *directory.is_shared ? 1 : 0);
}

void add_one_port(MetricFamilies& families, const dignet::OnePortStatus& port) {
  constexpr auto k_counter = prometheus::MetricType::Counter;
  families.gauge("port_unidentified", "Connections that have not said what they speak", port.unidentified);
  families.counter("port_accepted_total", "Connections accepted", port.accepted);
  families.counter("port_rejected_total", "Connections that the limits did not let in", port.rejected);
  families.begin(k_counter, "port_identified_total", "Connections by what they speak");
  families.add(port.libp2p, "application", "libp2p");
  families.add(port.stun, "application", "stun");
  families.add(port.pages, "application", "page");
  families.counter("port_misdirected_pages_total", "Pages asked for under a foreign name", port.misdirected_pages);
  families.begin(k_counter, "port_refused_total", "Connections refused: how far they had come, and why");
  for (const auto& row : port.refused) {
    families.add(row.count, {{"phase", row.phase}, {"reason", std::string(error_info(row.reason).code)}});
  }
  families.begin(k_counter, "port_refused_datagrams_total", "Datagrams refused by their first bytes");
  for (const auto& row : port.datagrams_refused) families.add(row.count, "reason", row.reason);
}

std::string metrics(const ServerFacts& facts, const dignet::NodeStatus& status) {
  MetricFamilies families("dignet_bootstrap_");
  families.gauge("uptime_seconds", "Since the server started", static_cast<std::uint64_t>(facts.uptime.count()));
  families.gauge("connections", "Connections, those that are being established included", status.connections);
  if (status.relay) add_relay(families, *status.relay);
  if (status.directory) add_directory(families, *status.directory);
  if (status.one_port) add_one_port(families, *status.one_port);
  return families.text();
}

}  // namespace

net::PageAnswer bootstrap_page(std::string_view path, const ServerFacts& facts, const dignet::NodeStatus& status) {
  if (path == "/") return {200, "text/html; charset=utf-8", page_for_people(facts, status)};
  if (path == "/health") return {200, "text/plain; charset=utf-8", "ok\n"};
  if (path == "/status.json") return {200, "application/json", status_json(facts, status)};
  if (path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", metrics(facts, status)};
  return {404, "text/plain; charset=utf-8", "not found\n"};
}

}  // namespace dig::service
