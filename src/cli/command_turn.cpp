// SPDX-License-Identifier: Apache-2.0
// dignet turn: a STUN and TURN server alone, until it is told to stop.
#include <CLI/CLI.hpp>
#include <array>
#include <boost/json/array.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "dignet/node.hpp"
#include "net/turn_service.hpp"
#include "service/event_log.hpp"
#include "service/json_forms.hpp"
#include "service/signals.hpp"

namespace dig::cli {
namespace {

struct TurnFlags {
  std::vector<std::string> listen;
  std::string realm = "dignet";
  std::vector<std::string> users;
  std::vector<std::string> secret_files;
  std::vector<std::string> relay_ips;
  std::vector<std::string> public_ips;
  std::string alternate_ip;
  std::uint16_t min_port = 49152;
  std::uint16_t max_port = 65535;
  std::string certificate_file;
  std::string key_file;
  std::vector<std::string> allowed_peers;
  std::size_t threads = 1;
  std::size_t user_quota = 64;
  std::size_t source_quota = 256;
  std::size_t total_quota = 65'536;
  std::uint64_t allocation_kbps = 0;
  std::uint64_t total_kbps = 0;
  std::string redirect;
  std::uint32_t drain_seconds = 10;
};

// The value of a flag: what does not parse is a wrong use.
template <class T>
Result<T> parse_flag(std::string_view flag, const std::string& text) {
  auto value = T::parse(text);
  if (!value) return fail(Errc::invalid_argument, std::string(flag) + " " + text + ": " + value.error().message());
  return std::move(*value);
}

template <class T>
Result<std::vector<T>> parse_flags(std::string_view flag, const std::vector<std::string>& texts) {
  std::vector<T> values;
  for (const std::string& text : texts) {
    DIG_TRY(T value, parse_flag<T>(flag, text));
    values.push_back(std::move(value));
  }
  return values;
}

// The first line of a file, which nobody else may read.
Result<std::string> read_secret(const std::string& path) {
  std::ifstream file(path);
  std::string secret;
  if (!file || !std::getline(file, secret)) return fail(Errc::file_not_found, path);
  if (secret.empty()) return fail(Errc::invalid_argument, path + " is empty");
  return secret;
}

Result<std::shared_ptr<const turn::CredentialSource>> credentials_of(const TurnFlags& flags) {
  if (flags.users.empty() && flags.secret_files.empty()) return fail(Errc::no_credentials);
  auto sources = std::make_shared<turn::CredentialSources>();
  auto users = std::make_unique<turn::StaticUsers>(flags.realm);
  for (const std::string& user : flags.users) {
    const std::size_t colon = user.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == user.size()) {
      return fail(Errc::invalid_argument, "--user is NAME:PASSWORD");
    }
    users->add(user.substr(0, colon), user.substr(colon + 1));
  }
  sources->add(std::move(users));
  if (!flags.secret_files.empty()) {
    std::vector<std::string> secrets;
    for (const std::string& file : flags.secret_files) {
      DIG_TRY(std::string secret, read_secret(file));
      secrets.push_back(std::move(secret));
    }
    sources->add(std::make_unique<turn::RestSecrets>(std::move(secrets)));
  }
  return sources;
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return fail(Errc::file_not_found, path);
  return text;
}

// The certificate and key as they are in their files now; nothing when there are none.
Result<std::optional<net::TlsContexts>> read_tls(const TurnFlags& flags) {
  if (flags.certificate_file.empty() != flags.key_file.empty()) {
    return fail(Errc::invalid_argument, "--tls-cert and --tls-key go together");
  }
  if (flags.certificate_file.empty()) return std::nullopt;
  DIG_TRY(const std::string certificates, read_text(flags.certificate_file));
  DIG_TRY(const std::string key, read_text(flags.key_file));
  DIG_TRY(auto contexts, net::make_turn_tls(certificates, key));
  return contexts;
}

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
    const auto contexts = read_tls(flags_);
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

turn::TokenBucket::Rate rate_of(std::uint64_t kilobits) {
  const std::uint64_t bytes = kilobits * 1000 / 8;
  return {.per_second = bytes, .burst = bytes};  // a second of it at once
}

Result<net::TurnServiceOptions> options_of(const TurnFlags& flags) {
  net::TurnServiceOptions options;
  DIG_TRY(options.listen, parse_flags<Endpoint>("--listen", flags.listen));
  DIG_TRY(options.relay_ips, parse_flags<IpAddress>("--relay-ip", flags.relay_ips));
  DIG_TRY(options.public_ips, parse_flags<IpAddress>("--public-ip", flags.public_ips));
  DIG_TRY(options.allowed_peers, parse_flags<Cidr>("--allow-peer", flags.allowed_peers));
  if (!flags.alternate_ip.empty()) {
    DIG_TRY(options.alternate_ip, parse_flag<IpAddress>("--alt-ip", flags.alternate_ip));
    if (options.listen.empty() || options.listen.front().address.is_unspecified()) {
      return fail(Errc::invalid_argument, "--alt-ip needs --listen with an address of this machine");
    }
  }
  DIG_TRY(options.credentials, credentials_of(flags));
  DIG_TRY(options.tls, read_tls(flags));
  options.realm = flags.realm;
  options.min_port = flags.min_port;
  options.max_port = flags.max_port;
  options.threads = flags.threads;
  options.quotas.per_user = flags.user_quota;
  options.quotas.per_source = flags.source_quota;
  options.quotas.total = flags.total_quota;
  options.limits.allocation_bandwidth = rate_of(flags.allocation_kbps);
  options.limits.server_bandwidth = rate_of(flags.total_kbps);
  return options;
}

std::string multiaddr_of(const Endpoint& endpoint, std::string_view transport) {
  return std::string(endpoint.address.is_v4() ? "/ip4/" : "/ip6/") + endpoint.address.to_string() + "/" +
         std::string(transport) + "/" + std::to_string(endpoint.port);
}

service::json::object ready_form(const dignet::NodeIdentity& identity, const net::TurnService& server) {
  std::vector<std::string> addresses;
  for (const Endpoint& endpoint : server.listening()) {
    addresses.push_back(multiaddr_of(endpoint, "udp"));
    addresses.push_back(multiaddr_of(endpoint, "tcp"));
  }
  std::vector<dignet::PortLease> leases;
  for (const net::PortStatus& port : server.ports()) {
    leases.push_back({.purpose = port.purpose, .preferred = port.preferred, .port = port.port});
  }
  service::json::object ready = service::ready_form(identity, addresses, leases);
  ready["roles"] = service::json::array{"stun", "turn"};
  service::json::array relayed;
  for (const IpAddress& address : server.relayed_addresses()) relayed.emplace_back(address.to_string());
  ready["relay_addresses"] = std::move(relayed);
  return ready;
}

void print_ready(Console& console, const TurnFlags& flags, const net::TurnService& server) {
  console.note("STUN and TURN server, UDP and TCP" +
               std::string(flags.certificate_file.empty() ? "" : ", TLS and DTLS") + ", listening on:");
  for (const Endpoint& endpoint : server.listening()) console.result(endpoint.to_string());
  std::string relayed;
  for (const IpAddress& address : server.relayed_addresses()) relayed += " " + address.to_string();
  console.note("relays from" + (relayed.empty() ? " nowhere" : relayed) + ", ports " + std::to_string(flags.min_port) +
               "-" + std::to_string(flags.max_port) + ", to public addresses" +
               (flags.allowed_peers.empty() ? "" : " and what --allow-peer names"));
  console.note("stop it with Ctrl-C");
}

int run_turn(Context& context, const TurnFlags& flags) {
  Console& console = context.console;
  std::optional<Endpoint> redirect;
  if (!flags.redirect.empty()) {
    const auto parsed = parse_flag<Endpoint>("--redirect", flags.redirect);
    if (!parsed) return report_failure(console, parsed.error());
    redirect = *parsed;
  }
  auto options = options_of(flags);
  if (!options) return report_failure(console, options.error());
  const auto identity = dignet::Node::load_identity(context.paths.home);
  if (!identity) return report_failure(console, identity.error());
  auto server = net::TurnService::start(std::move(*options));
  if (!server) return report_failure(console, server.error());
  console.json(ready_form(*identity, **server));
  print_ready(console, flags, **server);
  std::optional<CertificateWatch> watch(std::in_place, context, flags, **server);

  const int signal_fd = service::Signals::fd();
  context.loop.watch(signal_fd, POLLIN, [&](short) { context.loop.unwatch(signal_fd); });
  context.loop.run_until([] { return service::Signals::stop_requested(); });
  watch.reset();
  // RFC 8489 §10: whoever asks now is sent elsewhere; who has an allocation may end it in peace.
  (*server)->drain(redirect);
  const auto until = service::EventLoop::now() + std::chrono::seconds(flags.drain_seconds);
  if ((*server)->snapshot().allocations > 0) console.note("waiting for clients to leave (Ctrl-C again to force)");
  bool is_due = true;
  context.loop.run_until([&] {
    if (!std::exchange(is_due, false)) return false;
    if ((*server)->snapshot().allocations == 0 || service::EventLoop::now() >= until) return true;
    context.loop.call_after(std::chrono::milliseconds(200), [&] { is_due = true; });
    return false;
  });
  console.json({{"event", "stopped"}});
  console.note("stopped");
  return 0;
}

}  // namespace

Action define_turn(CLI::App& app) {
  auto flags = std::make_shared<TurnFlags>();
  app.add_option("--listen", flags->listen, "Address and port for UDP and TCP (default: all addresses, 3478)")
      ->type_name("IP:PORT");
  app.add_option("--realm", flags->realm, "Realm of the credentials")->type_name("NAME")->capture_default_str();
  app.add_option("--user", flags->users, "A user with a password")->type_name("NAME:PASS");
  app.add_option("--secret-file", flags->secret_files,
                 "File with the shared secret of time-limited credentials; several while it is being replaced")
      ->type_name("FILE");
  app.add_option("--relay-ip", flags->relay_ips, "Address of this machine to relay from, one a family")
      ->type_name("IP");
  app.add_option("--public-ip", flags->public_ips, "Address to tell clients in its place (behind a NAT)")
      ->type_name("IP");
  app.add_option("--alt-ip", flags->alternate_ip, "Second address of this machine: turns RFC 5780 on")->type_name("IP");
  app.add_option("--min-port", flags->min_port, "First relay port")->type_name("PORT")->capture_default_str();
  app.add_option("--max-port", flags->max_port, "Last relay port")->type_name("PORT")->capture_default_str();
  app.add_option("--tls-cert", flags->certificate_file,
                 "Certificate chain (PEM): takes TLS and DTLS too; reread on change")
      ->type_name("FILE");
  app.add_option("--tls-key", flags->key_file, "Its private key (PEM)")->type_name("FILE");
  app.add_option("--allow-peer", flags->allowed_peers, "Relay to these addresses too, although they are not public")
      ->type_name("CIDR");
  app.add_option("--threads", flags->threads, "Threads that relay")
      ->type_name("N")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--user-quota", flags->user_quota, "Allocations of one user")->type_name("N")->capture_default_str();
  app.add_option("--source-quota", flags->source_quota, "Allocations from one address")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--total-quota", flags->total_quota, "Allocations in all")->type_name("N")->capture_default_str();
  app.add_option("--allocation-kbps", flags->allocation_kbps, "Kilobits a second of one allocation; 0: no limit")
      ->type_name("N");
  app.add_option("--total-kbps", flags->total_kbps, "Kilobits a second in all; 0: no limit")->type_name("N");
  app.add_option("--redirect", flags->redirect, "Where clients are sent while this server is stopping")
      ->type_name("IP:PORT");
  app.add_option("--drain", flags->drain_seconds, "How long to wait for clients when stopping")
      ->type_name("SECONDS")
      ->capture_default_str();
  app.footer(
      "Examples:\n  dignet turn --user alice:secret\n"
      "  dignet turn --listen 192.0.2.1:3478 --secret-file /etc/dignet/turn.secret --threads 2");
  return [flags](Context& context) { return run_turn(context, *flags); };
}

}  // namespace dig::cli
