// SPDX-License-Identifier: Apache-2.0
#include "service/control_server.hpp"

#include <sys/socket.h>

#include "service/control_socket.hpp"

namespace dig::service {

struct ControlServer::Client {
  std::unique_ptr<LineChannel> channel;
  std::unique_ptr<ControlSession> session;
};

Result<std::unique_ptr<ControlServer>> ControlServer::create(EventLoop& loop, Backend& backend,
                                                             const std::filesystem::path& home, Limits limits) {
  DIG_TRY(net::UniqueFd listener, listen_control_socket(home));
  return std::unique_ptr<ControlServer>(new ControlServer(loop, backend, home, limits, std::move(listener)));
}

ControlServer::ControlServer(EventLoop& loop, Backend& backend, std::filesystem::path home, Limits limits,
                             net::UniqueFd listener)
    : loop_(loop), backend_(backend), home_(std::move(home)), limits_(limits), listener_(std::move(listener)) {
  loop_.watch(listener_.value(), POLLIN, [this](short) { accept_clients(); });
}

ControlServer::~ControlServer() {
  loop_.unwatch(listener_.value());
  remove_control_socket(home_);
  clients_.clear();
}

void ControlServer::accept_clients() {
  net::UniqueFd fd(::accept4(listener_.value(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd || !is_trusted_peer(fd.value()) || clients_.size() >= limits_.max_clients) return;
  const int key = fd.value();
  auto client = std::make_shared<Client>();
  const std::weak_ptr<Client> weak = client;
  client->channel = std::make_unique<LineChannel>(loop_, std::move(fd), limits_.channel,
                                                  LineChannel::Callbacks{
                                                      .on_line =
                                                          [weak](std::string_view line) {
                                                            if (const auto strong = weak.lock())
                                                              strong->session->handle_line(line);
                                                          },
                                                      .on_closed = [this, key] { clients_.erase(key); },
                                                  });
  LineChannel& channel = *client->channel;
  client->session = std::make_unique<ControlSession>(
      backend_, limits_.session,
      ControlSession::Output{.send = [&channel](std::string_view line) { channel.send(line); },
                             .queued = [&channel] { return channel.queued(); }});
  clients_.emplace(key, std::move(client));
}

}  // namespace dig::service
