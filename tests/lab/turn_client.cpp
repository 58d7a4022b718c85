// SPDX-License-Identifier: Apache-2.0
// A TURN client that a script drives: one allocation, commands as lines on stdin, events as lines of JSON on stdout.
//
//   turn_client URI USER PASSWORD CA-FILE SECONDS
//     CA-FILE  an authority to trust beside those of the system; empty: none
//     SECONDS  after which an allocation is refreshed at the latest, whatever the server grants
//   permit IP | bind IP:PORT | send IP:PORT TEXT | status | release
#include <unistd.h>

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "base/decimal.hpp"
#include "crypto/system_rng.hpp"
#include "net/leg_settings.hpp"
#include "net/turn_client.hpp"

namespace {

namespace json = boost::json;
using dig::Endpoint;
using dig::Error;
using dig::IpAddress;
using dig::Result;

void say(const json::object& line) { std::cout << json::serialize(line) << std::endl; }

json::object failure(std::string_view event, const Error& error) {
  return {{"event", event}, {"code", error.info().code}, {"detail", error.detail()}};
}

class Driver {
 public:
  explicit Driver(dig::net::Loop& loop) : loop_(loop), resolver_(loop) {}

  Result<void> start(std::span<char* const> arguments) {
    DIG_TRY(const dig::StunUri uri, dig::StunUri::parse(arguments[1]));
    dig::net::LegSettingsConfig settings_config;
    if (*arguments[4] != '\0') {
      std::ifstream file(arguments[4]);
      settings_config.more_authorities_pem.assign(std::istreambuf_iterator<char>(file), {});
    }
    DIG_TRY(const std::uint64_t seconds, dig::parse_decimal(arguments[5], 3600));
    DIG_TRY(const auto settings, dig::net::LegSettings::create(settings_config));
    dig::net::TurnClient::Config config{.server = {.transport = uri.transport, .host = uri.host, .port = uri.port},
                                        .leg = settings.for_stun(uri.transport, uri.host),
                                        .allocation = {}};
    config.allocation.credentials = {arguments[2], arguments[3]};
    config.allocation.address_policy = dig::stun::AddressPolicy::any_unicast;
    config.allocation.lifetime = std::chrono::seconds(seconds);
    config.limits.max_lifetime = config.allocation.lifetime;
    client_ = std::make_unique<dig::net::TurnClient>(
        loop_, resolver_, rng_, std::move(config),
        dig::net::TurnClient::Handlers{
            .on_event = [this](dig::Instant, const dig::turn::ClientAllocation::Event& event) { handle(event); },
            .on_data =
                [](dig::Instant, const dig::turn::PeerData& data) {
                  const auto* const text = reinterpret_cast<const char*>(data.data.data());
                  say({{"event", "data"},
                       {"peer", data.peer.to_string()},
                       {"text", std::string(text, data.data.size())}});
                }});
    watch_input();
    return {};
  }

 private:
  void handle(const dig::turn::ClientAllocation::Event& event) {
    if (const auto* allocated = std::get_if<dig::turn::Allocated>(&event)) {
      say({{"event", "allocated"},
           {"relayed", allocated->relayed_v4->to_string()},
           {"mapped", allocated->mapped.to_string()},
           {"lifetime", std::chrono::duration_cast<std::chrono::seconds>(allocated->lifetime).count()},
           {"tls", client_->leg()->tls}});
    } else if (const auto* installed = std::get_if<dig::turn::PermissionInstalled>(&event)) {
      say({{"event", "permitted"}, {"peer", installed->peer.to_string()}});
    } else if (const auto* lost = std::get_if<dig::turn::PermissionLost>(&event)) {
      say(failure("permission_lost", lost->error));
    } else if (const auto* bound = std::get_if<dig::turn::ChannelBound>(&event)) {
      say({{"event", "bound"}, {"peer", bound->peer.to_string()}});
    } else if (const auto* ended = std::get_if<dig::turn::Ended>(&event)) {
      say(failure("ended", ended->error));
      loop_.stop();
    } else if (std::holds_alternative<dig::turn::Released>(event)) {
      say({{"event", "released"}});
      loop_.stop();
    }
  }

  void watch_input() {
    input_.reset();  // one watch of a descriptor at a time
    input_ = std::make_unique<dig::net::ReadableWatch>(loop_, STDIN_FILENO, [this] { read_input(); });
  }

  void read_input() {
    std::array<char, 4096> buffer;
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) return loop_.stop();
    lines_.append(buffer.data(), static_cast<std::size_t>(size));
    for (std::size_t end = lines_.find('\n'); end != std::string::npos; end = lines_.find('\n')) {
      run(lines_.substr(0, end));
      lines_.erase(0, end + 1);
    }
    watch_input();
  }

  void run(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::string target;
    std::string text;
    words >> command >> target >> text;
    const auto result = dispatch(command, target, text);
    if (!result) say(failure("refused", result.error()));
  }

  Result<void> dispatch(const std::string& command, const std::string& target, const std::string& text) {
    if (command == "permit") {
      DIG_TRY(const IpAddress peer, IpAddress::parse(target));
      return client_->permit(peer);
    }
    if (command == "release") {
      client_->release();
      return {};
    }
    if (command == "status") {
      tell_status();
      return {};
    }
    DIG_TRY(const Endpoint peer, Endpoint::parse(target));
    if (command == "bind") return client_->bind_channel(peer);
    if (client_->send(peer, std::as_bytes(std::span(text))) == dig::turn::SendResult::taken) return {};
    return dig::fail(dig::Errc::invalid_argument, "not sent to " + target);
  }

  void tell_status() {
    const auto status = client_->snapshot();
    if (!status) return say({{"event", "status"}});
    say({{"event", "status"},
         {"refreshes", status->refreshes},
         {"nonce_changes", status->nonce_changes},
         {"channels", status->channels},
         {"uses_sha256", status->uses_sha256},
         {"rtt_ms", status->rtt ? static_cast<double>(status->rtt->count()) / 1e6 : -1.0}});
  }

  dig::net::Loop& loop_;
  dig::net::Resolver resolver_;
  dig::crypto::SystemRng rng_;
  std::string lines_;
  std::unique_ptr<dig::net::TurnClient> client_;
  std::unique_ptr<dig::net::ReadableWatch> input_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::span arguments(argv, static_cast<std::size_t>(argc));
  if (arguments.size() != 6) {
    std::cerr << "usage: turn_client URI USER PASSWORD CA-FILE SECONDS\n";
    return 2;
  }
  dig::net::Loop loop;
  Driver driver(loop);
  if (const auto started = driver.start(arguments); !started) {
    say(failure("ended", started.error()));
    return 2;
  }
  loop.run();
  return 0;
}
