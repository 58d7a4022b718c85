// SPDX-License-Identifier: Apache-2.0
// Answers `GET /metrics` over HTTP with a text that is made for each request, and nothing else. One request a
// connection. A request that is too large, too slow or comes with the name of another host is refused: the last is how
// a web page reaches what listens on this machine (DNS rebinding).
//
// Thread-safety: the thread of its EventLoop.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "net/port_manager.hpp"
#include "service/event_loop.hpp"

namespace dig::service {

class MetricsServer {
 public:
  struct Limits {
    std::size_t max_clients = 16;
    std::uint32_t max_header = 8 * 1024;
    std::chrono::milliseconds deadline{5'000};  // for the request and its answer
  };
  using MakeText = std::function<std::string()>;

  // Errors: those of PortManager::acquire.
  [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> create(EventLoop& loop, const Endpoint& listen,
                                                                     MakeText make_text, Limits limits);
  [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> create(EventLoop& loop, const Endpoint& listen,
                                                                     MakeText make_text) {
    return create(loop, listen, std::move(make_text), Limits{});
  }
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  [[nodiscard]] std::string url() const;

 private:
  struct Client;

  MetricsServer(EventLoop& loop, net::BoundSocket listener, MakeText make_text, Limits limits);
  void accept_client();
  void handle(int fd, short revents);
  void read_some(Client& client);
  void write_some(Client& client);
  void forget(int fd);
  void pause_accepting();

  EventLoop& loop_;
  EventLoop::TimerId pause_ = 0;
  net::BoundSocket listener_;
  MakeText make_text_;
  Limits limits_;
  std::map<int, std::unique_ptr<Client>> clients_;
};

}  // namespace dig::service
