// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on both ends of a secure upgrade. The keys come from a seed, so that each end is the
// very same one and what its peer said once can be said to it again.
#include "base/testing/shaped_stream_machine.hpp"
#include "base/testing/stream_machine_contract.hpp"
#include "proto/upgrade/secure_upgrade.hpp"

namespace dig::testing {
namespace {

using upgrade::SecureUpgrade;
using Subject = ShapedStreamMachine<SecureUpgrade>;

std::unique_ptr<Subject> make_end(Direction direction, Instant now) {
  static SeededRng identities(1);
  static const Identity dialler = Identity::generate(identities);
  static const Identity listener = Identity::generate(identities);
  const bool is_dialler = direction == Direction::outbound;
  SeededRng rng(is_dialler ? 2 : 3);
  const upgrade::Config config{.direction = direction, .identity = is_dialler ? dialler : listener};
  return std::make_unique<Subject>(config, rng, now);
}

// Moves what `from` has to say; returns it.
Bytes move(Subject& from, Subject& to) {
  Bytes out(65'536);
  out.resize(from.poll_bytes({}, out));
  to.handle_bytes({}, out);
  return out;
}

// All that the peer of an end says to it in an upgrade that succeeds.
Bytes said_to(Direction direction) {
  const auto dialler = make_end(Direction::outbound, {}), listener = make_end(Direction::inbound, {});
  Bytes to_listener, to_dialler;
  for (bool is_moving = true; is_moving;) {
    const Bytes there = move(*dialler, *listener), back = move(*listener, *dialler);
    append(to_listener, there);
    append(to_dialler, back);
    is_moving = !there.empty() || !back.empty();
  }
  return direction == Direction::outbound ? to_dialler : to_listener;
}

struct UpgradeOwner {
  void handle(Subject&, Instant, const Result<upgrade::Upgraded>& outcome) {
    EXPECT_TRUE(text.empty()) << "there is one outcome";
    text = outcome ? outcome->peer.to_string() : outcome.error().message();
  }
  [[nodiscard]] std::string story() const { return text; }
  std::string text;
};

template <Direction direction>
struct UpgradeTraits {
  using Subject = testing::Subject;
  using Owner = UpgradeOwner;
  static std::unique_ptr<Subject> make(Instant now) {
    auto end = make_end(direction, now);
    Bytes first(65'536);
    const std::size_t size = end->poll_bytes(now, first);
    EXPECT_EQ(size > 0, direction == Direction::outbound);
    return end;
  }
  static std::vector<Bytes> inputs() {
    const Bytes all = said_to(direction);
    StreamRun<UpgradeTraits> whole;
    whole.give_and_drain(all);
    EXPECT_TRUE(whole.owner.story().starts_with("12D3")) << "what was said makes an upgrade: " << whole.owner.story();
    return {all};
  }
  static Bytes flood() { return {}; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(UpgradeDialler, StreamMachineContract, UpgradeTraits<Direction::outbound>);
INSTANTIATE_TYPED_TEST_SUITE_P(UpgradeListener, StreamMachineContract, UpgradeTraits<Direction::inbound>);

}  // namespace
}  // namespace dig::testing
