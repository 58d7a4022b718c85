// SPDX-License-Identifier: Apache-2.0
// A client of the one port for tests: a blocking socket, with TLS around what goes over it if that is wanted.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "crypto/tls_session.hpp"
#include "net/clock.hpp"
#include "net/sockaddr.hpp"
#include "net/unique_fd.hpp"

namespace dig::net::testing {

class PortClient {
 public:
  static constexpr int patience_seconds = 10;

  // `from`: another of the addresses of this machine, such as 127.0.0.2.
  explicit PortClient(const Endpoint& server, const std::optional<IpAddress>& from = std::nullopt)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = patience_seconds, .tv_usec = 0};
    ::setsockopt(fd_.value(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ::setsockopt(fd_.value(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    const SocketAddress source(Endpoint{from.value_or(IpAddress()), 0});
    if (from && ::bind(fd_.value(), source.get(), source.size()) != 0) throw std::runtime_error("bind");
    const SocketAddress address(server);
    if (::connect(fd_.value(), address.get(), address.size()) != 0) throw std::runtime_error("connect");
  }

  // Any certificate will do.
  void start_tls(std::vector<std::string> alpn) {
    const auto context = crypto::TlsContext::create(crypto::TlsTransport::stream,
                                                    {.role = crypto::TlsRole::client, .alpn = std::move(alpn)});
    const auto anyone = crypto::TlsTrust::check([](BytesView) -> Result<void> { return {}; });
    tls_.emplace(crypto::TlsSession::connect(*context, {.trust = anyone}, monotonic_now(), wall_now()).value());
    flush_tls();
  }

  void send(std::string_view text) {
    if (!tls_) return send_raw(as_bytes(text));
    BytesView rest = as_bytes(text);
    while (!rest.empty()) {
      const auto taken = tls_->write(rest);
      if (!taken) return;
      rest = rest.subspan(*taken);
      flush_tls();
      if (*taken == 0 && !receive_tls()) return;
    }
  }
  // Whether TLS stands.
  bool finish_tls() {
    for (;;) {
      while (const auto event = tls_->poll_event()) {
        if (const auto* made = std::get_if<crypto::TlsEstablished>(&*event)) established_ = *made;
        if (std::holds_alternative<crypto::TlsClosed>(*event)) return false;
      }
      if (established_) return true;
      if (!receive_tls()) return false;
    }
  }
  [[nodiscard]] const std::optional<crypto::TlsEstablished>& established() const noexcept { return established_; }

  void finish() { ::shutdown(fd_.value(), SHUT_WR); }

  // Everything up to the end of the connection, or until `size` bytes are there. Throws when that takes too long.
  std::string receive(std::size_t size = SIZE_MAX) {
    while (text_.size() < size) {
      if (!(tls_ ? receive_tls() : receive_raw())) break;
    }
    const std::string got = text_.substr(0, size);
    text_.erase(0, got.size());
    return got;
  }

 private:
  void send_raw(BytesView bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.value(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // it has hung up
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
  std::optional<BytesView> receive_piece() {
    const ssize_t size = ::recv(fd_.value(), buffer_.data(), buffer_.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) throw std::runtime_error("nothing came in time");
    if (size <= 0) return std::nullopt;
    return BytesView(buffer_).first(static_cast<std::size_t>(size));
  }
  bool receive_raw() {
    const auto piece = receive_piece();
    if (piece) text_ += as_text(*piece);
    return piece.has_value();
  }
  bool receive_tls() {
    const auto piece = receive_piece();
    if (!piece) return false;
    tls_->handle_bytes(monotonic_now(), *piece);
    std::array<std::byte, 16384> plain;
    for (auto got = tls_->read(plain); got && got->size > 0; got = tls_->read(plain)) {
      text_ += as_text(BytesView(plain).first(got->size));
    }
    flush_tls();
    return true;
  }
  void flush_tls() {
    std::array<std::byte, 16384> out;
    while (const std::size_t size = tls_->poll_bytes(monotonic_now(), out)) send_raw(BytesView(out).first(size));
  }

  UniqueFd fd_;
  std::optional<crypto::TlsSession> tls_;
  std::optional<crypto::TlsEstablished> established_;
  std::array<std::byte, 65536> buffer_{};
  std::string text_;
};

}  // namespace dig::net::testing
