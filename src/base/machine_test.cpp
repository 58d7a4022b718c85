// SPDX-License-Identifier: Apache-2.0
#include "base/machine.hpp"

#include <deque>

#include "base/testing/echo_machine.hpp"
#include "base/testing/machine_contract.hpp"
#include "base/testing/stream_machine_contract.hpp"

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

// Gives back every line, pushes back while two of them wait, and leaves after a minute of silence.
class LineEcho {
 public:
  struct Line {
    std::string text;
  };
  struct Over {};
  using Event = std::variant<Line, Over>;

  explicit LineEcho(Instant now) : last_byte_(now) {}
  void handle_bytes(Instant now, BytesView bytes) {
    if (is_over_ || bytes.empty()) return;
    last_byte_ = now;
    for (const std::byte byte : bytes) handle_byte(byte);
  }
  void handle_eof(Instant) { end(); }
  void handle_timeout(Instant now) {
    if (const auto deadline = next_timeout(); deadline && now >= *deadline) end();
  }
  std::size_t poll_bytes(Instant, MutableBytes out) {
    const std::size_t size = std::min(out.size(), output_.size());
    std::copy_n(output_.begin(), size, out.begin());
    output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(size));
    return size;
  }
  std::optional<Event> poll_event() {
    if (events_.empty()) return std::nullopt;
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  bool wants_bytes() const { return !is_over_ && std::ranges::count(output_, std::byte{'\n'}) < 2; }
  std::optional<Instant> next_timeout() const {
    return is_over_ ? std::nullopt : std::optional(last_byte_ + std::chrono::minutes(1));
  }

 private:
  void handle_byte(std::byte byte) {
    line_.push_back(byte);
    if (byte != std::byte{'\n'}) return;
    append(output_, line_);
    events_.push_back(Line{std::string(as_text(line_))});
    line_.clear();
  }
  void end() {
    if (!std::exchange(is_over_, true)) events_.push_back(Over{});
  }

  Instant last_byte_;
  Bytes line_;
  Bytes output_;
  std::deque<Event> events_;
  bool is_over_ = false;
};

struct LineEchoTraits {
  using Subject = LineEcho;
  class Owner {
   public:
    void handle(LineEcho&, Instant, const LineEcho::Event& event) {
      const auto* line = std::get_if<LineEcho::Line>(&event);
      story_ += line != nullptr ? line->text : "over";
    }
    std::string story() const { return story_; }

   private:
    std::string story_;
  };
  static std::unique_ptr<LineEcho> make(Instant now) { return std::make_unique<LineEcho>(now); }
  static std::vector<Bytes> inputs() { return {to_bytes("one\ntwo\n\nthree"), to_bytes("\n")}; }
  static Bytes flood() { return to_bytes("a\nb\nc\nd\n"); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Echo, MachineContract, EchoTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(Beacon, MachineContract, BeaconTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(LineEcho, StreamMachineContract, LineEchoTraits);

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
