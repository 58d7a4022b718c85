// SPDX-License-Identifier: Apache-2.0
// The conformance suite on the in-memory double with QUIC's habits.
#include "proto/connection/testing/memory_connection.hpp"

#include "proto/connection/testing/connection_conformance.hpp"

namespace dig::testing {
namespace {

PublicKey key_of(std::byte fill) { return PublicKey::ed25519(Bytes(32, fill)); }

class MemoryPair final : public ConnectionPair {
 public:
  Connection& dialer() override { return dialer_; }
  Connection& listener() override { return listener_; }
  PeerId dialer_id() const override { return PeerId::from_public_key(key_of(std::byte{1})); }
  PeerId listener_id() const override { return PeerId::from_public_key(key_of(std::byte{2})); }
  Instant now() const override { return now_; }
  std::size_t open_limit() const override { return limits_.open_streams; }
  bool carries_codes() const override { return true; }
  bool carries_stop() const override { return true; }

  bool pump_step(std::size_t bytes) override {
    const bool forth = carry(dialer_, listener_, bytes);
    const bool back = carry(listener_, dialer_, bytes);
    return forth || back;
  }
  void cut() override {
    dialer_.handle_cut();
    listener_.handle_cut();
  }
  void advance(Duration time, bool carry_frames) override {
    const Instant target = now_ + time;
    while (true) {
      const auto next = earliest(dialer_.next_timeout(), listener_.next_timeout());
      if (!next || *next > target) break;
      now_ = std::max(now_, *next);
      dialer_.handle_timeout(now_);
      listener_.handle_timeout(now_);
      while (carry_frames && pump_step(65536)) {
      }
      while (!carry_frames && (dialer_.next_frame(65536) || listener_.next_frame(65536))) {
      }
    }
    now_ = target;
  }

 private:
  // Frames are whole; a tiny step moves one frame with few bytes.
  bool carry(MemoryConnection& from, MemoryConnection& to, std::size_t bytes) const {
    std::size_t moved = 0;
    while (moved < bytes) {
      auto frame = from.next_frame(bytes - moved);
      if (!frame) break;
      moved += frame->size();
      to.handle_frame(now_, *std::move(frame));
    }
    return moved > 0;
  }

  Instant now_{100s};
  MemoryLimits limits_{.open_streams = 40};
  MemoryConnection dialer_{Direction::outbound, key_of(std::byte{1}), limits_, now_};
  MemoryConnection listener_{Direction::inbound, key_of(std::byte{2}), limits_, now_};
};

[[maybe_unused]] const bool k_registered = register_conformance(
    "MemoryConformance", []() -> std::unique_ptr<ConnectionPair> { return std::make_unique<MemoryPair>(); });

}  // namespace
}  // namespace dig::testing
