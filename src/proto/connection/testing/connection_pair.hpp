// SPDX-License-Identifier: Apache-2.0
// Test-only: what the conformance suite needs to know of a kind of connection, and the fixture with which its cases
// are written. A kind takes part by deriving from ConnectionPair; see connection_conformance.hpp.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/rng.hpp"
#include "proto/connection/connection.hpp"

namespace dig::testing {

// Two connections to each other and the way between them, in virtual time.
class ConnectionPair {
 public:
  virtual ~ConnectionPair() = default;

  virtual Connection& dialer() = 0;
  virtual Connection& listener() = 0;
  virtual PeerId dialer_id() const = 0;
  virtual PeerId listener_id() const = 0;
  // Moves at most so many bytes each way; false when nothing moved.
  virtual bool pump_step(std::size_t bytes) = 0;
  // The way between them is gone: each side learns that it has ended, nothing in flight arrives.
  virtual void cut() = 0;
  // Lets time pass step by step; without `carry` whatever is sent meanwhile is lost in silence.
  virtual void advance(Duration time, bool carry) = 0;
  virtual Instant now() const = 0;

  // How many streams a side may open before a further one has to wait.
  virtual std::size_t open_limit() const = 0;
  // Whether reset(code) and stop_sending(code) tell the peer the code, and whether it hears of stop_sending at all.
  virtual bool carries_codes() const = 0;
  virtual bool carries_stop() const = 0;
};

// One end as the cases see it: the connection and the events it gave.
struct Side {
  Connection* connection = nullptr;
  std::vector<ConnectionEvent> events;

  void collect() {
    while (auto event = connection->poll_event()) events.push_back(std::move(*event));
  }
  // Takes out the first event of this type.
  template <class E>
  std::optional<E> take() {
    return take_if<E>([](const E&) { return true; });
  }
  template <class E>
  std::optional<E> take(StreamId stream) {
    return take_if<E>([stream](const E& event) { return event.stream == stream; });
  }
  template <class E>
  [[nodiscard]] std::size_t count() const {
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [](const auto& e) { return std::holds_alternative<E>(e); }));
  }

 private:
  template <class E, class Predicate>
  std::optional<E> take_if(Predicate predicate) {
    for (auto event = events.begin(); event != events.end(); ++event) {
      if (const E* found = std::get_if<E>(&*event); found != nullptr && predicate(*found)) {
        std::optional<E> result(*found);
        events.erase(event);
        return result;
      }
    }
    return std::nullopt;
  }
};

struct Received {
  Bytes bytes;
  bool is_end = false;
  std::optional<Errc> error;
};

struct StreamPair {
  StreamId dialer;
  StreamId listener;
};

class Conformance : public ::testing::Test {
 public:
  explicit Conformance(std::unique_ptr<ConnectionPair> made) : pair(std::move(made)) {
    dialer.connection = &pair->dialer();
    listener.connection = &pair->listener();
  }

  // Establishes the connection; the cases that look at that very step do without.
  void establish() {
    settle();
    ASSERT_TRUE(dialer.take<Established>());
    ASSERT_TRUE(listener.take<Established>());
  }
  void collect() {
    dialer.collect();
    listener.collect();
  }
  void settle(std::size_t step = 65536) {
    collect();
    while (pair->pump_step(step)) collect();
    collect();
  }

  StreamId open(Side& side) {
    const auto stream = side.connection->open_stream(pair->now());
    EXPECT_TRUE(stream) << stream.error().message();
    return stream.value_or(StreamId{~0ULL});
  }
  // A stream that both sides know, opened by the dialer.
  StreamPair connect_streams() {
    const StreamId mine = open(dialer);
    EXPECT_EQ(write(dialer, mine, "hi"), 2U);
    settle();
    const auto opened = listener.take<StreamOpened>();
    EXPECT_TRUE(opened);
    const StreamId theirs = opened ? opened->stream : StreamId{~0ULL};
    EXPECT_EQ(as_text(read_all(listener, theirs).bytes), "hi");
    settle();
    while (listener.take<StreamReadable>(theirs)) {
    }
    return {mine, theirs};
  }
  static std::size_t write(Side& side, StreamId stream, BytesView bytes) {
    const auto taken = side.connection->write(stream, bytes);
    EXPECT_TRUE(taken) << taken.error().message();
    return taken.value_or(0);
  }
  static std::size_t write(Side& side, StreamId stream, std::string_view text) {
    return write(side, stream, as_bytes(text));
  }
  static std::optional<Errc> write_error(Side& side, StreamId stream) {
    const auto taken = side.connection->write(stream, as_bytes("x"));
    return taken ? std::nullopt : std::optional(taken.error().code());
  }
  Received read_all(Side& side, StreamId stream) {
    Received received;
    Bytes buffer(20'000);
    while (true) {
      const auto read = side.connection->read(pair->now(), stream, buffer);
      if (!read) {
        received.error = read.error().code();
        return received;
      }
      append(received.bytes, BytesView(buffer).first(read->size));
      received.is_end = read->is_end;
      if (read->is_end || read->size == 0) return received;
    }
  }
  // Writes until nothing more is taken; returns how much was.
  std::size_t fill(Side& side, StreamId stream) {
    const Bytes piece(100'000, std::byte{'f'});
    std::size_t total = 0;
    while (const std::size_t taken = write(side, stream, piece)) {
      total += taken;
      settle();
      if (total > (1U << 26U)) {
        ADD_FAILURE() << "a stream that nobody reads takes everything";
        break;
      }
    }
    return total;
  }
  // Sends `bytes` and the end from one side to the other with a pump of so many bytes at a time.
  void transfer(Side& from, StreamId source, Side& to, StreamId target, const Bytes& bytes, std::size_t step) {
    BytesView rest = bytes;
    Received received;
    Bytes got;
    bool finished = false;
    for (int idle = 0; idle < 3 && !received.is_end;) {
      const std::size_t taken = rest.empty() ? 0 : write(from, source, rest);
      rest = rest.subspan(taken);
      if (rest.empty() && !std::exchange(finished, true)) from.connection->finish(source);
      const bool moved = pair->pump_step(step);
      collect();
      received = read_all(to, target);
      if (received.error) break;
      append(got, received.bytes);
      idle = moved || taken > 0 || !received.bytes.empty() ? 0 : idle + 1;
    }
    EXPECT_TRUE(received.is_end);
    EXPECT_TRUE(equal(got, bytes)) << got.size() << " of " << bytes.size();
  }
  static Bytes random_bytes(std::size_t size, std::uint64_t seed) {
    SeededRng rng(seed);
    Bytes bytes(size);
    rng.fill(bytes);
    return bytes;
  }

  std::unique_ptr<ConnectionPair> pair;
  Side dialer;
  Side listener;
};

}  // namespace dig::testing
