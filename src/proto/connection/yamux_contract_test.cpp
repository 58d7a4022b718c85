// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on the yamux connection: from its first byte in both roles, and once it is secured.
#include <map>

#include "base/testing/stream_machine_contract.hpp"
#include "proto/connection/yamux_connection.hpp"
#include "wire/yamux_frame.hpp"

namespace dig::testing {
namespace {

// Echoes every stream, and remembers what came on it.
class EchoingOwner {
 public:
  void handle(YamuxConnection& connection, Instant now, const ConnectionEvent& event) {
    EXPECT_FALSE(is_closed_) << "Closed is the last event";
    if (const auto* established = std::get_if<Established>(&event)) lines_ += established->peer.to_string() + "\n";
    if (const auto* opened = std::get_if<StreamOpened>(&event)) lines_ += line("opened", opened->stream);
    if (const auto* reset = std::get_if<StreamReset>(&event)) lines_ += line("reset", reset->stream);
    if (const auto* readable = std::get_if<StreamReadable>(&event)) echo(connection, now, readable->stream);
    if (const auto* closed = std::get_if<Closed>(&event)) close(*closed);
  }
  [[nodiscard]] std::string story() const {
    std::string story = lines_;
    for (const auto& [stream, text] : received_) story += line(text, stream);
    return story;
  }

 private:
  static std::string line(std::string_view what, StreamId stream) {
    return std::string(what) + " " + std::to_string(stream.value) + "\n";
  }
  void echo(YamuxConnection& connection, Instant now, StreamId stream) {
    Bytes buffer(1000);
    while (const auto read = connection.read(now, stream, buffer)) {
      const BytesView bytes = BytesView(buffer).first(read->size);
      received_[stream] += as_text(bytes);
      (void)connection.write(stream, bytes);
      if (read->is_end) {
        received_[stream] += "<end>";
        connection.finish(stream);
      }
      if (read->is_end || read->size == 0) return;
    }
  }
  void close(const Closed& closed) {
    is_closed_ = true;
    lines_ += "closed: " + closed.error.message() + "\n";
  }

  std::string lines_;
  std::map<StreamId, std::string> received_;
  bool is_closed_ = false;
};

std::unique_ptr<YamuxConnection> make_end(Direction direction, Instant now) {
  static SeededRng identities(1);
  static const Identity dialler = Identity::generate(identities);
  static const Identity listener = Identity::generate(identities);
  const bool is_dialler = direction == Direction::outbound;
  SeededRng rng(is_dialler ? 2 : 3);
  return std::make_unique<YamuxConnection>(
      upgrade::Config{.direction = direction, .identity = is_dialler ? dialler : listener}, yamux::Limits{}, rng, now);
}

// What the other end says to the one of `direction`, up to the echo of a stream.
Bytes record_peer_of(Direction direction) {
  constexpr Instant k_now{1000s};
  const auto subject = make_end(direction, k_now);
  const auto peer = make_end(direction == Direction::outbound ? Direction::inbound : Direction::outbound, k_now);
  EchoingOwner owner;
  Bytes said;
  Bytes wire(65536);
  bool has_asked = false;
  for (int i = 0; i < 20; ++i) {
    peer->handle_bytes(k_now, BytesView(wire).first(subject->poll_bytes(k_now, wire)));
    while (peer->poll_event()) {
    }
    if (peer->snapshot().is_established && !std::exchange(has_asked, true)) {
      const auto stream = peer->open_stream(k_now);
      EXPECT_TRUE(stream && peer->write(*stream, to_bytes("anybody there?")));
      peer->finish(*stream);
    }
    const BytesView bytes = BytesView(wire).first(peer->poll_bytes(k_now, wire));
    append(said, bytes);
    subject->handle_bytes(k_now, bytes);
    while (const auto event = subject->poll_event()) owner.handle(*subject, k_now, *event);
  }
  EXPECT_NE(owner.story().find("anybody there?<end>"), std::string::npos);
  return said;
}

template <Direction direction>
struct HandshakeTraits {
  using Subject = YamuxConnection;
  using Owner = EchoingOwner;
  static std::unique_ptr<YamuxConnection> make(Instant now) { return make_end(direction, now); }
  static std::vector<Bytes> inputs() {
    static const Bytes recorded = record_peer_of(direction);
    return {recorded};
  }
  static Bytes flood() { return {}; }
};

crypto::Secret<32> key_of(std::byte fill) {
  crypto::Secret<32> key;
  std::ranges::fill(key.mutable_view(), fill);
  return key;
}

// The peer of a listener whose handshake is over: each frame travels in a Noise frame of its own.
class SealedFrames {
 public:
  SealedFrames& add(const YamuxHeader& header, std::string_view payload = {}) {
    const std::size_t size = YamuxHeader::size + payload.size();
    Bytes frame(noise::Transport::length_size + YamuxHeader::size);
    header.encode(MutableBytes(frame).subspan(noise::Transport::length_size).first<YamuxHeader::size>());
    append(frame, as_bytes(payload));
    frame.resize(size + noise::Transport::overhead);
    transport_.seal_frame(frame, size);
    append(sent_, frame);
    return *this;
  }
  SealedFrames& data(std::uint32_t stream, int flags, std::string_view text) {
    return add({.type = YamuxType::data,
                .flags = static_cast<std::uint16_t>(flags),
                .stream = stream,
                .length = static_cast<std::uint32_t>(text.size())},
               text);
  }
  SealedFrames& update(std::uint32_t stream, std::uint16_t flags) {
    return add({.type = YamuxType::window_update, .flags = flags, .stream = stream, .length = 0});
  }
  SealedFrames& ping(std::uint32_t value) {
    return add({.type = YamuxType::ping, .flags = k_yamux_syn, .stream = 0, .length = value});
  }
  [[nodiscard]] const Bytes& sent() const { return sent_; }

 private:
  noise::Transport transport_{key_of(std::byte{1}), key_of(std::byte{2})};
  Bytes sent_;
};

struct SecuredTraits {
  using Subject = YamuxConnection;
  using Owner = EchoingOwner;
  static constexpr yamux::Limits k_limits{.max_inbound_streams = 4, .max_queued_control = 4};

  static std::unique_ptr<YamuxConnection> make(Instant now) {
    return std::make_unique<YamuxConnection>(
        Direction::inbound,
        upgrade::Upgraded{.peer = {},
                          .key = {},
                          .transport = noise::Transport(key_of(std::byte{2}), key_of(std::byte{1})),
                          .leftover_ciphertext = {},
                          .leftover_plaintext = {}},
        k_limits, now);
  }
  static std::vector<Bytes> inputs() {
    SealedFrames streams;
    streams.ping(7).update(1, k_yamux_syn).data(1, 0, "hello").data(3, k_yamux_syn, "and").data(1, k_yamux_fin, "!");
    streams.data(3, 0, " more").data(3, k_yamux_fin, "");
    SealedFrames refusals;
    for (std::uint32_t stream = 1; stream <= 11; stream += 2) refusals.update(stream, k_yamux_syn);
    refusals.update(5, k_yamux_rst);
    SealedFrames goodbye;
    goodbye.data(1, k_yamux_syn | k_yamux_fin, "bye");
    goodbye.add({.type = YamuxType::go_away, .flags = 0, .stream = 0, .length = 0});
    return {streams.sent(), refusals.sent(), goodbye.sent()};
  }
  static Bytes flood() {
    SealedFrames pings;
    for (std::uint32_t i = 0; i < 20; ++i) pings.ping(i);
    return pings.sent();
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(YamuxDialler, StreamMachineContract, HandshakeTraits<Direction::outbound>);
INSTANTIATE_TYPED_TEST_SUITE_P(YamuxListener, StreamMachineContract, HandshakeTraits<Direction::inbound>);
INSTANTIATE_TYPED_TEST_SUITE_P(YamuxSecured, StreamMachineContract, SecuredTraits);

}  // namespace
}  // namespace dig::testing
