// SPDX-License-Identifier: Apache-2.0
#include "cli/turn_flags.hpp"

#include <fstream>
#include <iterator>
#include <sstream>

#include "store/disk/secret_file.hpp"

namespace dig::cli {
namespace {

constexpr std::uint64_t k_megabyte = 1'000'000;
constexpr std::uint64_t k_max_megabytes = 1'000'000'000'000;

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

// The lines of a file with secrets, without empty ones.
Result<std::vector<std::string>> read_secrets(const std::string& path) {
  DIG_TRY(const std::string text, store::read_secret_file(path));
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) return fail(Errc::invalid_argument, path + " is empty");
  return lines;
}

// `where` says where the text stands; the text itself is a secret.
Result<void> add_user(turn::StaticUsers& users, const std::string& text, const std::string& where) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
    return fail(Errc::invalid_argument, where + " is NAME:PASSWORD");
  }
  users.add(text.substr(0, colon), text.substr(colon + 1));
  return {};
}

Result<std::shared_ptr<const turn::CredentialSource>> credentials_of(const TurnFlags& flags) {
  if (flags.users.empty() && flags.user_files.empty() && flags.secret_files.empty()) {
    return fail(Errc::no_credentials);
  }
  auto sources = std::make_shared<turn::CredentialSources>();
  auto users = std::make_unique<turn::StaticUsers>(flags.realm);
  for (const std::string& user : flags.users) DIG_CHECK(add_user(*users, user, "--user"));
  for (const std::string& file : flags.user_files) {
    DIG_TRY(const std::vector<std::string> lines, read_secrets(file));
    for (const std::string& line : lines) DIG_CHECK(add_user(*users, line, "a line of " + file));
  }
  sources->add(std::move(users));
  if (!flags.secret_files.empty()) {
    std::vector<std::string> secrets;
    for (const std::string& file : flags.secret_files) {
      DIG_TRY(std::vector<std::string> lines, read_secrets(file));
      secrets.push_back(std::move(lines.front()));
    }
    sources->add(std::make_unique<turn::RestSecrets>(std::move(secrets)));
  }
  return sources;
}

TokenBucket::Rate rate_of(std::uint64_t kilobits) {
  const std::uint64_t bytes = kilobits * 1000 / 8;
  return {.per_second = bytes, .burst = bytes};  // a second of it at once
}

}  // namespace

Result<std::optional<Endpoint>> parse_endpoint(std::string_view flag, const std::string& text) {
  if (text.empty()) return std::nullopt;
  return parse_flag<Endpoint>(flag, text);
}

Result<net::TurnServiceOptions> turn_options(const TurnFlags& flags, const std::optional<Certificate>& certificate) {
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
  if (certificate) {
    DIG_TRY(options.tls, net::make_turn_tls(certificate->chain, certificate->key));
  }
  options.realm = flags.realm;
  options.min_port = flags.min_port;
  options.max_port = flags.max_port;
  options.threads = flags.threads;
  options.quotas.per_user = flags.user_quota;
  options.quotas.per_source = flags.source_quota;
  options.quotas.total = flags.total_quota;
  options.limits.allocation_bandwidth = rate_of(flags.allocation_kbps);
  options.limits.server_bandwidth = rate_of(flags.total_kbps);
  options.limits.allocation_volume = flags.allocation_megabytes * k_megabyte;
  options.limits.server_volume = flags.total_megabytes * k_megabyte;
  return options;
}

void add_turn_flags(CLI::App& app, TurnFlags& flags) {
  app.add_option("--listen", flags.listen, "Address and port for UDP and TCP (default: all addresses, 3478)")
      ->type_name("IP:PORT");
  app.add_option("--realm", flags.realm, "Realm of the credentials")->type_name("NAME")->capture_default_str();
  app.add_option("--user", flags.users, "A user with a password; --user-file keeps it out of the shell's history")
      ->type_name("NAME:PASS");
  app.add_option("--user-file", flags.user_files, "File with lines NAME:PASS, not readable by everybody")
      ->type_name("FILE");
  app.add_option("--secret-file", flags.secret_files,
                 "File with the shared secret of time-limited credentials; several while it is being replaced")
      ->type_name("FILE");
  app.add_option("--relay-ip", flags.relay_ips, "Address of this machine to relay from, one a family")->type_name("IP");
  app.add_option("--public-ip", flags.public_ips, "Address to tell clients in its place (behind a NAT)")
      ->type_name("IP");
  app.add_option("--alt-ip", flags.alternate_ip, "Second address of this machine: turns RFC 5780 on")->type_name("IP");
  app.add_option("--min-port", flags.min_port, "First relay port")->type_name("PORT")->capture_default_str();
  app.add_option("--max-port", flags.max_port, "Last relay port")->type_name("PORT")->capture_default_str();
  flags.certificate.define(app, "Certificate chain (PEM): takes TLS and DTLS too; reread on change");
  app.add_option("--allow-peer", flags.allowed_peers, "Relay to these addresses too, although they are not public")
      ->type_name("CIDR");
  app.add_option("--threads", flags.threads, "Threads that relay")
      ->type_name("N")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--user-quota", flags.user_quota, "Allocations of one user")->type_name("N")->capture_default_str();
  app.add_option("--source-quota", flags.source_quota, "Allocations from one address")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--total-quota", flags.total_quota, "Allocations in all")->type_name("N")->capture_default_str();
  app.add_option("--allocation-kbps", flags.allocation_kbps, "Kilobits a second of one allocation; 0: no limit")
      ->type_name("N");
  app.add_option("--total-kbps", flags.total_kbps, "Kilobits a second in all; 0: no limit")->type_name("N");
  app.add_option("--allocation-mb", flags.allocation_megabytes, "Megabytes of one allocation in all; 0: no limit")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{0}, k_max_megabytes));
  app.add_option("--total-mb", flags.total_megabytes, "Megabytes that this run relays; 0: no limit")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{0}, k_max_megabytes));
  app.add_option("--metrics", flags.metrics,
                 "Serve metrics for Prometheus at http://IP:PORT/metrics; scrape it by address")
      ->type_name("IP:PORT");
  app.add_option("--redirect", flags.redirect,
                 "Where new clients are sent (300) while this server is stopping; without it they are refused (508)")
      ->type_name("IP:PORT");
  app.add_option(
         "--drain", flags.drain_seconds,
         "How long clients that are there may stay, and refresh, when stopping; a second signal ends it at once")
      ->type_name("SECONDS")
      ->capture_default_str();
  app.footer(
      "Examples:\n  dignet turn --user-file /etc/dignet/turn.users --metrics 127.0.0.1:9478\n"
      "  dignet turn --listen 192.0.2.1:3478 --secret-file /etc/dignet/turn.secret --threads 2");
}

}  // namespace dig::cli
