// SPDX-License-Identifier: Apache-2.0
#include "net/server_check.hpp"

#include <array>

#include "net/binding_request.hpp"
#include "net/clock.hpp"
#include "net/turn_client.hpp"

namespace dig::net {
namespace {

constexpr Duration k_echo_interval = 500ms;  // data over a relay may be lost
constexpr Duration k_open_timeout = 6s;      // before the check is over: then it says what was silent
constexpr Duration k_goodbye = 1s;           // for the server to hear that the allocations are given back

// Whether a server lives is known sooner than by RFC 8489's 39.5 s: after 4 requests and 5.5 s.
constexpr stun::TransactionTimers k_timers{.max_requests = 4, .last_wait = 4, .reliable_timeout = 6s};

}  // namespace

class ServerCheck::Impl {
 public:
  Impl(Loop& loop, Resolver& resolver, Rng& rng, ServerCheckConfig config, Handler on_done)
      : loop_(loop),
        resolver_(resolver),
        rng_(rng),
        config_(std::move(config)),
        on_done_(std::move(on_done)),
        target_{.transport = config_.server.transport, .host = config_.server.host, .port = config_.server.port},
        payload_(rng.array<32>()),
        deadline_(monotonic_now() + config_.timeout),
        timer_(loop, [this](Instant now) { handle_timer(now); }) {
    timer_.set(deadline_);
    config_.leg.open_timeout = k_open_timeout;
    binding_ = std::make_unique<BindingRequest>(
        loop, resolver, rng,
        BindingRequest::Config{.server = target_, .leg = config_.leg, .binding = {.timers = k_timers}},
        [this](BindingRequest::Outcome outcome) { handle_binding(std::move(outcome)); });
  }

 private:
  // One of the two allocations.
  struct Side {
    std::unique_ptr<TurnClient> client;
    std::optional<Endpoint> relayed;
    bool is_permitted = false;
    bool is_over = false;
  };

  void handle_binding(BindingRequest::Outcome outcome) {
    health_.opened = outcome.opened ? std::optional(outcome.opened->elapsed) : std::nullopt;
    health_.tls = outcome.opened ? outcome.opened->tls : std::string();
    if (outcome.answer) {
      health_.mapped = outcome.answer->answer.mapped;
      health_.rtt = outcome.answer->rtt;
    } else if (!config_.server.is_turn || outcome.answer.error().code() != Errc::stun_refused) {
      // A TURN server may want credentials for everything; then Allocate tells.
      return finish(outcome.answer.error());
    }
    if (!config_.server.is_turn) return finish(std::nullopt);
    for (std::size_t side = 0; side < sides_.size(); ++side) open_side(side);
  }

  void open_side(std::size_t side) {
    TurnClient::Config config{.server = target_, .leg = config_.leg, .allocation = {}};
    config.allocation.credentials = config_.credentials;
    // It is the owner of the check who names the server: it may as well be in a private network.
    config.allocation.address_policy = stun::AddressPolicy::any_unicast;
    config.allocation.families = turn::RelayFamilies::ipv4;
    config.allocation.timers = k_timers;
    sides_[side].client = std::make_unique<TurnClient>(
        loop_, resolver_, rng_, std::move(config),
        TurnClient::Handlers{
            .on_event = [this, side](Instant now,
                                     const turn::ClientAllocation::Event& event) { handle(now, side, event); },
            .on_data = [this, side](Instant now, const turn::PeerData& data) { handle_data(now, side, data); }});
  }

  void handle(Instant now, std::size_t side, const turn::ClientAllocation::Event& event) {
    if (const auto* allocated = std::get_if<turn::Allocated>(&event)) return handle_allocated(side, *allocated);
    if (std::holds_alternative<turn::PermissionInstalled>(event)) {
      sides_[side].is_permitted = true;
      return send_echo(now);
    }
    if (const auto* lost = std::get_if<turn::PermissionLost>(&event)) return finish(lost->error);
    const auto* ended = std::get_if<turn::Ended>(&event);
    if (ended == nullptr && !std::holds_alternative<turn::Released>(event)) return;
    sides_[side].is_over = true;
    if (is_finishing_) {
      tell_when_over();
    } else {
      finish(ended != nullptr ? ended->error : Error(Errc::allocation_lost));
    }
  }

  void handle_allocated(std::size_t side, const turn::Allocated& allocated) {
    sides_[side].relayed = allocated.relayed_v4;
    if (side == 0) health_.relayed = allocated.relayed_v4;
    if (!health_.mapped) health_.mapped = allocated.mapped;
    if (!health_.rtt) health_.rtt = sides_[side].client->snapshot()->rtt;
    const Side& other = sides_[1 - side];
    if (!other.relayed) return;
    permit(side, *other.relayed);
    permit(1 - side, *sides_[side].relayed);
  }

  void permit(std::size_t side, const Endpoint& peer) {
    if (is_finishing_) return;
    const auto permitted = sides_[side].client->permit(peer.address);
    if (!permitted) finish(permitted.error());
  }

  void send_echo(Instant now) {
    if (is_finishing_ || !sides_[0].is_permitted || !sides_[1].is_permitted) return;
    if (!first_sent_) first_sent_ = now;
    (void)sides_[0].client->send(*sides_[1].relayed, payload_);
    next_echo_ = now + k_echo_interval;
    timer_.set(earliest(next_echo_, deadline_));
  }

  void handle_data(Instant now, std::size_t side, const turn::PeerData& data) {
    if (is_finishing_ || !std::ranges::equal(data.data, payload_)) return;
    if (side == 1) {
      (void)sides_[1].client->send(data.peer, payload_);
      return;
    }
    health_.echo = now - *first_sent_;
    finish(std::nullopt);
  }

  void handle_timer(Instant now) {
    if (is_finishing_) return tell();
    if (now < deadline_) return send_echo(now);
    finish(first_sent_ ? Error(Errc::turn_no_echo, health_.relayed->to_string())
                       : Error(Errc::timed_out, config_.server.to_string()));
  }

  // What was allocated is given back first.
  void finish(std::optional<Error> error) {
    if (is_finishing_) return;
    is_finishing_ = true;
    health_.error = std::move(error);
    timer_.set(monotonic_now() + k_goodbye);
    for (Side& side : sides_) {
      if (side.client && !side.is_over) side.client->release();
    }
    tell_when_over();
  }

  void tell_when_over() {
    for (const Side& side : sides_) {
      if (side.client && !side.is_over) return;
    }
    tell();
  }

  void tell() {
    timer_.set(std::nullopt);
    if (!on_done_) return;
    loop_.post([handler = std::exchange(on_done_, nullptr), health = std::move(health_),
                alive = std::weak_ptr(alive_)]() mutable {
      if (!alive.expired()) handler(std::move(health));
    });
  }

  Loop& loop_;
  Resolver& resolver_;
  Rng& rng_;
  ServerCheckConfig config_;
  Handler on_done_;
  LegTarget target_;
  std::array<std::byte, 32> payload_;
  Instant deadline_;
  ServerHealth health_;
  std::array<Side, 2> sides_;
  std::optional<Instant> first_sent_;
  std::optional<Instant> next_echo_;
  bool is_finishing_ = false;
  std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  std::unique_ptr<BindingRequest> binding_;
  Timer timer_;
};

ServerCheck::ServerCheck(Loop& loop, Resolver& resolver, Rng& rng, ServerCheckConfig config, Handler on_done)
    : impl_(std::make_unique<Impl>(loop, resolver, rng, std::move(config), std::move(on_done))) {}
ServerCheck::~ServerCheck() = default;

}  // namespace dig::net
