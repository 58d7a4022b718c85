// SPDX-License-Identifier: Apache-2.0
#include "net/turn_client.hpp"

#include "net/clock.hpp"

namespace dig::net {

struct TurnClient::Impl final : LegOwner {
  Impl(Loop& on_loop, Resolver& with_resolver, Rng& with_rng, Config with_config, Handlers with_handlers)
      : loop(on_loop),
        resolver(with_resolver),
        rng(with_rng),
        config(std::move(with_config)),
        handlers(std::move(with_handlers)),
        timer(loop, [this](Instant now) {
          if (allocation) allocation->handle_timeout(now);
          flush(now);
        }) {
    config.allocation.transport = config.server.transport;
    open();
  }

  void open() { leg = open_leg(loop, resolver, config.server, config.leg, *this); }

  // Another leg in place of this one, once no callback of it is on the stack.
  void open_again() {
    leg->close();
    is_reopening = true;
    loop.post([this, alive = std::weak_ptr(alive_token)] {
      if (alive.expired() || is_over) return;
      is_reopening = false;
      allocation.reset();
      opened.reset();
      open();
    });
  }

  [[nodiscard]] bool is_stream() const {
    return config.server.transport == StunTransport::tcp || config.server.transport == StunTransport::tls;
  }

  void handle_open(Instant now, const LegOpened& leg_opened) override {
    opened = leg_opened;
    config.allocation.server = leg_opened.remote;
    allocation.emplace(now, config.allocation, rng, config.limits);
  }

  void handle_bytes(Instant now, BytesView bytes) override {
    if (!allocation) return;
    if (!is_stream()) {
      if (const auto data = allocation->handle_message(now, bytes)) handlers.on_data(now, *data);
      return;
    }
    while (const auto data = allocation->handle_bytes(now, bytes)) handlers.on_data(now, *data);
  }

  void handle_closed(Instant now, const Error& error) override {
    if (allocation) {
      allocation->handle_leg_closed(now, error);
    } else {
      failure = error;
    }
  }

  std::size_t poll_bytes(Instant now, MutableBytes out) override {
    return allocation && !is_reopening ? allocation->poll_transmit(now, out) : 0;
  }

  void settle(Instant now) override {
    if (failure) {
      const turn::Ended ended{.error = *std::exchange(failure, std::nullopt), .alternate = std::nullopt};
      return pass_on(now, ended);
    }
    while (allocation && !is_reopening) {
      const auto event = allocation->poll_event();
      if (!event) break;
      handle_event(now, *event);
    }
    timer.set(allocation && !is_reopening ? allocation->next_timeout() : std::nullopt);
  }

  // There is nothing to give back yet.
  void release_unopened() {
    if (std::exchange(is_over, true)) return;
    leg->close();
    loop.post([this, alive = std::weak_ptr(alive_token)] {
      if (!alive.expired()) handlers.on_event(monotonic_now(), turn::Released{});
    });
  }

  void handle_event(Instant now, const turn::ClientAllocation::Event& event) {
    const auto* ended = std::get_if<turn::Ended>(&event);
    if (ended != nullptr && ended->error.code() == Errc::turn_mismatch && !std::exchange(has_moved, true)) {
      return open_again();
    }
    if (ended != nullptr && ended->error.code() == Errc::turn_redirected && ended->alternate &&
        config.allocation.follows_redirect) {
      config.allocation.follows_redirect = false;
      config.server.address = ended->alternate->server.address;
      config.server.port = ended->alternate->server.port;
      if (!ended->alternate->domain.empty()) config.server.host = ended->alternate->domain.str();
      return open_again();
    }
    pass_on(now, event);
  }

  void pass_on(Instant now, const turn::ClientAllocation::Event& event) {
    if (std::holds_alternative<turn::Ended>(event) || std::holds_alternative<turn::Released>(event)) {
      if (std::exchange(is_over, true)) return;
      leg->close();
    }
    handlers.on_event(now, event);
  }

  // After a command or a deadline.
  void flush(Instant now) {
    if (!is_reopening) leg->flush();
    settle(now);
  }

  Loop& loop;
  Resolver& resolver;
  Rng& rng;
  Config config;
  Handlers handlers;
  std::shared_ptr<const int> alive_token = std::make_shared<const int>(0);
  std::optional<LegOpened> opened;
  std::optional<turn::ClientAllocation> allocation;
  std::optional<Error> failure;  // of the leg, before there was an allocation
  bool has_moved = false;        // to another local port
  bool is_reopening = false;
  bool is_over = false;  // the last event was passed on, or is about to be
  std::unique_ptr<Leg> leg;
  Timer timer;
};

TurnClient::TurnClient(Loop& loop, Resolver& resolver, Rng& rng, Config config, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, resolver, rng, std::move(config), std::move(handlers))) {}
TurnClient::~TurnClient() = default;

Result<void> TurnClient::permit(const IpAddress& peer) {
  if (!impl_->allocation) return fail(Errc::allocation_lost, "there is no allocation yet");
  const Instant now = monotonic_now();
  DIG_CHECK(impl_->allocation->permit(now, peer));
  impl_->flush(now);
  return {};
}

Result<void> TurnClient::bind_channel(const Endpoint& peer) {
  if (!impl_->allocation) return fail(Errc::allocation_lost, "there is no allocation yet");
  const Instant now = monotonic_now();
  DIG_CHECK(impl_->allocation->bind_channel(now, peer));
  impl_->flush(now);
  return {};
}

turn::SendResult TurnClient::send(const Endpoint& peer, BytesView data) {
  if (!impl_->allocation) return turn::SendResult::refused;
  const Instant now = monotonic_now();
  const turn::SendResult result = impl_->allocation->send(now, peer, data);
  impl_->flush(now);
  return result;
}

void TurnClient::release() {
  if (!impl_->allocation || impl_->is_reopening) return impl_->release_unopened();
  const Instant now = monotonic_now();
  impl_->allocation->release(now);
  impl_->flush(now);
}

const std::optional<LegOpened>& TurnClient::leg() const noexcept { return impl_->opened; }

std::optional<turn::AllocationStatus> TurnClient::snapshot() const {
  if (!impl_->allocation) return std::nullopt;
  return impl_->allocation->snapshot(monotonic_now());
}

}  // namespace dig::net
