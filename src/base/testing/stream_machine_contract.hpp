// SPDX-License-Identifier: Apache-2.0
// What every StreamMachine promises (base/machine.hpp), as one suite that runs on any of them. Test-only.
//
//   struct MyTraits {
//     using Subject = MyMachine;
//     struct Owner {                                     // does with an event what a user of the machine would do
//       void handle(MyMachine& machine, Instant now, MyMachine::Event event);
//       std::string story() const;                       // what it learnt: the same however the input was cut
//     };
//     static std::unique_ptr<MyMachine> make(Instant);   // waits for bytes; each time the very same machine
//     static std::vector<Bytes> inputs();                // what honest peers say to it, each from the beginning
//     static Bytes flood();                              // honest too, and more than it takes undrained; empty: none
//     is
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(My, StreamMachineContract, MyTraits);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/machine.hpp"
#include "base/rng.hpp"

namespace dig::testing {

// One machine and its owner, driven step by step.
template <class Traits>
class StreamRun {
 public:
  using Subject = typename Traits::Subject;
  static_assert(StreamMachine<Subject>);

  static constexpr Instant k_start{1000s};
  static constexpr std::size_t k_buffer = 65'536;
  static constexpr std::size_t k_max_outputs = 20'000;  // of one drain: beyond, the machine is taken to loop

  // As a driver does it: everything that is there, into a buffer of `room` bytes followed by a guard. Returns how many
  // outputs and events that was.
  std::size_t drain(Instant now = k_start, std::size_t room = k_buffer) {
    constexpr std::byte k_guard{0xa5};
    Bytes buffer(room + 64, k_guard);
    std::size_t count = 0;
    while (count < k_max_outputs) {
      const std::size_t size = machine->poll_bytes(now, MutableBytes(buffer).first(room));
      auto event = machine->poll_event();
      if (size == 0 && !event) break;
      EXPECT_LE(size, room);
      append(sent, BytesView(buffer).first(std::min(size, room)));
      count += (size > 0 ? 1u : 0u) + (event ? 1u : 0u);
      if (event) owner.handle(*machine, now, std::move(*event));
    }
    EXPECT_LT(count, k_max_outputs) << "a drain must come to an end";
    EXPECT_TRUE(std::all_of(buffer.end() - 64, buffer.end(), [](std::byte b) { return b == k_guard; }))
        << "poll_bytes wrote beyond its buffer";
    return count;
  }

  void give(BytesView bytes, Instant now = k_start) {
    // An exact copy on the heap, so that AddressSanitizer sees every read past the end.
    const std::unique_ptr<std::byte[]> copy(new std::byte[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), copy.get());
    machine->handle_bytes(now, {copy.get(), bytes.size()});
  }
  void give_and_drain(BytesView bytes, Instant now = k_start) {
    give(bytes, now);
    drain(now);
  }
  void end_and_drain(Instant now = k_start) {
    machine->handle_eof(now);
    drain(now);
    EXPECT_FALSE(machine->wants_bytes()) << "nothing can come any more";
  }

  std::unique_ptr<Subject> machine = Traits::make(k_start);
  typename Traits::Owner owner;
  Bytes sent;
};

// Cuts `bytes` into pieces of `size`, or of random sizes where that is 0.
template <class Give>
void for_each_piece(BytesView bytes, std::size_t size, Rng& rng, Give give) {
  while (!bytes.empty()) {
    const std::size_t wanted = size == 0 ? 1 + rng.below(bytes.size()) : size;
    const BytesView piece = bytes.first(std::min(wanted, bytes.size()));
    give(piece);
    bytes = bytes.subspan(piece.size());
  }
}

// Up to `most` numbers below `size`, all of them if there are not more.
inline std::vector<std::size_t> spread_below(std::size_t size, std::size_t most) {
  std::vector<std::size_t> numbers;
  const std::size_t step = std::max<std::size_t>(1, (size + most - 1) / most);
  for (std::size_t i = 0; i < size; i += step) numbers.push_back(i);
  return numbers;
}

template <class Traits>
class StreamMachineContract : public ::testing::Test {
 protected:
  using Run = StreamRun<Traits>;

  static constexpr std::size_t k_max_events_per_byte = 4;
  static constexpr std::size_t k_max_wakeups_per_hour = 100'000;
  static constexpr std::size_t k_variations = 512;  // of one input
  static constexpr std::array<std::size_t, 8> k_pieces = {1, 2, 3, 7, 100, 0, 0, 0};

  const std::vector<Bytes> inputs = Traits::inputs();
  SeededRng rng{42};
};

TYPED_TEST_SUITE_P(StreamMachineContract);

TYPED_TEST_P(StreamMachineContract, EarlyTimeoutsDoNothing) {
  typename TestFixture::Run run;
  run.drain();
  const auto deadline = run.machine->next_timeout();
  for (int i = 0; i < 10; ++i) {
    run.machine->handle_timeout(deadline ? *deadline - 1ns : run.k_start);
    EXPECT_EQ(run.machine->next_timeout(), deadline);
    EXPECT_EQ(run.drain(), 0u);
  }
}

TYPED_TEST_P(StreamMachineContract, RepeatedTimeoutsDoNothing) {
  typename TestFixture::Run run;
  run.drain();
  const Instant now = run.machine->next_timeout().value_or(run.k_start);
  run.machine->handle_timeout(now);
  run.drain(now);
  for (int i = 0; i < 10; ++i) {
    run.machine->handle_timeout(now);
    EXPECT_EQ(run.drain(now), 0u);
  }
}

TYPED_TEST_P(StreamMachineContract, DeadlineThatWasHandledNeverStands) {
  for (const Bytes& input : this->inputs) {
    typename TestFixture::Run run;
    run.give_and_drain(input);
    std::size_t wakeups = 0;
    auto deadline = run.machine->next_timeout();
    while (deadline && *deadline < run.k_start + 1h && wakeups < this->k_max_wakeups_per_hour) {
      const Instant now = std::max(*deadline, run.k_start);
      run.machine->handle_timeout(now);
      run.drain(now);
      deadline = run.machine->next_timeout();
      ASSERT_TRUE(!deadline || *deadline > now) << "the loop would spin";
      ++wakeups;
    }
    EXPECT_LT(wakeups, this->k_max_wakeups_per_hour);
  }
}

TYPED_TEST_P(StreamMachineContract, DrainedMachineHasNothingMoreToSay) {
  for (const Bytes& input : this->inputs) {
    typename TestFixture::Run run;
    run.give_and_drain(input);
    EXPECT_EQ(run.drain(), 0u);
  }
}

TYPED_TEST_P(StreamMachineContract, NoBytesAreNothing) {
  for (const Bytes& input : this->inputs) {
    typename TestFixture::Run run;
    run.give_and_drain(BytesView(input).first(input.size() / 2));
    const std::string story = run.owner.story();
    run.give(BytesView());
    EXPECT_EQ(run.drain(), 0u);
    EXPECT_EQ(run.owner.story(), story);
  }
}

// What was sent may depend on when it was asked for (one frame or two), so it is compared between runs that are
// drained at the same moments: at the end.
TYPED_TEST_P(StreamMachineContract, SegmentationOfTheInputDoesNotMatter) {
  for (const Bytes& input : this->inputs) {
    typename TestFixture::Run whole;
    whole.give_and_drain(input);
    for (const std::size_t size : this->k_pieces) {
      typename TestFixture::Run late;
      for_each_piece(input, size, this->rng, [&](BytesView piece) { late.give(piece); });
      late.drain();
      EXPECT_EQ(late.owner.story(), whole.owner.story()) << size;
      EXPECT_EQ(late.sent, whole.sent) << size;
      typename TestFixture::Run prompt;
      for_each_piece(input, size, this->rng, [&](BytesView piece) { prompt.give_and_drain(piece); });
      EXPECT_EQ(prompt.owner.story(), whole.owner.story()) << size;
    }
  }
}

TYPED_TEST_P(StreamMachineContract, EveryPrefixMayBeTheEnd) {
  for (const Bytes& input : this->inputs) {
    for (const std::size_t size : spread_below(input.size() + 1, this->k_variations)) {
      typename TestFixture::Run run;
      run.give_and_drain(BytesView(input).first(size));
      run.end_and_drain();
    }
  }
}

TYPED_TEST_P(StreamMachineContract, NothingFollowsTheEnd) {
  for (const Bytes& input : this->inputs) {
    typename TestFixture::Run run;
    run.give_and_drain(BytesView(input).first(input.size() / 2));
    run.end_and_drain();
    const std::string story = run.owner.story();
    for (int i = 0; i < 3; ++i) {
      run.machine->handle_eof(run.k_start);
      EXPECT_EQ(run.drain(), 0u);
      run.give(BytesView(input).subspan(input.size() / 2));
      EXPECT_EQ(run.drain(), 0u);
    }
    EXPECT_EQ(run.owner.story(), story);
  }
}

TYPED_TEST_P(StreamMachineContract, FlippedBitsAreSafe) {
  for (const Bytes& input : this->inputs) {
    for (const std::size_t bit : spread_below(input.size() * 8, this->k_variations)) {
      Bytes flipped = input;
      flipped[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      typename TestFixture::Run run;
      run.give_and_drain(flipped);
      run.end_and_drain();
    }
  }
}

TYPED_TEST_P(StreamMachineContract, GarbageIsSafeWhereverItBegins) {
  for (const Bytes& input : this->inputs) {
    for (int i = 0; i < 100; ++i) {
      Bytes garbage(this->rng.below(1501));
      this->rng.fill(garbage);
      if (i % 3 == 0) std::ranges::fill(garbage, i % 2 == 0 ? std::byte{0} : std::byte{0xff});
      typename TestFixture::Run run;
      run.give_and_drain(BytesView(input).first(this->rng.below(input.size() + 1)));
      for_each_piece(garbage, 0, this->rng, [&](BytesView piece) { run.give_and_drain(piece); });
      run.end_and_drain();
    }
  }
}

TYPED_TEST_P(StreamMachineContract, OutputIsHandedOutInBuffersOfAnySize) {
  for (const std::size_t room : {std::size_t{1}, std::size_t{2}, std::size_t{19}, std::size_t{100}}) {
    for (const Bytes& input : this->inputs) {
      typename TestFixture::Run run;
      run.give(input);
      run.drain(run.k_start, 0);
      EXPECT_TRUE(run.sent.empty());
      run.drain(run.k_start, room);
      EXPECT_EQ(run.drain(), 0u) << "a small buffer is as good as a large one";
    }
  }
}

TYPED_TEST_P(StreamMachineContract, OneInputHasBoundedConsequences) {
  for (const Bytes& input : this->inputs) {
    typename TestFixture::Run run;
    run.drain();
    for_each_piece(input, 1, this->rng, [&](BytesView piece) {
      run.give(piece);
      std::size_t events = 0;
      while (auto event = run.machine->poll_event()) {
        run.owner.handle(*run.machine, run.k_start, std::move(*event));
        ASSERT_LE(++events, this->k_max_events_per_byte);
      }
    });
  }
}

TYPED_TEST_P(StreamMachineContract, InputsWithoutAnyDrainAreBoundedWork) {
  for (const Bytes& input : this->inputs) {
    typename TestFixture::Run run;
    for (int i = 0; i < 1000; ++i) run.give(input);
    run.drain();  // bounded by k_max_outputs
  }
}

TYPED_TEST_P(StreamMachineContract, PushesBackOnlyUntilItIsDrained) {
  for (const Bytes& input : this->inputs) {
    typename TestFixture::Run run;
    for_each_piece(input, 1, this->rng, [&](BytesView piece) {
      EXPECT_TRUE(run.machine->wants_bytes());
      run.give_and_drain(piece);
    });
  }
  typename TestFixture::Run run;
  std::size_t times = 0;
  const Bytes flood = TypeParam::flood();
  for_each_piece(flood, 1, this->rng, [&](BytesView piece) {
    run.give(piece);
    if (run.machine->wants_bytes()) return;
    ++times;
    run.drain();
    EXPECT_TRUE(run.machine->wants_bytes());
  });
  EXPECT_EQ(times > 0, !flood.empty());
}

TYPED_TEST_P(StreamMachineContract, ClockThatJumpsOrStandsIsSafe) {
  for (const Bytes& input : this->inputs) {
    typename TestFixture::Run run;
    const std::array<Instant, 5> times = {run.k_start, run.k_start + 24h * 365, run.k_start + 1ms, Instant{},
                                          run.k_start};
    std::size_t piece = 0;
    for (const Instant now : times) {
      run.machine->handle_timeout(now);
      run.drain(now);
      const std::size_t from = input.size() * piece / times.size();
      const std::size_t to = input.size() * ++piece / times.size();
      run.give_and_drain(BytesView(input).subspan(from, to - from), now);
    }
    run.end_and_drain();
  }
}

REGISTER_TYPED_TEST_SUITE_P(StreamMachineContract, EarlyTimeoutsDoNothing, RepeatedTimeoutsDoNothing,
                            DeadlineThatWasHandledNeverStands, DrainedMachineHasNothingMoreToSay, NoBytesAreNothing,
                            SegmentationOfTheInputDoesNotMatter, EveryPrefixMayBeTheEnd, NothingFollowsTheEnd,
                            FlippedBitsAreSafe, GarbageIsSafeWhereverItBegins, OutputIsHandedOutInBuffersOfAnySize,
                            OneInputHasBoundedConsequences, InputsWithoutAnyDrainAreBoundedWork,
                            PushesBackOnlyUntilItIsDrained, ClockThatJumpsOrStandsIsSafe);

}  // namespace dig::testing
