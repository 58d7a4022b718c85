// SPDX-License-Identifier: Apache-2.0
#include "cli/server_flags.hpp"

#include <CLI/CLI.hpp>

#include "net/http_proxy.hpp"
#include "store/disk/file.hpp"

namespace dig::cli {
namespace {

constexpr std::uint64_t k_max_authorities = 4 * 1024 * 1024;

}  // namespace

void ServerFlags::define(CLI::App& app) {
  app.add_option("--user", user, "User name for the TURN servers that are named")->type_name("NAME");
  app.add_option("--pass", pass, "Their password; DIGNET_TURN_PASS hides it from other users")->type_name("PASSWORD");
  app.add_option("--catalogue", catalogue, "File in place of the built-in list of public servers")->type_name("FILE");
  app.add_option("--ca", ca, "Authorities (PEM) to trust beside those of the system")->type_name("FILE");
  app.add_option("--proxy", proxy, "HTTP proxy for TCP and TLS (default: HTTPS_PROXY)")->type_name("URL");
}

Result<void> ServerFlags::complete(const service::Settings& settings) {
  if (!proxy.empty()) DIG_CHECK(net::HttpProxy::parse(proxy));
  const auto fill = [](std::string& flag, const std::optional<std::string>& setting) {
    if (flag.empty()) flag = setting.value_or("");
  };
  fill(user, settings.turn_user);
  fill(pass, settings.turn_pass);
  fill(catalogue, settings.catalogue);
  fill(ca, settings.ca);
  fill(proxy, settings.proxy);
  return {};
}

Result<std::string> read_authorities(const std::string& path) {
  if (path.empty()) return std::string();
  DIG_TRY(const auto file, store::File::open_regular(path));
  return file.read_text(k_max_authorities);
}

}  // namespace dig::cli
