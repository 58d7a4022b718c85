// SPDX-License-Identifier: Apache-2.0
// Datagrams on the one port, beside a model of the rule: the first byte says what is known of the 5-tuple, the second
// how long the segments are. Each segment is delivered or refused, in order, and goes where the rule says.
#include <cstdint>

#include "input.hpp"
#include "proto/one_port/datagram_router.hpp"

namespace {

using namespace dig;
using namespace dig::one_port;
using fuzz::require;

// Channels with an even number are bound; connection ids are eight bytes that begin with 0x07; ICE fragments begin with
// 'f', transactions of ICE with 't'.
class State final : public DatagramState {
 public:
  explicit State(unsigned known) : tuple_{(known & 1U) != 0, (known & 2U) != 0, (known & 4U) != 0} {}
  [[nodiscard]] Tuple find(const Endpoint&, const Endpoint&) const override { return tuple_; }
  [[nodiscard]] bool is_channel_bound(Instant, const Endpoint&, const Endpoint&, std::uint16_t channel) const override {
    require(channel >= 0x4000 && channel <= 0x4FFF);
    return channel % 2 == 0;
  }
  [[nodiscard]] bool begins_with_connection_id(BytesView bytes) const override {
    return bytes.size() >= 8 && bytes[0] == std::byte{7};
  }
  [[nodiscard]] bool is_ice_fragment(std::string_view fragment) const override { return fragment.starts_with('f'); }
  [[nodiscard]] bool is_ice_transaction(const stun::TransactionId& transaction) const override {
    return transaction[0] == std::byte{'t'};
  }

 private:
  Tuple tuple_;
};

bool is_stun(Destination destination) {
  return destination == Destination::stun_server || destination == Destination::stun_client ||
         destination == Destination::ice;
}

void expect_rule(const DatagramState::Tuple& tuple, Destination destination, BytesView datagram) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(datagram[i]); };
  const std::size_t first = byte(0);
  require(is_stun(destination) ? first <= 3 && stun::is_stun(datagram) : first >= 20);
  if (destination == Destination::webrtc) require(first <= 63 && tuple.is_ice_validated);
  if (destination == Destination::turn_dtls) require(first <= 63 && !tuple.is_ice_validated);
  if (destination == Destination::quic) require((first & 0x40U) != 0 || (first >= 128 && tuple.has_quic_connection));
  if (destination != Destination::channel_data) return;
  require(first >= 64 && first <= 79 && tuple.has_allocation && !(datagram.size() >= 9 && byte(1) == 7));
  if (!tuple.has_quic_connection) return;
  const std::size_t size = 4 + (byte(2) << 8U | byte(3));
  require(byte(1) % 2 == 0 && datagram.size() >= size && datagram.size() <= size + 3);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in{data, size};
  const State state(in.byte());
  const std::uint16_t segment = in.byte();
  const BytesView bytes = in.take(in.size);
  DatagramRouter router(state);
  const std::byte* next = bytes.data();
  std::uint64_t delivered = 0;
  router.route({.now = {}, .local = {}, .remote = {}, .bytes = bytes, .segment_size = segment},
               [&](Destination to, const Received& part) {
                 require(to != Destination::refused && !part.bytes.empty() && part.bytes.data() >= next);
                 next = part.bytes.data() + part.bytes.size();
                 const std::size_t step = part.segment_size == 0 ? part.bytes.size() : part.segment_size;
                 require(part.segment_size == 0 || part.bytes.size() > step);
                 for (BytesView rest = part.bytes; !rest.empty(); rest = rest.subspan(std::min(step, rest.size()))) {
                   expect_rule(state.find({}, {}), to, rest.first(std::min(step, rest.size())));
                   ++delivered;
                 }
               });
  require(bytes.empty() || next <= bytes.data() + bytes.size());
  const std::size_t step = segment == 0 ? std::max<std::size_t>(bytes.size(), 1) : segment;
  const std::uint64_t expected = bytes.empty() ? 1 : (bytes.size() + step - 1) / step;
  const auto refused = router.snapshot().datagrams[static_cast<std::size_t>(Destination::refused)];
  require(delivered + refused == expected);
  return 0;
}
