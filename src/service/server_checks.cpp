// SPDX-License-Identifier: Apache-2.0
#include "service/server_checks.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "crypto/system_rng.hpp"
#include "net/clock.hpp"
#include "net/minting.hpp"
#include "service/json_forms.hpp"
#include "store/disk/file.hpp"

namespace dig::service {
namespace {

namespace json = boost::json;

constexpr std::size_t k_max_running = 8;
constexpr std::uint64_t k_max_cache = 1024 * 1024;

double milliseconds(Duration duration) {
  const double value = std::chrono::duration<double, std::milli>(duration).count();
  return std::round(value * 1000.0) / 1000.0;
}

json::value optional_text(const std::optional<Endpoint>& endpoint) {
  return endpoint ? json::value(endpoint->to_string()) : json::value(nullptr);
}

json::value optional_time(const std::optional<Duration>& duration) {
  return duration ? json::value(milliseconds(*duration)) : json::value(nullptr);
}

std::string url_of(const json::object& health) {
  const json::value* const url = health.if_contains("url");
  return url != nullptr && url->is_string() ? std::string(url->get_string()) : std::string();
}

// As health_form() makes it, as far as a reader relies on it.
bool is_health(const json::value& value) {
  const json::object* const object = value.if_object();
  if (object == nullptr) return false;
  const json::value* const ok = object->if_contains("ok");
  const json::value* const error = object->if_contains("error");
  return !url_of(*object).empty() && ok != nullptr && ok->is_bool() && error != nullptr &&
         (error->is_null() || error->is_object());
}

// Several checks at once on one loop.
class Checks {
 public:
  using OnResult = std::function<void(std::size_t, json::object)>;

  Checks(const std::vector<ServerToCheck>& servers, const net::LegSettings& settings, const OnResult& on_result)
      : servers_(servers), settings_(settings), on_result_(on_result), resolver_(loop_), running_(servers.size()) {}

  bool run(int stop_fd) {
    const net::ReadableWatch stop(loop_, stop_fd, [this] { loop_.stop(); });
    for (std::size_t i = 0; i < k_max_running; ++i) start_next();
    if (done_ < servers_.size()) loop_.run();
    return done_ == servers_.size();
  }

 private:
  void start_next() {
    if (next_ == servers_.size()) return;
    const std::size_t index = next_++;
    const ServerToCheck& server = servers_[index];
    if (server.error) {
      loop_.post([this, index] { finish(index, {.error = servers_[index].error}); });
      return;
    }
    running_[index] = std::make_unique<net::ServerCheck>(
        loop_, resolver_, rng_,
        net::ServerCheckConfig{.server = server.server,
                               .credentials = server.credentials,
                               .leg = settings_.for_stun(server.server.transport, server.server.host)},
        [this, index](const net::ServerHealth& health) { finish(index, health); });
  }

  void finish(std::size_t index, const net::ServerHealth& health) {
    on_result_(index, health_form(servers_[index], health, net::wall_now()));
    running_[index].reset();
    ++done_;
    start_next();
    if (done_ == servers_.size()) loop_.stop();
  }

  const std::vector<ServerToCheck>& servers_;
  const net::LegSettings& settings_;
  const OnResult& on_result_;
  crypto::SystemRng rng_;
  net::Loop loop_;
  net::Resolver resolver_;
  std::vector<std::unique_ptr<net::ServerCheck>> running_;
  std::size_t next_ = 0;
  std::size_t done_ = 0;
};

}  // namespace

std::vector<ServerToCheck> servers_of(const ladder::Catalogue& catalogue, const net::LegSettings& settings,
                                      int stop_fd) {
  std::vector<ServerToCheck> servers;
  const auto outcomes = net::mint_all(catalogue, settings, stop_fd);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const ladder::Provider& provider = catalogue.providers[i];
    if (!outcomes[i]) {
      for (const StunUri& uri : provider.servers) servers.push_back({uri, {}, provider.name, outcomes[i].error()});
      if (provider.servers.empty())
        servers.push_back({StunUri{.is_turn = true}, {}, provider.name, outcomes[i].error()});
      continue;
    }
    for (const net::ServerGroup& group : *outcomes[i]) {
      for (const StunUri& uri : group.servers) servers.push_back({uri, group.credentials, provider.name, {}});
    }
  }
  return servers;
}

json::object health_form(const ServerToCheck& server, const net::ServerHealth& health, UnixTime now) {
  // A provider that gave no servers has none to name.
  const bool is_named = !server.server.host.empty();
  return {{"url", is_named ? json::value(server.server.to_string()) : json::value(nullptr)},
          {"kind", server.server.is_turn ? "turn" : "stun"},
          {"provider", server.provider.empty() ? json::value(nullptr) : json::value(server.provider)},
          {"ok", !health.error.has_value()},
          {"rtt_ms", optional_time(health.rtt)},
          {"mapped", optional_text(health.mapped)},
          {"relayed", optional_text(health.relayed)},
          {"echo_ms", optional_time(health.echo)},
          {"connect_ms", optional_time(health.opened)},
          {"tls", health.tls.empty() ? json::value(nullptr) : json::value(health.tls)},
          {"error", health.error ? json::value(error_form(*health.error)) : json::value(nullptr)},
          {"checked_at", now.seconds},
          {"age_s", 0}};
}

bool check_servers(const std::vector<ServerToCheck>& servers, const net::LegSettings& settings, int stop_fd,
                   const std::function<void(std::size_t, json::object)>& on_result) {
  return Checks(servers, settings, on_result).run(stop_fd);
}

HealthCache::HealthCache(std::filesystem::path file) : file_(std::move(file)) {
  const auto opened = store::File::open_regular(file_);
  const auto text = opened ? opened->read_text(k_max_cache) : Result<std::string>();
  if (!text) return;
  boost::system::error_code error;
  const json::value value = json::parse(*text, error);
  if (error || !value.is_array()) return;
  for (const json::value& entry : value.get_array()) {
    if (is_health(entry)) put(entry.get_object());
  }
}

std::optional<json::object> HealthCache::find(std::string_view url, std::chrono::seconds max_age, UnixTime now) const {
  for (const json::object& entry : entries_) {
    const json::value* const checked = entry.if_contains("checked_at");
    if (url_of(entry) != url || checked == nullptr || !checked->is_int64()) continue;
    const std::int64_t age = now.seconds - checked->get_int64();
    if (age < 0 || age > max_age.count()) return std::nullopt;
    json::object found = entry;
    found["age_s"] = age;
    return found;
  }
  return std::nullopt;
}

void HealthCache::put(const json::object& health) {
  const std::string url = url_of(health);
  if (url.empty()) return;
  std::erase_if(entries_, [&](const json::object& entry) { return url_of(entry) == url; });
  entries_.push_back(health);
  if (entries_.size() > k_max_entries) entries_.erase(entries_.begin());
}

Result<void> HealthCache::save() const {
  DIG_CHECK(store::make_folders(file_.parent_path()));
  DIG_TRY(auto pending, store::PendingFile::create(file_));
  const std::string text = json::serialize(json::array(entries_.begin(), entries_.end()));
  DIG_CHECK(pending.file().write_at(0, std::as_bytes(std::span(text))));
  return pending.commit();
}

}  // namespace dig::service
