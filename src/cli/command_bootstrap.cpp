// SPDX-License-Identifier: Apache-2.0
// dignet bootstrap: a node by which others find each other, and through which they reach each other.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>

#include "api/pages.hpp"
#include "cli/certificate.hpp"
#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/serving.hpp"
#include "cli/serving_hint.hpp"
#include "cli/session.hpp"
#include "cli/turn_relay_flags.hpp"
#include "service/bootstrap_pages.hpp"

namespace dig::cli {
namespace {

const std::vector<std::uint16_t> k_http_ports{80, 443};

struct BootstrapFlags {
  NodeFlags node;
  std::string domain;
  std::vector<std::string> public_ips;
  std::vector<std::uint16_t> http_ports;
  bool has_no_relay = false;
  CertificateFlags certificate;
  std::string redis;
  TurnRelayFlags turn{.is_bootstrap = true};
};

void print_hint(Context& context, service::Backend& /*backend*/, const service::json::object& ready) {
  const std::string address = printable(best_address(ready));
  context.console.note(
      "bootstrap server: peers register here, find each other, and are relayed where nothing else works");
  if (address.empty()) return;
  context.console.note("on the other computers run:\n  dignet serve --bootstrap " + address +
                       "\n  dignet get --bootstrap " + address + " URN");
}

Result<dignet::NodeOptions> bootstrap_options(const Context& context, const BootstrapFlags& flags,
                                              const std::optional<Certificate>& certificate) {
  DIG_TRY(dignet::NodeOptions options, serving_options(context, flags.node));
  options.is_bootstrap = true;
  options.is_relay = !flags.has_no_relay;
  options.domain = flags.domain;
  options.public_ips = flags.public_ips;
  if (certificate) {
    options.tls_certificates = certificate->chain;
    options.tls_key = certificate->key;
  }
  // --listen replaces the default listeners, these included.
  const bool has_defaults = options.listen_addresses.empty();
  options.extra_ports = flags.http_ports.empty() && has_defaults ? k_http_ports : flags.http_ports;
  options.redis = flags.redis.empty() ? context.settings.redis.value_or("") : flags.redis;
  DIG_CHECK(flags.turn.apply(options, context.settings));
  return options;
}

void serve_bootstrap_pages(const Context& context, dignet::Node& node) {
  const Instant started = service::EventLoop::now();
  dignet::serve_pages(node, [facts = service::ServerFacts{.version = context.version, .identity = node.identity()},
                             started](std::string_view path, const dignet::NodeStatus& status) {
    service::ServerFacts now = facts;
    now.uptime = std::chrono::duration_cast<std::chrono::seconds>(service::EventLoop::now() - started);
    return service::bootstrap_page(path, now, status);
  });
}

int run_bootstrap(Context& context, const BootstrapFlags& flags) {
  const auto certificate = flags.certificate.read();
  if (!certificate) return report_failure(context.console, certificate.error());
  std::optional<CertificateWatch> watch;
  return run_node(context, bootstrap_options(context, flags, *certificate), print_hint, [&](dignet::Node& node) {
    serve_bootstrap_pages(context, node);
    if (!*certificate) return;
    watch.emplace(context, flags.certificate, (*certificate)->version,
                  [&node](const Certificate& renewed) { return node.set_certificate(renewed.chain, renewed.key); });
  });
}

}  // namespace

Action define_bootstrap(CLI::App& app) {
  auto flags = std::make_shared<BootstrapFlags>();
  flags->node.define(app);
  app.add_option("--domain", flags->domain, "Peers reach this server by this name, which is announced too")
      ->type_name("NAME");
  app.add_option("--public-ip", flags->public_ips,
                 "Peers reach this server at this address, whatever its interfaces have (one a family)")
      ->type_name("IP")
      ->allow_extra_args(false);
  app.add_option("--http-ports", flags->http_ports,
                 "Serve everything on these ports as well, for peers behind firewalls (default 80,443)")
      ->type_name("LIST")
      ->delimiter(',')
      ->check(CLI::Range(1, 65535));
  flags->certificate.define(app, "Certificate chain (PEM) for TLS; reread on change (default: one is made)");
  app.add_option("--redis", flags->redis,
                 "Share the directory with other bootstrap servers through this Redis server: "
                 "redis://[user:password@]host[:port][/database], rediss:// for TLS")
      ->type_name("URL");
  flags->turn.define(app);
  app.add_flag("--no-relay", flags->has_no_relay, "Relay no circuits (libp2p circuit relay v2) for peers");
  app.footer(
      "Examples:\n  dignet bootstrap\n  dignet bootstrap --domain bootstrap.example\n"
      "  dignet bootstrap --public-ip 203.0.113.7 --port 4001\n"
      "  dignet bootstrap --public-ip 203.0.113.7 --relay-ip 10.0.0.5 --min-port 50000 --max-port 50999\n"
      "  DIGNET_REDIS=redis://:password@redis.example dignet bootstrap");
  return [flags](Context& context) { return run_bootstrap(context, *flags); };
}

}  // namespace dig::cli
