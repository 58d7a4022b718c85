// SPDX-License-Identifier: Apache-2.0
#include "service/metrics_server.hpp"

#include <sys/socket.h>

#include <array>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <sstream>

namespace dig::service {
namespace {

constexpr std::chrono::milliseconds k_accept_pause{100};  // when the system is out of descriptors or memory

namespace http = boost::beast::http;
using Request = http::request<http::empty_body>;
using Parser = http::request_parser<http::empty_body>;

// Whether a Host header names this machine in a way that no resolver has a say in: an address, or localhost.
bool is_literal_host(std::string_view host) {
  if (Endpoint::parse(host) || IpAddress::parse(host)) return true;
  if (host.starts_with('[') && host.ends_with(']'))
    return IpAddress::parse(host.substr(1, host.size() - 2)).has_value();
  return boost::beast::iequals(host.substr(0, host.find(':')), "localhost");
}

http::status status_of(const Request& request) {
  if (request.count(http::field::host) != 1) return http::status::bad_request;
  if (!is_literal_host(request[http::field::host])) return http::status::misdirected_request;
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return http::status::method_not_allowed;
  }
  const std::string_view target = request.target();
  return target.substr(0, target.find('?')) == "/metrics" ? http::status::ok : http::status::not_found;
}

std::string answer(http::status status, std::string text, bool has_body) {
  http::response<http::string_body> response(status, 11);
  response.set(http::field::content_type,
               status == http::status::ok ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain; charset=utf-8");
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  if (status == http::status::method_not_allowed) response.set(http::field::allow, "GET, HEAD");
  response.keep_alive(false);
  response.content_length(text.size());
  if (has_body) response.body() = std::move(text);
  std::ostringstream out;
  out << response;
  return std::move(out).str();
}

std::string answer(http::status status, bool has_body) {
  return answer(status, std::string(http::obsolete_reason(status)) + "\n", has_body);
}

}  // namespace

struct MetricsServer::Client {
  net::UniqueFd fd;
  EventLoop::TimerId timer = 0;
  std::string input;
  Parser parser;
  std::string output;  // once the request is understood
  bool is_over = false;
};

Result<std::unique_ptr<MetricsServer>> MetricsServer::create(EventLoop& loop, const Endpoint& listen,
                                                             MakeText make_text, Limits limits) {
  net::PortManager ports;
  DIG_TRY(net::PortLease lease, ports.acquire({.purpose = "metrics",
                                               .preferred = listen.port,
                                               .exact = listen.port != 0,
                                               .udp = false,
                                               .addresses = {listen.address}}));
  std::vector<net::BoundSocket> sockets = lease.take_tcp();
  return std::unique_ptr<MetricsServer>(
      new MetricsServer(loop, std::move(sockets.front()), std::move(make_text), limits));
}

MetricsServer::MetricsServer(EventLoop& loop, net::BoundSocket listener, MakeText make_text, Limits limits)
    : loop_(loop), listener_(std::move(listener)), make_text_(std::move(make_text)), limits_(limits) {
  loop_.watch(listener_.fd.value(), POLLIN, [this](short) { accept_client(); });
}

MetricsServer::~MetricsServer() {
  loop_.unwatch(listener_.fd.value());
  loop_.cancel(pause_);
  while (!clients_.empty()) forget(clients_.begin()->first);
}

std::string MetricsServer::url() const { return "http://" + listener_.local.to_string() + "/metrics"; }

void MetricsServer::accept_client() {
  net::UniqueFd fd(::accept4(listener_.fd.value(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) return pause_accepting();
  if (!fd || clients_.size() >= limits_.max_clients) return;
  const int key = fd.value();
  auto client = std::make_unique<Client>();
  client->fd = std::move(fd);
  client->parser.header_limit(limits_.max_header);
  client->timer = loop_.call_after(limits_.deadline, [this, key] { forget(key); });
  clients_.emplace(key, std::move(client));
  loop_.watch(key, POLLIN, [this, key](short revents) { handle(key, revents); });
}

// The connection stays where it is and would wake us again at once.
void MetricsServer::pause_accepting() {
  loop_.change(listener_.fd.value(), 0);
  pause_ = loop_.call_after(k_accept_pause, [this] { loop_.change(listener_.fd.value(), POLLIN); });
}

void MetricsServer::forget(int fd) {
  const auto found = clients_.find(fd);
  if (found == clients_.end()) return;
  loop_.unwatch(fd);
  loop_.cancel(found->second->timer);
  clients_.erase(found);
}

void MetricsServer::handle(int fd, short /*revents*/) {
  const auto found = clients_.find(fd);
  if (found == clients_.end()) return;
  Client& client = *found->second;
  if (client.output.empty()) read_some(client);
  if (!client.output.empty()) write_some(client);
  if (client.is_over) forget(fd);
}

void MetricsServer::read_some(Client& client) {
  std::array<char, 4096> buffer;
  const ssize_t got = ::recv(client.fd.value(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    client.is_over = true;
    return;
  }
  client.input.append(buffer.data(), static_cast<std::size_t>(got));
  boost::system::error_code error;
  const std::size_t used = client.parser.put(boost::asio::buffer(client.input), error);
  client.input.erase(0, used);
  if (client.parser.is_header_done()) {
    const Request& request = client.parser.get();
    const http::status status = status_of(request);
    const bool has_body = request.method() != http::verb::head;
    client.output = status == http::status::ok ? answer(status, make_text_(), has_body) : answer(status, has_body);
  } else if (error == http::error::header_limit || client.input.size() > limits_.max_header) {
    client.output = answer(http::status::request_header_fields_too_large, true);
  } else if (error && error != http::error::need_more) {
    client.output = answer(http::status::bad_request, true);
  }
  if (!client.output.empty()) loop_.change(client.fd.value(), POLLOUT);
}

void MetricsServer::write_some(Client& client) {
  const ssize_t sent = ::send(client.fd.value(), client.output.data(), client.output.size(), MSG_NOSIGNAL);
  if (sent < 0) {
    client.is_over = errno != EAGAIN && errno != EINTR;
    return;
  }
  client.output.erase(0, static_cast<std::size_t>(sent));
  client.is_over = client.output.empty();
}

}  // namespace dig::service
