// SPDX-License-Identifier: Apache-2.0
// What server_stream_test.cpp does not reach: bytes that are given back, and failures below the top.
#include "proto/one_port/stream_layers.hpp"

#include <gtest/gtest.h>

#include "proto/websocket/testing/frames.hpp"

namespace dig::one_port {
namespace {

using namespace websocket::testing;
using enum WebsocketOpcode;

constexpr PlainStream::Limits k_limits{.max_input = 100, .max_input_excess = 50};

std::string read(StreamLayers& layers, std::size_t size) {
  Bytes buffer(size);
  const auto got = layers.read(k_start, buffer);
  return got ? std::string(as_text(BytesView(buffer).first(got->size))) : "<error>";
}
std::optional<Closed> next_closed(StreamLayers& layers) {
  while (const auto event = layers.poll_event()) {
    if (const auto* closed = std::get_if<Closed>(&*event)) return *closed;
  }
  return std::nullopt;
}

TEST(StreamLayers, BytesThatWereGivenBackAreReadFirst) {
  StreamLayers layers(k_limits);
  layers.handle_bytes(k_start, as_bytes("abcdef"));
  EXPECT_EQ(read(layers, 2), "ab");
  EXPECT_EQ(read(layers, 1), "c");
  layers.unread(as_bytes("c"));
  layers.unread(as_bytes("ab"));
  EXPECT_EQ(read(layers, 1), "a");
  EXPECT_EQ(read(layers, 100), "bcdef");
  EXPECT_EQ(read(layers, 100), "");
}

TEST(StreamLayers, BytesThatWereGivenBackComeBeforeAFailure) {
  StreamLayers layers(k_limits);
  layers.handle_bytes(k_start, as_bytes("ab"));
  EXPECT_EQ(read(layers, 2), "ab");
  layers.handle_bytes(k_start, Bytes(151));  // a flood
  layers.unread(as_bytes("ab"));
  EXPECT_EQ(read(layers, 100), "ab");
  EXPECT_EQ(read(layers, 100), "<error>");
}

TEST(StreamLayers, ALayerThatIsAddedGetsWhatWasGivenBack) {
  StreamLayers layers(k_limits);
  EXPECT_TRUE(std::holds_alternative<Opened>(layers.poll_event().value()));
  layers.handle_bytes(k_start, frame(binary, "hello"));
  Bytes start(3);
  EXPECT_TRUE(layers.read(k_start, start));
  layers.unread(start);
  layers.add(k_start, server());
  EXPECT_TRUE(std::holds_alternative<Opened>(layers.poll_event().value())) << "of the new layer";
  EXPECT_TRUE(std::holds_alternative<Readable>(layers.poll_event().value()));
  EXPECT_FALSE(layers.poll_event());
  EXPECT_EQ(read(layers, 100), "hello");
}

TEST(StreamLayers, ReadingMakesRoomInEveryLayer) {
  StreamLayers layers(k_limits);
  layers.add(k_start, server({.max_input = 10, .max_input_excess = 200}));
  for (int i = 0; i < 5 && layers.wants_bytes(); ++i) layers.handle_bytes(k_start, frame(binary, std::string(60, 'x')));
  EXPECT_FALSE(layers.wants_bytes()) << "both layers are full";
  std::string all;
  for (std::string some = read(layers, 7); !some.empty(); some = read(layers, 7)) all += some;
  EXPECT_EQ(all, std::string(180, 'x'));
  EXPECT_TRUE(layers.wants_bytes());
}

TEST(StreamLayers, AFailureBelowTheTopIsTheReasonThatIsTold) {
  StreamLayers layers(k_limits);
  layers.add(k_start, server({.max_input = 1}));
  layers.handle_bytes(k_start, frame(binary, "xx"));  // the WebSocket takes no more
  layers.handle_bytes(k_start, Bytes(151));
  EXPECT_EQ(read(layers, 100), "xx");
  const Closed closed = next_closed(layers).value();
  EXPECT_EQ(closed.error.code(), Errc::flood) << closed.error.message();
  EXPECT_FALSE(closed.is_clean);
}

TEST(StreamLayers, EachLayerSaysItsGoodbye) {
  StreamLayers layers(k_limits);
  layers.add(k_start, server());
  EXPECT_TRUE(layers.write(as_bytes("bye")));
  layers.close(k_start);
  EXPECT_TRUE(next_closed(layers).value().is_clean);
  EXPECT_FALSE(layers.wants_bytes()) << "the lowest one, too";
  Bytes out(1000);
  out.resize(layers.poll_bytes(k_start, out));
  EXPECT_TRUE(as_text(out).ends_with(std::string_view("bye\x88\x02\x03\xe8", 7)));
  EXPECT_FALSE(layers.poll_event());
}

}  // namespace
}  // namespace dig::one_port
