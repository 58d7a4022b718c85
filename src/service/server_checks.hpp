// SPDX-License-Identifier: Apache-2.0
// Checks of STUN and TURN servers for commands: the servers of the catalogue with their credentials, several checks at
// once, and what they found in JSON and in a cache, with its age.
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ladder/catalogue.hpp"
#include "net/server_check.hpp"

namespace dig::net {
class LegSettings;
}

namespace dig::service {

struct ServerToCheck {
  StunUri server;
  std::optional<turn::Credentials> credentials;
  std::string provider;        // of the catalogue; may be empty
  std::optional<Error> error;  // why it cannot be checked: its credentials could not be had
};

// The servers of the catalogue, those of minting providers with fresh credentials. Blocks, at most 15 seconds, or until
// `stop_fd` is readable.
[[nodiscard]] std::vector<ServerToCheck> servers_of(const ladder::Catalogue& catalogue,
                                                    const net::LegSettings& settings, int stop_fd);

// `url` is null for a provider that gave no servers.
// {url, kind, provider, ok, rtt_ms, mapped, relayed, echo_ms, connect_ms, tls, error:{code, detail, hint}, checked_at}
[[nodiscard]] boost::json::object health_form(const ServerToCheck& server, const net::ServerHealth& health,
                                              UnixTime now);

// Checks all of them, and tells each result as it comes. False: `stop_fd` became readable first.
[[nodiscard]] bool check_servers(const std::vector<ServerToCheck>& servers, const net::LegSettings& settings,
                                 int stop_fd,
                                 const std::function<void(std::size_t index, boost::json::object)>& on_result);

// What was found lately, in <home>/server-health.json. A file that is missing or damaged is an empty cache.
class HealthCache {
 public:
  static constexpr std::size_t k_max_entries = 256;  // the oldest give way

  explicit HealthCache(std::filesystem::path file);
  // Not older than that, with its age in age_s.
  [[nodiscard]] std::optional<boost::json::object> find(std::string_view url, std::chrono::seconds max_age,
                                                        UnixTime now) const;
  void put(const boost::json::object& health);
  [[nodiscard]] Result<void> save() const;

 private:
  std::filesystem::path file_;
  std::vector<boost::json::object> entries_;  // oldest first
};

}  // namespace dig::service
