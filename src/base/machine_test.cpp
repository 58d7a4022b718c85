// SPDX-License-Identifier: Apache-2.0
#include "base/machine.hpp"

#include "base/testing/echo_machine.hpp"
#include "base/testing/machine_contract.hpp"

namespace dig::testing {
namespace {

struct EchoTraits {
  using Subject = EchoMachine;
  static std::unique_ptr<EchoMachine> make(Instant) {
    return std::make_unique<EchoMachine>(EchoMachine::Limits{.slots = 4});
  }
  static std::vector<Bytes> inputs() { return {to_bytes("hello"), Bytes(1200, std::byte{7})}; }
};

// Sends a datagram every second, gives up after three: something with deadlines.
class BeaconMachine {
 public:
  struct Silent {};
  using Event = std::variant<Silent>;

  explicit BeaconMachine(Instant now) : next_(now) {}
  void handle_datagram(const Received& in) {
    if (in.bytes.size() == 1) next_.reset();
  }
  void handle_timeout(Instant now) {
    if (!next_ || now < *next_) return;
    next_ = now + 1s;
    ++due_;
    if (++sent_ < 3) return;
    next_.reset();
    is_silent_ = true;
  }
  std::optional<Transmit> poll_transmit(Instant, MutableBytes out) {
    if (due_ == 0 || out.empty()) return std::nullopt;
    --due_;
    out[0] = std::byte{1};
    return Transmit{.size = 1};
  }
  std::optional<Event> poll_event() {
    if (!std::exchange(is_silent_, false)) return std::nullopt;
    return Silent{};
  }
  std::optional<Instant> next_timeout() const { return next_; }

 private:
  std::optional<Instant> next_;
  int due_ = 0;
  int sent_ = 0;
  bool is_silent_ = false;
};

struct BeaconTraits {
  using Subject = BeaconMachine;
  static std::unique_ptr<BeaconMachine> make(Instant now) { return std::make_unique<BeaconMachine>(now); }
  static std::vector<Bytes> inputs() { return {Bytes(2)}; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Echo, MachineContract, EchoTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(Beacon, MachineContract, BeaconTraits);

TEST(EchoMachine, BatchThatDoesNotFitIsCutBetweenSegments) {
  EchoMachine machine;
  const Bytes batch(2500, std::byte{3});
  machine.handle_datagram({.bytes = batch, .segment_size = 1000});
  Bytes out(1500);
  std::vector<std::size_t> sizes;
  while (const auto transmit = machine.poll_transmit({}, out)) sizes.push_back(transmit->size);
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1000, 1500}));
}

TEST(EchoMachine, FullMachineDropsAndSaysSo) {
  EchoMachine machine({.slots = 1});
  const Bytes datagram(10);
  for (int i = 0; i < 3; ++i) machine.handle_datagram({.bytes = datagram});
  const auto event = machine.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<EchoMachine::Dropped>(*event).bytes, 20u);
  EXPECT_FALSE(machine.poll_event());
  EXPECT_EQ(machine.snapshot().waiting, 1u);
}

}  // namespace
}  // namespace dig::testing
