// SPDX-License-Identifier: Apache-2.0
// What every Machine promises (base/machine.hpp), as one suite that runs on any of them. Test-only.
//
//   struct MyTraits {
//     using Subject = MyMachine;
//     static std::unique_ptr<MyMachine> make(Instant now);  // in a state where it waits for datagrams
//     static std::vector<Bytes> inputs();                   // a few valid datagrams, as seeds for the bad ones
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(My, MachineContract, MyTraits);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/machine.hpp"
#include "base/rng.hpp"

namespace dig::testing {

template <class Traits>
class MachineContract : public ::testing::Test {
 protected:
  using Subject = typename Traits::Subject;
  static_assert(Machine<Subject>);

  static constexpr Instant k_start{1000s};
  static constexpr std::size_t k_buffer = 65'507;
  static constexpr std::size_t k_max_outputs = 10'000;  // of one drain: beyond, the machine is taken to loop
  static constexpr std::size_t k_max_outputs_per_input = 64;
  static constexpr std::size_t k_max_wakeups_per_hour = 100'000;

  struct Drained {
    std::size_t transmits = 0;
    std::size_t events = 0;
  };

  std::unique_ptr<Subject> machine = Traits::make(k_start);
  SeededRng rng{42};

  // As a driver does it: everything that is there, into a buffer of `room` bytes followed by a guard.
  Drained drain(Instant now, std::size_t room = k_buffer) {
    constexpr std::byte k_guard{0xa5};
    Bytes buffer(room + 64, k_guard);
    Drained count;
    while (count.transmits + count.events < k_max_outputs) {
      const auto transmit = machine->poll_transmit(now, MutableBytes(buffer).first(room));
      const bool has_event = machine->poll_event().has_value();
      if (transmit) {
        ++count.transmits;
        EXPECT_LE(transmit->size, room);
      }
      if (has_event) ++count.events;
      if (!transmit && !has_event) break;
    }
    EXPECT_LT(count.transmits + count.events, k_max_outputs) << "a drain must come to an end";
    EXPECT_TRUE(std::all_of(buffer.end() - 64, buffer.end(), [](std::byte b) { return b == k_guard; }))
        << "poll_transmit wrote beyond its buffer";
    return count;
  }

  void give(Instant now, BytesView bytes, std::uint16_t segment_size = 0) {
    // An exact copy on the heap, so that AddressSanitizer sees every read past the end.
    const std::unique_ptr<std::byte[]> copy(new std::byte[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), copy.get());
    machine->handle_datagram({.now = now,
                              .local = {IpAddress::loopback(IpFamily::v4), 4001},
                              .remote = {IpAddress::v4({192, 0, 2, 1}), 4001},
                              .ecn = Ecn::not_ect,
                              .bytes = {copy.get(), bytes.size()},
                              .segment_size = segment_size});
  }
  // One input, drained; what comes out of it is bounded.
  void give_and_drain(Instant now, BytesView bytes, std::uint16_t segment_size = 0) {
    give(now, bytes, segment_size);
    const Drained count = drain(now);
    const std::size_t segments = segment_size == 0 ? 1 : bytes.size() / segment_size + 1;
    EXPECT_LE(count.transmits, k_max_outputs_per_input * segments);
    EXPECT_LE(count.events, k_max_outputs_per_input * segments);
  }
};

TYPED_TEST_SUITE_P(MachineContract);

TYPED_TEST_P(MachineContract, EarlyTimeoutsDoNothing) {
  this->drain(this->k_start);
  const auto deadline = this->machine->next_timeout();
  for (int i = 0; i < 10; ++i) {
    this->machine->handle_timeout(deadline ? *deadline - 1ns : this->k_start);
    EXPECT_EQ(this->machine->next_timeout(), deadline);
    const auto count = this->drain(this->k_start);
    EXPECT_EQ(count.transmits + count.events, 0u);
  }
}

TYPED_TEST_P(MachineContract, RepeatedTimeoutsDoNothing) {
  this->drain(this->k_start);
  const Instant now = this->machine->next_timeout().value_or(this->k_start);
  this->machine->handle_timeout(now);
  this->drain(now);
  for (int i = 0; i < 10; ++i) {
    this->machine->handle_timeout(now);
    const auto count = this->drain(now);
    EXPECT_EQ(count.transmits + count.events, 0u);
  }
}

TYPED_TEST_P(MachineContract, DrainedMachineHasNothingMoreToSay) {
  for (const Bytes& input : TypeParam::inputs()) {
    this->give_and_drain(this->k_start, input);
    const auto again = this->drain(this->k_start);
    EXPECT_EQ(again.transmits + again.events, 0u);
  }
}

TYPED_TEST_P(MachineContract, DeadlineThatWasHandledNeverStands) {
  for (const Bytes& input : TypeParam::inputs()) this->give_and_drain(this->k_start, input);
  std::size_t wakeups = 0;
  auto deadline = this->machine->next_timeout();
  while (deadline && *deadline < this->k_start + 1h && wakeups < this->k_max_wakeups_per_hour) {
    const Instant now = std::max(*deadline, this->k_start);
    this->machine->handle_timeout(now);
    this->drain(now);
    deadline = this->machine->next_timeout();
    ASSERT_TRUE(!deadline || *deadline > now) << "the loop would spin";
    ++wakeups;
  }
  EXPECT_LT(wakeups, this->k_max_wakeups_per_hour);
}

TYPED_TEST_P(MachineContract, EveryPrefixAndExtensionOfAnInputIsSafe) {
  for (const Bytes& input : TypeParam::inputs()) {
    for (std::size_t size = 0; size <= input.size(); ++size) {
      this->give_and_drain(this->k_start, BytesView(input).first(size));
    }
    Bytes longer = input;
    longer.resize(input.size() + 1);
    this->give_and_drain(this->k_start, longer);
    longer.resize(std::min<std::size_t>(input.size() + 1400, this->k_buffer));
    this->give_and_drain(this->k_start, longer);
  }
}

TYPED_TEST_P(MachineContract, FlippedBitsAreSafe) {
  for (const Bytes& input : TypeParam::inputs()) {
    for (std::size_t i = 0; i < std::min<std::size_t>(input.size() * 8, 4096); ++i) {
      Bytes flipped = input;
      flipped[i / 8] ^= static_cast<std::byte>(1u << (i % 8));
      this->give_and_drain(this->k_start, flipped);
    }
  }
}

TYPED_TEST_P(MachineContract, GarbageIsSafe) {
  Instant now = this->k_start;
  for (int i = 0; i < 2000; ++i) {
    Bytes garbage(this->rng.below(1501));
    this->rng.fill(garbage);
    if (i % 3 == 0) std::ranges::fill(garbage, i % 2 == 0 ? std::byte{0} : std::byte{0xff});
    this->give_and_drain(now, garbage);
    now = now + 1ms;
  }
}

TYPED_TEST_P(MachineContract, LyingSegmentSizesAreSafe) {
  Bytes bytes;
  for (const Bytes& input : TypeParam::inputs()) append(bytes, input);
  bytes.resize(std::max<std::size_t>(bytes.size(), 3000));
  for (const std::size_t segment : {std::size_t{1}, std::size_t{7}, std::size_t{1200}, bytes.size() - 1, bytes.size(),
                                    bytes.size() + 1, std::size_t{65'535}}) {
    this->give_and_drain(this->k_start, bytes, static_cast<std::uint16_t>(std::min<std::size_t>(segment, 65'535)));
  }
  this->give_and_drain(this->k_start, {}, 1);
}

TYPED_TEST_P(MachineContract, SmallOutputBuffersAreRespected) {
  for (const std::size_t room : {std::size_t{0}, std::size_t{1}, std::size_t{19}, std::size_t{100}}) {
    for (const Bytes& input : TypeParam::inputs()) {
      this->give(this->k_start, input);
      this->drain(this->k_start, room);
      this->drain(this->k_start);
    }
  }
}

TYPED_TEST_P(MachineContract, InputsWithoutAnyDrainAreBoundedWork) {
  for (int i = 0; i < 1000; ++i) {
    for (const Bytes& input : TypeParam::inputs()) this->give(this->k_start, input);
  }
  this->drain(this->k_start);  // bounded by k_max_outputs
}

TYPED_TEST_P(MachineContract, ClockThatJumpsOrStandsIsSafe) {
  const std::array<Instant, 5> times = {this->k_start, this->k_start, this->k_start + 24h * 365, this->k_start + 1ms,
                                        Instant{}};
  for (const Instant now : times) {
    this->machine->handle_timeout(now);
    this->drain(now);
    for (const Bytes& input : TypeParam::inputs()) this->give_and_drain(now, input);
  }
}

REGISTER_TYPED_TEST_SUITE_P(MachineContract, EarlyTimeoutsDoNothing, RepeatedTimeoutsDoNothing,
                            DrainedMachineHasNothingMoreToSay, DeadlineThatWasHandledNeverStands,
                            EveryPrefixAndExtensionOfAnInputIsSafe, FlippedBitsAreSafe, GarbageIsSafe,
                            LyingSegmentSizesAreSafe, SmallOutputBuffersAreRespected,
                            InputsWithoutAnyDrainAreBoundedWork, ClockThatJumpsOrStandsIsSafe);

}  // namespace dig::testing
