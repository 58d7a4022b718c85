// SPDX-License-Identifier: Apache-2.0
#include "dignet/ice.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "api/catalogue_file.hpp"
#include "net/minting.hpp"

namespace dignet {
namespace {

// Browsers refuse a whole configuration for one URI with TURN over DTLS: they speak turns: over TCP only.
bool is_for_browsers(const dig::StunUri& uri) { return !(uri.is_turn && uri.transport == dig::StunTransport::dtls); }

dig::Result<IceServer> checked(const IceServer& server, std::vector<Error>& warnings) {
  IceServer result{.urls = {}, .username = server.username, .credential = server.credential};
  for (const std::string& url : server.urls) {
    DIG_TRY(const dig::StunUri uri, dig::StunUri::parse(url));
    if (uri.is_turn && (server.username.empty() || server.credential.empty())) {
      return dig::fail(Errc::invalid_argument, "a user name and a password are needed for " + uri.to_string());
    }
    if (is_for_browsers(uri)) {
      result.urls.push_back(uri.to_string());
    } else {
      warnings.emplace_back(Errc::unsupported, "browsers know no TURN over DTLS: " + uri.to_string());
    }
  }
  return result;
}

IceServer to_public(const dig::net::ServerGroup& group, bool with_turn) {
  IceServer server;
  for (const dig::StunUri& uri : group.servers) {
    if (is_for_browsers(uri) && (with_turn || !uri.is_turn)) server.urls.push_back(uri.to_string());
  }
  const bool has_turn = with_turn && std::ranges::any_of(group.servers, &dig::StunUri::is_turn);
  if (has_turn && group.credentials) {
    server.username = group.credentials->username;
    server.credential = group.credentials->password;
  }
  return server;
}

}  // namespace

Result<IceConfiguration> ice_configuration(const IceOptions& options) {
  IceConfiguration configuration;
  for (const IceServer& own : options.servers) {
    DIG_TRY(IceServer server, checked(own, configuration.warnings));
    if (!server.urls.empty()) configuration.servers.push_back(std::move(server));
  }
  DIG_TRY(const dig::ladder::Catalogue catalogue, dig::api::load_catalogue(options.catalogue));
  DIG_TRY(const auto settings, dig::net::LegSettings::create({.more_authorities_pem = options.more_authorities_pem,
                                                              .https_proxy = options.https_proxy,
                                                              .no_proxy = options.no_proxy}));
  const auto outcomes = dig::net::mint_all(catalogue, settings, options.stop_fd);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const dig::ladder::Provider& provider = catalogue.providers[i];
    const auto& groups = outcomes[i];
    if (!groups && groups.error().code() == Errc::cancelled) return std::unexpected(groups.error());
    if (!groups) {
      const std::string& detail = groups.error().detail();
      configuration.warnings.emplace_back(groups.error().code(), provider.name + (detail.empty() ? "" : ": " + detail));
      continue;
    }
    for (const dig::net::ServerGroup& group : *groups) {
      IceServer server = to_public(group, options.include_public_turn || !provider.is_public);
      if (!server.urls.empty()) configuration.servers.push_back(std::move(server));
    }
  }
  return configuration;
}

std::string to_json(const IceConfiguration& configuration) {
  boost::json::array servers;
  for (const IceServer& server : configuration.servers) {
    boost::json::object entry{{"urls", boost::json::array(server.urls.begin(), server.urls.end())}};
    if (!server.username.empty()) {
      entry["username"] = server.username;
      entry["credential"] = server.credential;
    }
    servers.push_back(std::move(entry));
  }
  return boost::json::serialize(boost::json::object{{"iceServers", std::move(servers)},
                                                    {"iceTransportPolicy", "all"},
                                                    {"bundlePolicy", "balanced"},
                                                    {"rtcpMuxPolicy", "require"},
                                                    {"iceCandidatePoolSize", 10}});
}

}  // namespace dignet
