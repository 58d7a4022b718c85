// SPDX-License-Identifier: Apache-2.0
#include "net/binding_request.hpp"

#include "net/clock.hpp"

namespace dig::net {

class BindingRequest::Impl final : private LegOwner {
 public:
  Impl(Loop& loop, Resolver& resolver, Rng& rng, Config config, Handler on_done)
      : loop_(loop),
        rng_(rng),
        config_(std::move(config)),
        on_done_(std::move(on_done)),
        timer_(loop, [this](Instant now) {
          if (client_) client_->handle_timeout(now);
          leg_->flush();
          settle(now);
        }) {
    config_.binding.transport = config_.server.transport;
    leg_ = open_leg(loop, resolver, config_.server, config_.leg, *this);
  }

 private:
  [[nodiscard]] bool is_stream() const {
    return config_.server.transport == StunTransport::tcp || config_.server.transport == StunTransport::tls;
  }

  void handle_open(Instant now, const LegOpened& opened) override {
    opened_ = opened;
    config_.binding.server = opened.remote;
    // A leg has one server: whoever wants to follow asks anew.
    config_.binding.follows_redirect = false;
    client_.emplace(now, config_.binding, rng_);
  }

  void handle_bytes(Instant now, BytesView bytes) override {
    if (!client_) return;
    if (is_stream()) return client_->handle_bytes(now, bytes);
    client_->handle_datagram({.now = now, .local = opened_->local, .remote = opened_->remote, .bytes = bytes});
  }

  void handle_closed(Instant now, const Error& error) override {
    if (client_) {
      client_->handle_closed(now, error);
    } else {
      tell(std::unexpected(error));
    }
  }

  std::size_t poll_bytes(Instant now, MutableBytes out) override {
    if (!client_) return 0;
    const auto transmit = client_->poll_transmit(now, out);
    return transmit ? transmit->size : 0;
  }

  void settle(Instant) override {
    if (!client_) return;
    while (const auto event = client_->poll_event()) {
      if (const auto* succeeded = std::get_if<stun::BindingSucceeded>(&*event)) {
        tell(*succeeded);
      } else {
        tell(std::unexpected(std::get<stun::BindingFailed>(*event).error));
      }
    }
    timer_.set(client_->next_timeout());
  }

  void tell(Result<stun::BindingSucceeded> answer) {
    leg_->close();
    if (!on_done_) return;
    loop_.post([handler = std::exchange(on_done_, nullptr), outcome = Outcome{std::move(answer), opened_},
                alive = std::weak_ptr(alive_)]() mutable {
      if (!alive.expired()) handler(std::move(outcome));
    });
  }

  Loop& loop_;
  Rng& rng_;
  Config config_;
  Handler on_done_;
  std::optional<LegOpened> opened_;
  std::optional<stun::BindingClient> client_;
  std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  std::unique_ptr<Leg> leg_;
  Timer timer_;
};

BindingRequest::BindingRequest(Loop& loop, Resolver& resolver, Rng& rng, Config config, Handler on_done)
    : impl_(std::make_unique<Impl>(loop, resolver, rng, std::move(config), std::move(on_done))) {}
BindingRequest::~BindingRequest() = default;

}  // namespace dig::net
