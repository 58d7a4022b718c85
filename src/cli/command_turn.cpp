// SPDX-License-Identifier: Apache-2.0
// dignet turn: a STUN and TURN server alone, until it is told to stop.
#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <filesystem>

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

// Looks every few seconds whether the files have changed, and takes what is in them then. What cannot be read is told,
// and the server goes on with what it has.
class CertificateWatch {
 public:
  CertificateWatch(Context& context, const TurnFlags& flags, net::TurnService& server)
      : context_(context), flags_(flags), server_(server), seen_(stamp()) {
    if (!flags_.certificate_file.empty()) look_again();
  }
  ~CertificateWatch() { context_.loop.cancel(timer_); }
  CertificateWatch(const CertificateWatch&) = delete;
  CertificateWatch& operator=(const CertificateWatch&) = delete;

 private:
  using Stamp = std::array<std::filesystem::file_time_type, 2>;
  [[nodiscard]] Stamp stamp() const {
    std::error_code ignored;
    return {std::filesystem::last_write_time(flags_.certificate_file, ignored),
            std::filesystem::last_write_time(flags_.key_file, ignored)};
  }
  void look_again() {
    timer_ = context_.loop.call_after(std::chrono::seconds(2), [this] {
      if (const Stamp now = stamp(); now != seen_) {
        seen_ = now;
        reload();
      }
      look_again();
    });
  }
  void reload() {
    const auto contexts = read_turn_tls(flags_);
    if (contexts && *contexts) {
      server_.set_tls(**contexts);
      context_.console.json({{"event", "certificate"}, {"state", "reloaded"}});
      context_.console.note("the certificate has changed; new clients get the new one");
    } else if (!contexts) {
      context_.console.json(service::node_event_form(dignet::Warning{contexts.error()}));
      context_.console.error("the new certificate cannot be used: " + contexts.error().message());
    }
  }

  Context& context_;
  const TurnFlags& flags_;
  net::TurnService& server_;
  Stamp seen_;
  service::EventLoop::TimerId timer_ = 0;
};

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
  console.note("STUN and TURN server, UDP and TCP" +
               std::string(flags.certificate_file.empty() ? "" : ", TLS and DTLS") + ", listening on:");
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
  const auto options = turn_options(flags);
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
  std::optional<CertificateWatch> watch(std::in_place, context, flags, **server);

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
