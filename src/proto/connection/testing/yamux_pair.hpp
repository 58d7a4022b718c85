// SPDX-License-Identifier: Apache-2.0
// Test-only: two YamuxConnections that run the whole upgrade and then carry each other's bytes in virtual time.
#pragma once

#include <algorithm>

#include "proto/connection/testing/connection_pair.hpp"
#include "proto/connection/yamux_connection.hpp"

namespace dig::testing {

class YamuxPair final : public ConnectionPair {
 public:
  static constexpr std::size_t k_open_limit = 100;

  Connection& dialer() override { return dialer_.connection; }
  Connection& listener() override { return listener_.connection; }
  PeerId dialer_id() const override { return dialer_.identity.peer_id(); }
  PeerId listener_id() const override { return listener_.identity.peer_id(); }
  Instant now() const override { return now_; }
  std::size_t open_limit() const override { return k_open_limit; }
  bool carries_codes() const override { return false; }
  bool carries_stop() const override { return false; }

  bool pump_step(std::size_t bytes) override {
    const bool forth = carry(dialer_, listener_, bytes);
    const bool back = carry(listener_, dialer_, bytes);
    return forth || back;
  }
  void cut() override {
    is_cut_ = true;
    dialer_.connection.handle_eof(now_);
    listener_.connection.handle_eof(now_);
  }
  void advance(Duration time, bool carry_bytes) override {
    const Instant target = now_ + time;
    while (true) {
      const auto next = earliest(dialer_.connection.next_timeout(), listener_.connection.next_timeout());
      if (!next || *next > target) break;
      now_ = std::max(now_, *next);
      dialer_.connection.handle_timeout(now_);
      listener_.connection.handle_timeout(now_);
      if (!carry_bytes) drop_output();
      while (carry_bytes && pump_step(65536)) {
      }
    }
    now_ = target;
  }

  // For the cases of this kind alone.
  YamuxConnection& dialing() { return dialer_.connection; }
  YamuxConnection& listening() { return listener_.connection; }

 private:
  struct End {
    End(Direction direction, Rng& rng, Instant now)
        : identity(Identity::generate(rng)),
          connection({.direction = direction, .identity = identity, .expected_peer = std::nullopt},
                     {.max_outbound_streams = 400, .max_unacknowledged = k_open_limit}, rng, now) {}
    Identity identity;
    YamuxConnection connection;
    bool has_left = false;
    Bytes sent;  // on the way to the other end
  };

  bool carry(End& from, End& to, std::size_t bytes) {
    Bytes out(bytes);
    const std::size_t size = from.connection.poll_bytes(now_, out);
    if (is_cut_) return false;
    append(from.sent, BytesView(out).first(size));
    if (size == 0 && from.sent.empty() && from.connection.snapshot().is_closed && !std::exchange(from.has_left, true)) {
      to.connection.handle_eof(now_);  // as a shell does: everything was sent, then the transport ends
      return true;
    }
    if (!to.connection.wants_bytes() || from.sent.empty()) return size > 0;
    const Bytes arriving = std::exchange(from.sent, {});
    const std::size_t cut_at = arriving.size() / 3;  // a transport cuts where it likes
    to.connection.handle_bytes(now_, BytesView(arriving).first(cut_at));
    to.connection.handle_bytes(now_, BytesView(arriving).subspan(cut_at));
    return true;
  }
  void drop_output() {
    Bytes out(65536);
    while (dialer_.connection.poll_bytes(now_, out) + listener_.connection.poll_bytes(now_, out) > 0) {
    }
  }

  SeededRng rng_{11};
  Instant now_{100s};
  bool is_cut_ = false;
  End dialer_{Direction::outbound, rng_, now_};
  End listener_{Direction::inbound, rng_, now_};
};

}  // namespace dig::testing
