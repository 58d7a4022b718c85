// SPDX-License-Identifier: Apache-2.0
// The conformance suite on Noise + yamux inside a WebSocket, and inside a WebSocket inside TLS: what libp2p dials at
// /ws and /tls/ws, from the client's layers to the one port.
#include "crypto/testing/tls_pair.hpp"
#include "proto/connection/testing/connection_conformance.hpp"
#include "proto/connection/yamux_connection.hpp"
#include "proto/one_port/server_stream.hpp"

namespace dig::testing {
namespace {

using crypto::testing::k_test_start;
using crypto::testing::k_test_wall;

constexpr std::size_t k_open_limit = 100;

// A connection on top of its end of a layered stream, as a shell ties them together.
template <class Stream>
class TiedEnd {
 public:
  TiedEnd(Direction direction, Rng& rng, Instant now, Stream made)
      : identity(Identity::generate(rng)),
        connection({.direction = direction, .identity = identity, .expected_peer = std::nullopt},
                   {.max_outbound_streams = 400, .max_unacknowledged = k_open_limit}, rng, now),
        stream(std::move(made)) {}

  // Moves everything that can move between the two.
  bool tie(Instant now) {
    bool has_moved = false;
    while (const auto event = stream.poll_event()) {
      is_open_ |= std::holds_alternative<std::variant_alternative_t<0, typename Stream::Event>>(*event);
      if (std::holds_alternative<one_port::Closed>(*event)) connection.handle_eof(now);
    }
    Bytes buffer(65'536);
    while (is_open_ && connection.wants_bytes()) {
      const auto got = stream.read(now, buffer);
      if (!got || got->size == 0) break;
      connection.handle_bytes(now, BytesView(buffer).first(got->size));
      has_moved = true;
    }
    while (is_open_) {
      if (downwards_.empty()) {
        downwards_.resize(65'536);
        downwards_.resize(connection.poll_bytes(now, downwards_));
      }
      const std::size_t taken = stream.write(downwards_).value_or(downwards_.size());
      downwards_.erase(downwards_.begin(), downwards_.begin() + static_cast<std::ptrdiff_t>(taken));
      has_moved |= taken > 0;
      if (taken == 0) break;
    }
    const bool is_done = connection.snapshot().is_closed && downwards_.empty();
    if (is_done && !std::exchange(has_left_, true)) {
      stream.close(now);
      has_moved = true;
    }
    return has_moved;
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const {
    return earliest(connection.next_timeout(), stream.next_timeout());
  }
  void handle_timeout(Instant now) {
    connection.handle_timeout(now);
    stream.handle_timeout(now);
  }

  Identity identity;
  YamuxConnection connection;
  Stream stream;

 private:
  bool is_open_ = false;  // Opened, or Identified
  bool has_left_ = false;
  Bytes downwards_;
};

class LayeredPair final : public ConnectionPair {
 public:
  explicit LayeredPair(bool is_tls) {
    if (is_tls) {
      const auto context =
          crypto::testing::make_context(crypto::TlsTransport::stream, crypto::testing::client_config());
      dialer_.stream.add(
          now_, crypto::TlsSession::connect(context, {.server_name = "turn.example"}, now_, k_test_wall).value());
    }
    dialer_.stream.add(now_, websocket::Session::connect(now_, "turn.example", rng_));
  }

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
      const auto next = earliest(dialer_.next_timeout(), listener_.next_timeout());
      if (!next || *next > target) break;
      now_ = std::max(now_, *next);
      dialer_.handle_timeout(now_);
      listener_.handle_timeout(now_);
      if (!carry_bytes) drop_output();
      while (carry_bytes && pump_step(65'536)) {
      }
    }
    now_ = target;
  }

 private:
  bool carry(auto& from, auto& to, std::size_t bytes) {
    if (is_cut_) return false;
    bool has_moved = from.tie(now_);
    Bytes wire(bytes);
    wire.resize(to.stream.wants_bytes() ? from.stream.poll_bytes(now_, wire) : 0);
    to.stream.handle_bytes(now_, wire);
    has_moved |= !wire.empty();
    return to.tie(now_) || has_moved;
  }
  void drop_output() {
    Bytes out(65'536);
    dialer_.tie(now_);
    listener_.tie(now_);
    while (dialer_.stream.poll_bytes(now_, out) + listener_.stream.poll_bytes(now_, out) > 0) {
    }
  }
  static std::shared_ptr<const crypto::TlsContext> server_context() {
    return crypto::testing::make_context(crypto::TlsTransport::stream, crypto::testing::server_config());
  }

  SeededRng rng_{11};
  Instant now_ = k_test_start;
  bool is_cut_ = false;
  TiedEnd<one_port::StreamLayers> dialer_{Direction::outbound, rng_, now_,
                                          one_port::StreamLayers(one_port::PlainStream::Limits{})};
  TiedEnd<one_port::ServerStream> listener_{Direction::inbound, rng_, now_,
                                            one_port::ServerStream(server_context(), now_, k_test_wall)};
};

template <bool is_tls>
std::unique_ptr<ConnectionPair> make_pair() {
  return std::make_unique<LayeredPair>(is_tls);
}
[[maybe_unused]] const bool k_websocket = register_conformance("WebsocketConformance", make_pair<false>);
[[maybe_unused]] const bool k_secure = register_conformance("SecureWebsocketConformance", make_pair<true>);

}  // namespace
}  // namespace dig::testing
