// SPDX-License-Identifier: Apache-2.0
#include "net/minting.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/url/url.hpp>

#include "net/clock.hpp"
#include "net/https_request.hpp"
#include "proto/turn_server/credentials.hpp"
#include "store/disk/secret_file.hpp"

namespace dig::net {
namespace {

namespace json = boost::json;

constexpr std::size_t k_max_groups = 32;
constexpr std::size_t k_max_servers = 32;  // of one group

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

void add_server(ServerGroup& group, const json::value& url) {
  if (!url.is_string() || group.servers.size() >= k_max_servers) return;
  if (auto uri = StunUri::parse(url.get_string())) group.servers.push_back(*std::move(uri));
}

ServerGroup group_of(const json::object& entry) {
  ServerGroup group;
  if (const json::value* const urls = entry.if_contains("urls")) {
    if (const json::array* const list = urls->if_array()) {
      for (const json::value& url : *list) add_server(group, url);
    } else {
      add_server(group, *urls);
    }
  }
  turn::Credentials login{.username = text_of(entry, "username"), .password = text_of(entry, "credential")};
  const bool fits = login.username.size() <= turn::k_max_username && login.password.size() <= turn::k_max_username;
  if (fits && !login.username.empty() && !login.password.empty()) group.credentials = std::move(login);
  return group;
}

// RTCConfiguration has a list; Cloudflare once answered with one entry in its place.
Result<json::array> entries_of(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error) return fail(Errc::malformed, "not JSON: " + error.message());
  if (const json::object* const object = value.if_object()) {
    const json::value* const inner = object->if_contains("iceServers");
    if (inner == nullptr) return fail(Errc::malformed, "no iceServers in the answer");
    value = json::value(*inner);
  }
  if (value.is_object()) return json::array{value};
  if (!value.is_array()) return fail(Errc::malformed, "iceServers is no list");
  return std::move(value.get_array());
}

ServerGroup mint_here(const ladder::Provider& provider, const std::string& secret) {
  const UnixTime now = wall_now();
  const std::string username = std::to_string(now.seconds + provider.lifetime.count());
  return {provider.servers, turn::Credentials{username, turn::rest_password(secret, username)}};
}

Result<HttpsRequest::Config> request_for(const ladder::Provider& provider, const std::string& key) {
  HttpsRequest::Config config;
  DIG_TRY(config.url, HttpsUrl::parse(provider.endpoint));
  if (provider.minting == ladder::Minting::metered) {
    boost::urls::url target("/");
    target.params().append({"apiKey", key});
    const char separator = config.url.target.find('?') == std::string::npos ? '?' : '&';
    config.url.target += separator + std::string(target.encoded_query());
    return config;
  }
  config.method = "POST";
  config.headers = {{"Authorization", "Bearer " + key}, {"Content-Type", "application/json"}};
  config.body = json::serialize(json::object{{"ttl", provider.lifetime.count()}});
  return config;
}

}  // namespace

Result<std::vector<ServerGroup>> parse_ice_servers(std::string_view text) {
  DIG_TRY(const json::array entries, entries_of(text));
  std::vector<ServerGroup> groups;
  for (const json::value& entry : entries) {
    if (!entry.is_object() || groups.size() >= k_max_groups) continue;
    ServerGroup group = group_of(entry.get_object());
    if (!group.servers.empty()) groups.push_back(std::move(group));
  }
  if (groups.empty()) return fail(Errc::malformed, "no server in the answer");
  return groups;
}

class Minting::Impl {
 public:
  Impl(Loop& loop, Resolver& resolver, const LegSettings& settings, const ladder::Provider& provider, Handler on_done)
      : loop_(loop), on_done_(std::move(on_done)) {
    if (provider.minting == ladder::Minting::none) {
      tell(std::vector{ServerGroup{provider.servers, provider.credentials}});
      return;
    }
    const auto key = store::read_secret_file(provider.key_file);
    if (!key) {
      tell(std::unexpected(key.error()));
    } else if (provider.minting == ladder::Minting::rest_secret) {
      tell(std::vector{mint_here(provider, *key)});
    } else {
      ask(resolver, settings, provider, *key);
    }
  }

 private:
  void ask(Resolver& resolver, const LegSettings& settings, const ladder::Provider& provider, const std::string& key) {
    auto config = request_for(provider, key);
    if (!config) return tell(std::unexpected(config.error()));
    const std::string host = config->url.host;
    config->leg = settings.for_https(host);
    request_ =
        std::make_unique<HttpsRequest>(loop_, resolver, *std::move(config),
                                       [this, host, servers = provider.servers](const Result<HttpsAnswer>& answer) {
                                         auto groups = read(host, answer);
                                         tell(groups ? chosen(servers, *std::move(groups)) : std::move(groups));
                                       });
  }

  static Result<std::vector<ServerGroup>> read(const std::string& host, const Result<HttpsAnswer>& answer) {
    if (!answer) return std::unexpected(answer.error());
    if (answer->status < 200 || answer->status > 299) {
      return fail(Errc::http_refused, host + ": status " + std::to_string(answer->status));
    }
    return parse_ice_servers(answer->body);
  }

  // The catalogue may name the servers it wants; they get the login that was minted.
  static Result<std::vector<ServerGroup>> chosen(const std::vector<StunUri>& servers, std::vector<ServerGroup> groups) {
    if (servers.empty()) return groups;
    for (ServerGroup& group : groups) {
      if (group.credentials) return std::vector{ServerGroup{servers, std::move(group.credentials)}};
    }
    return fail(Errc::malformed, "no login in the answer");
  }

  void tell(Result<std::vector<ServerGroup>> groups) {
    loop_.post([handler = std::exchange(on_done_, nullptr), groups = std::move(groups),
                alive = std::weak_ptr(alive_)]() mutable {
      if (!alive.expired()) handler(std::move(groups));
    });
  }

  Loop& loop_;
  Handler on_done_;
  std::unique_ptr<HttpsRequest> request_;
  std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
};

Minting::Minting(Loop& loop, Resolver& resolver, const LegSettings& settings, const ladder::Provider& provider,
                 Handler on_done)
    : impl_(std::make_unique<Impl>(loop, resolver, settings, provider, std::move(on_done))) {}
Minting::~Minting() = default;

std::vector<Result<std::vector<ServerGroup>>> mint_all(const ladder::Catalogue& catalogue, const LegSettings& settings,
                                                       std::optional<int> stop_fd) {
  Loop loop;
  Resolver resolver(loop);
  std::optional<ReadableWatch> stop;
  if (stop_fd) stop.emplace(loop, *stop_fd, [&loop] { loop.stop(); });
  std::vector<Result<std::vector<ServerGroup>>> outcomes(catalogue.providers.size(), fail(Errc::cancelled));
  std::vector<std::unique_ptr<Minting>> mintings;
  std::size_t open = outcomes.size();
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    mintings.push_back(std::make_unique<Minting>(loop, resolver, settings, catalogue.providers[i], [&, i](auto groups) {
      outcomes[i] = std::move(groups);
      if (--open == 0) loop.stop();
    }));
  }
  if (open > 0) loop.run();
  return outcomes;
}

}  // namespace dig::net
