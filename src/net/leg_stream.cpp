// SPDX-License-Identifier: Apache-2.0
// TCP and TLS legs.
#include <algorithm>
#include <array>

#include "crypto/tls_session.hpp"
#include "net/clock.hpp"
#include "net/leg_kinds.hpp"
#include "net/tcp_transports.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_buffer = 64 * 1024;
constexpr std::size_t k_plain = 16 * 1024;  // a record of TLS (RFC 8446 §5.1)

class StreamLeg final : public Leg, private TransportOwner {
 public:
  StreamLeg(Loop& loop, Resolver& resolver, LegTarget target, LegOptions options, LegOwner& owner)
      : target_(std::move(target)),
        options_(std::move(options)),
        owner_(owner),
        started_(monotonic_now()),
        transports_(loop, *this, {.max_transports = 1, .buffer_size = k_buffer}),
        timer_(loop, [this](Instant now) { handle_timer(now); }) {
    set_timer();
    if (options_.proxy_error) {
      loop.post([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) handle_addresses(std::unexpected(*options_.proxy_error));
      });
      return;
    }
    const bool is_proxied = options_.proxy.has_value();
    look_up(loop, resolver, is_proxied ? options_.proxy->host : target_.host,
            is_proxied ? std::nullopt : options_.family, is_proxied ? std::nullopt : target_.address,
            [this, alive = std::weak_ptr(alive_)](Result<Resolver::Addresses> addresses) {
              if (!alive.expired()) handle_addresses(std::move(addresses));
            });
  }

  void flush() override {
    if (transport_) transports_.flush(*transport_);
  }

  void close() override {
    if (phase_ == Phase::closed) return;
    if (tls_) {
      fill_tls(monotonic_now());
      tls_->close();
    }
    is_saying_goodbye_ = true;
    transports_.cancel_dial(DialId{1});
    if (transport_) transports_.close(*transport_, CloseMode::graceful);
    phase_ = Phase::closed;
    transport_.reset();
    timer_.set(std::nullopt);
  }

 private:
  enum class Phase : std::uint8_t { connecting, asking_proxy, securing, open, closed };

  void handle_addresses(Result<Resolver::Addresses> addresses) {
    if (phase_ == Phase::closed) return;
    const Instant now = monotonic_now();
    if (!addresses) {
      end(now, addresses.error());
      return owner_.settle(now);
    }
    std::vector<Endpoint> candidates;
    for (const IpAddress& address : *addresses) {
      candidates.push_back({address, options_.proxy ? options_.proxy->port : target_.port});
    }
    transports_.dial(DialId{1}, std::move(candidates));
  }

  bool admits(Instant, const Endpoint&, const Endpoint&) override { return false; }
  void handle_accepted(Instant, TransportId, const Endpoint&, const Endpoint&) override {}

  void handle_dialled(Instant now, DialId, const DialOutcome& outcome) override {
    if (phase_ == Phase::closed) return;
    if (!outcome.result) return end(now, outcome.result.error());
    transport_ = outcome.result->transport;
    opened_.local = outcome.result->local;
    opened_.remote = outcome.result->remote;
    if (options_.proxy) {
      connect_.emplace(*options_.proxy, target_.address ? target_.address->to_string() : target_.host, target_.port);
      phase_ = Phase::asking_proxy;
      return;
    }
    begin(now);
  }

  // The bytes of the server begin here.
  void begin(Instant now) {
    if (target_.transport == StunTransport::tcp) return handle_ready(now);
    auto session = crypto::TlsSession::connect(options_.tls, {.server_name = target_.host}, now, wall_now());
    if (!session) return end(now, session.error());
    tls_.emplace(std::move(*session));
    phase_ = Phase::securing;
  }

  void handle_ready(Instant now) {
    phase_ = Phase::open;
    opened_.elapsed = now - started_;
    owner_.handle_open(now, opened_);
  }

  void handle_bytes(Instant now, TransportId, BytesView bytes) override {
    if (phase_ == Phase::asking_proxy) {
      const auto rest = connect_->handle_bytes(bytes);
      if (!rest) return end(now, rest.error());
      if (!connect_->is_open()) return;
      begin(now);
      bytes = *rest;
    }
    if (phase_ == Phase::closed || bytes.empty()) return;
    if (!tls_) return owner_.handle_bytes(now, bytes);
    tls_->handle_bytes(now, bytes);
    drain_tls(now);
  }

  void drain_tls(Instant now) {
    while (tls_ && phase_ != Phase::closed) {
      while (const auto event = tls_->poll_event()) {
        if (const auto* established = std::get_if<crypto::TlsEstablished>(&*event)) {
          opened_.tls = established->version;
          handle_ready(now);
        } else if (const auto* closed = std::get_if<crypto::TlsClosed>(&*event)) {
          return end(now, closed->error);
        }
        if (phase_ == Phase::closed) return;
      }
      const auto got = tls_->read(plain_);
      if (!got || got->size == 0) return;
      owner_.handle_bytes(now, BytesView(plain_).first(got->size));
    }
  }

  void handle_eof(Instant now, TransportId) override {
    if (tls_) {
      tls_->handle_eof(now);
      drain_tls(now);
    }
    end(now, Error(Errc::connection_closed, "the server ended the connection"));
  }

  void handle_error(Instant now, TransportId, const Error& error) override {
    transport_.reset();
    end(now, error);
  }

  std::size_t poll_bytes(Instant now, TransportId, MutableBytes out) override {
    if (connect_ && !connect_->is_open()) return connect_->poll_bytes(out);
    if (!tls_) return phase_ == Phase::open ? owner_.poll_bytes(now, out) : 0;
    fill_tls(now);
    return tls_->poll_bytes(now, out);
  }

  // As much of what the owner has as TLS takes.
  void fill_tls(Instant now) {
    if (phase_ != Phase::open || is_saying_goodbye_) return;
    for (;;) {
      if (unsent_.empty()) unsent_ = BytesView(outgoing_).first(owner_.poll_bytes(now, outgoing_));
      if (unsent_.empty()) return;
      const std::size_t taken = tls_->write(unsent_).value_or(0);
      if (taken == 0) return;
      unsent_ = unsent_.subspan(taken);
    }
  }

  bool wants_bytes(TransportId) override { return phase_ != Phase::closed && (!tls_ || tls_->wants_bytes()); }

  void settle(Instant now) override {
    set_timer();
    if (!is_saying_goodbye_) owner_.settle(now);
  }

  void handle_timer(Instant now) {
    if (phase_ != Phase::open && now >= started_ + options_.open_timeout) {
      end(now, Error(Errc::connect_timeout, describe_phase()));
    } else if (tls_) {
      tls_->handle_timeout(now);
      drain_tls(now);
    }
    if (transport_) transports_.flush(*transport_);
    settle(now);
  }

  [[nodiscard]] std::string describe_phase() const {
    const std::string server = target_.host + ":" + std::to_string(target_.port);
    if (phase_ == Phase::asking_proxy) return "the proxy did not answer for " + server;
    return (phase_ == Phase::securing ? "TLS with " : "") + server;
  }

  void set_timer() {
    if (phase_ == Phase::closed) return timer_.set(std::nullopt);
    const std::optional<Instant> opening =
        phase_ == Phase::open ? std::nullopt : std::optional(started_ + options_.open_timeout);
    timer_.set(earliest(opening, tls_ ? tls_->next_timeout() : std::nullopt));
  }

  void end(Instant now, const Error& error) {
    if (phase_ == Phase::closed) return;
    phase_ = Phase::closed;
    transports_.cancel_dial(DialId{1});
    if (transport_) transports_.close(*transport_, CloseMode::graceful);  // an alert of TLS may still have to go
    transport_.reset();
    owner_.handle_closed(now, error);
  }

  LegTarget target_;
  LegOptions options_;
  LegOwner& owner_;
  Instant started_;
  Phase phase_ = Phase::connecting;
  LegOpened opened_;
  std::optional<HttpConnect> connect_;
  std::optional<crypto::TlsSession> tls_;
  bool is_saying_goodbye_ = false;
  std::array<std::byte, k_plain> plain_;
  std::array<std::byte, k_plain> outgoing_;
  BytesView unsent_;  // of outgoing_
  std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  std::optional<TransportId> transport_;
  TcpTransports transports_;
  Timer timer_;
};

}  // namespace

std::unique_ptr<Leg> open_stream_leg(Loop& loop, Resolver& resolver, LegTarget target, LegOptions options,
                                     LegOwner& owner) {
  return std::make_unique<StreamLeg>(loop, resolver, std::move(target), std::move(options), owner);
}

}  // namespace dig::net
