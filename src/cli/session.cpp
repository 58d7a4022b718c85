// SPDX-License-Identifier: Apache-2.0
#include "cli/session.hpp"

#include <CLI/CLI.hpp>

#include "cli/server_flags.hpp"
#include "service/json_forms.hpp"
#include "service/local_backend.hpp"
#include "service/remote_backend.hpp"
#include "service/signals.hpp"

namespace dig::cli {
namespace {

constexpr std::chrono::seconds k_cancel_patience{2};

}  // namespace

void NodeFlags::define(CLI::App& app) {
  app.add_option("--listen", listen, "Listen on this address in place of the default ones (may be repeated)")
      ->type_name("MULTIADDR")
      ->allow_extra_args(false);
  app.add_option("--port", port, "Preferred port (default 4001); the next free one if it is taken, 0 for any")
      ->type_name("N")
      ->check(CLI::Range(0, 65535));
  app.add_option("--announce", announce, "Publish this address in place of those found (may be repeated)")
      ->type_name("MULTIADDR")
      ->allow_extra_args(false);
  app.add_option("--relay", relay, "Be reachable through this libp2p circuit relay (may be repeated)")
      ->type_name("MULTIADDR")
      ->allow_extra_args(false);
  app.add_option("--bootstrap", bootstrap, "A bootstrap server, which knows who holds what (may be repeated)")
      ->type_name("MULTIADDR")
      ->allow_extra_args(false);
  app.add_option("--ca", ca, "Trust these authorities (PEM) beside the system's, for TLS")->type_name("FILE");
  app.add_option("--tiers", tiers, "Use only these tiers: numbers, names or ranges (1-4, direct,peer-turn)")
      ->type_name("LIST");
}

Result<dignet::NodeOptions> serving_options(const Context& context, const NodeFlags& flags) {
  const service::Settings& settings = context.settings;
  dignet::NodeOptions options;
  options.home = context.paths.home;
  options.listen = true;
  options.preferred_port =
      flags.port >= 0 ? static_cast<std::uint16_t>(flags.port) : settings.port.value_or(options.preferred_port);
  // A port given for this run means the default listeners on that port, whatever the file says about listeners.
  if (!flags.listen.empty()) {
    options.listen_addresses = flags.listen;
  } else if (flags.port < 0) {
    options.listen_addresses = settings.listen.value_or(std::vector<std::string>{});
  }
  options.announce_addresses =
      !flags.announce.empty() ? flags.announce : settings.announce.value_or(std::vector<std::string>{});
  options.relays = !flags.relay.empty() ? flags.relay : settings.relay.value_or(std::vector<std::string>{});
  options.bootstraps =
      !flags.bootstrap.empty() ? flags.bootstrap : settings.bootstrap.value_or(std::vector<std::string>{});
  DIG_TRY(options.authorities, read_authorities(!flags.ca.empty() ? flags.ca : settings.ca.value_or("")));
  options.tiers = !flags.tiers.empty() ? flags.tiers : settings.tiers.value_or("");
  return options;
}

Result<dignet::NodeOptions> brief_options(const Context& context, const NodeFlags& flags) {
  DIG_TRY(dignet::NodeOptions options, serving_options(context, flags));
  options.listen = !flags.listen.empty() || flags.port >= 0;
  if (!options.listen) options.relays.clear();  // nobody is to find it
  return options;
}

Result<OpenBackend> open_backend(Context& context, const NodeFlags& flags) {
  if (!flags.is_any_given() && !context.are_tiers_from_environment) {
    auto remote = service::RemoteBackend::connect(context.loop, context.paths.home);
    if (remote) return OpenBackend{.backend = std::move(*remote), .is_running_node = true};
    if (remote.error().code() != Errc::not_running) return std::unexpected(remote.error());
  }
  DIG_TRY(auto options, brief_options(context, flags));
  return OpenBackend{.backend = std::make_unique<service::LocalBackend>(context.loop, std::move(options)),
                     .is_running_node = false};
}

service::Reply run_call(Context& context, service::Backend& backend, const std::string& method,
                        const service::json::object& params, service::EventSink on_event) {
  // Shared with the sinks: when patience ends, a late reply must still find it.
  struct State {
    std::optional<service::Reply> reply;
    service::EventSink on_event;
  };
  auto state = std::make_shared<State>();
  state->on_event = std::move(on_event);
  const service::CallId call = backend.start(
      method, params,
      [state](const service::json::object& event) {
        if (!state->reply && state->on_event) state->on_event(event);
      },
      [state](service::Reply reply) {
        if (!state->reply) state->reply = std::move(reply);
      });
  const int signal_fd = service::Signals::fd();
  service::EventLoop::TimerId patience = 0;
  context.loop.watch(signal_fd, POLLIN, [&](short) {
    context.loop.unwatch(signal_fd);  // a second signal does not come here
    context.console.note("stopping (once more to stop at once)");
    backend.cancel(call);
    patience = context.loop.call_after(k_cancel_patience, [state] {
      if (!state->reply) state->reply = service::error_reply(Error(Errc::cancelled));
    });
  });
  context.loop.run_until([&] { return state->reply.has_value(); });
  context.loop.unwatch(signal_fd);
  if (patience != 0) context.loop.cancel(patience);
  service::Reply reply = std::move(*state->reply);
  state->reply.emplace();
  return reply;
}

service::Reply run_on_running_node(Context& context, const std::string& method, const service::json::object& params) {
  auto remote = service::RemoteBackend::connect(context.loop, context.paths.home);
  if (!remote) return service::error_reply(remote.error());
  return run_call(context, **remote, method, params, nullptr);
}

service::Reply run_simple_call(Context& context, const std::string& method, const service::json::object& params) {
  Result<OpenBackend> opened = open_backend(context);
  if (!opened) return service::error_reply(opened.error());
  return run_call(context, *opened->backend, method, params, nullptr);
}

}  // namespace dig::cli
