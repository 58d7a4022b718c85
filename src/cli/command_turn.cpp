// SPDX-License-Identifier: Apache-2.0
// dignet turn: a STUN and TURN server alone, until it is told to stop.
#include <algorithm>
#include <boost/json/array.hpp>

#include "api/outbox.hpp"
#include "base/address_class.hpp"
#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/turn_flags.hpp"
#include "dignet/node.hpp"
#include "service/event_log.hpp"
#include "service/json_forms.hpp"
#include "service/metrics_server.hpp"
#include "service/signals.hpp"
#include "service/status_forms.hpp"
#include "service/turn_metrics.hpp"

namespace dig::cli {
namespace {

std::string multiaddr_of(const Endpoint& endpoint, std::string_view transport) {
  return std::string(endpoint.address.is_v4() ? "/ip4/" : "/ip6/") + endpoint.address.to_string() + "/" +
         std::string(transport) + "/" + std::to_string(endpoint.port);
}

service::json::object ready_form(const dignet::NodeIdentity& identity, const net::TurnService& server,
                                 const service::MetricsServer* metrics) {
  std::vector<std::string> addresses;
  for (const Endpoint& endpoint : server.listening()) {
    addresses.push_back(multiaddr_of(endpoint, "udp"));
    addresses.push_back(multiaddr_of(endpoint, "tcp"));
  }
  std::vector<dignet::PortLease> leases;
  for (const net::PortStatus& port : server.ports()) {
    leases.push_back({.purpose = port.purpose, .preferred = port.preferred, .port = port.port});
  }
  service::json::object ready{{"event", "ready"}};
  for (const service::json::key_value_pair& member :
       service::node_form(identity, leases, addresses, {"stun", "turn"})) {
    ready.emplace(member.key(), member.value());
  }
  service::json::array relayed;
  for (const IpAddress& address : server.relayed_addresses()) relayed.emplace_back(address.to_string());
  ready["relay_addresses"] = std::move(relayed);
  if (metrics != nullptr) ready["metrics"] = metrics->url();
  return ready;
}

void print_ready(Console& console, const TurnFlags& flags, const net::TurnService& server,
                 const service::MetricsServer* metrics) {
  console.note("STUN and TURN server, UDP and TCP" + std::string(flags.certificate.is_given() ? ", TLS and DTLS" : "") +
               ", listening on:");
  for (const Endpoint& endpoint : server.listening()) console.result(endpoint.to_string());
  std::string relayed;
  for (const IpAddress& address : server.relayed_addresses()) relayed += " " + address.to_string();
  console.note("relays from" + (relayed.empty() ? " nowhere" : relayed) + ", ports " + std::to_string(flags.min_port) +
               "-" + std::to_string(flags.max_port) + ", to public addresses" +
               (flags.allowed_peers.empty() ? "" : " and what --allow-peer names"));
  if (metrics != nullptr) console.note("metrics at " + metrics->url());
  console.note("stop it with Ctrl-C");
}

void warn(Console& console, const Error& error) {
  console.json(service::node_event_form(dignet::Warning{error}));
  console.error("warning: " + error.message());
  if (!error.info().hint.empty()) console.error("  hint: " + std::string(error.info().hint));
}

// What clients are told and peers on the Internet cannot reach is of use in a closed network only. --public-ip names
// the address that is meant, --allow-peer says that such a network is.
void warn_of_private_relays(Console& console, const net::TurnServiceOptions& options, const net::TurnService& server) {
  if (!options.allowed_peers.empty()) return;
  for (const IpAddress& address : server.relayed_addresses()) {
    const bool is_meant = std::ranges::find(options.public_ips, address) != options.public_ips.end();
    if (is_meant || is_global(address)) continue;
    warn(console, Error(Errc::turn_relay_not_public, address.to_string()));
  }
}

// RFC 8489 §10: whoever asks now is sent elsewhere; who has an allocation may go on until the time is up.
void drain(Context& context, const TurnFlags& flags, net::TurnService& server,
           const std::optional<Endpoint>& redirect) {
  const auto outbox = std::make_shared<dignet::Outbox>();  // also of a thread that comes too late
  bool is_over = false;
  context.loop.watch(outbox->handle(), POLLIN, [&](short) { outbox->run(); });
  server.drain(redirect, [outbox, &is_over] { outbox->put([&is_over] { is_over = true; }); });
  const auto timer = context.loop.call_after(std::chrono::seconds(flags.drain_seconds), [&] { is_over = true; });
  if (const std::size_t left = server.snapshot().allocations; left > 0 && flags.drain_seconds > 0) {
    context.console.json({{"event", "draining"}, {"allocations", left}, {"seconds", flags.drain_seconds}});
    context.console.note("waiting up to " + std::to_string(flags.drain_seconds) + " s for " + std::to_string(left) +
                         " allocations to end (Ctrl-C again to force)");
  }
  context.loop.run_until([&] { return is_over; });
  context.loop.cancel(timer);
  context.loop.unwatch(outbox->handle());
}

Result<std::unique_ptr<service::MetricsServer>> serve_metrics(Context& context, const TurnFlags& flags,
                                                              net::TurnService& server) {
  DIG_TRY(const auto endpoint, parse_endpoint("--metrics", flags.metrics));
  if (!endpoint) return nullptr;
  return service::MetricsServer::create(context.loop, *endpoint,
                                        [&server] { return service::turn_metrics(server.snapshot()); });
}

int run_turn(Context& context, const TurnFlags& flags) {
  Console& console = context.console;
  const auto redirect = parse_endpoint("--redirect", flags.redirect);
  if (!redirect) return report_failure(console, redirect.error());
  const auto certificate = flags.certificate.read();
  if (!certificate) return report_failure(console, certificate.error());
  const auto options = turn_options(flags, *certificate);
  if (!options) return report_failure(console, options.error());
  const auto identity = dignet::Node::load_identity(context.paths.home);
  if (!identity) return report_failure(console, identity.error());
  auto server = net::TurnService::start(*options);
  if (!server) return report_failure(console, server.error());
  const auto metrics = serve_metrics(context, flags, **server);
  if (!metrics) return report_failure(console, metrics.error());
  console.json(ready_form(*identity, **server, metrics->get()));
  print_ready(console, flags, **server, metrics->get());
  warn_of_private_relays(console, *options, **server);
  std::optional<CertificateWatch> watch;
  if (*certificate) {
    watch.emplace(context, flags.certificate, (*certificate)->version, [&](const Certificate& renewed) -> Result<void> {
      DIG_TRY(const auto tls, net::make_turn_tls(renewed.chain, renewed.key));
      (*server)->set_tls(tls);
      return {};
    });
  }

  const int signal_fd = service::Signals::fd();
  context.loop.watch(signal_fd, POLLIN, [&](short) { context.loop.unwatch(signal_fd); });
  context.loop.run_until([] { return service::Signals::stop_requested(); });
  watch.reset();
  drain(context, flags, **server, *redirect);
  console.json({{"event", "stopped"}});
  console.note("stopped");
  return 0;
}

}  // namespace

Action define_turn(CLI::App& app) {
  auto flags = std::make_shared<TurnFlags>();
  add_turn_flags(app, *flags);
  return [flags](Context& context) { return run_turn(context, *flags); };
}

}  // namespace dig::cli
