// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on a connection to the one port, for each protocol without TLS (whose own contract is
// tested in crypto/), and on the layers of a client.
#include "base/testing/stream_machine_contract.hpp"
#include "proto/http/response_head.hpp"
#include "proto/one_port/server_stream.hpp"
#include "proto/websocket/testing/frames.hpp"

namespace dig::testing {
namespace {

using namespace one_port;
using namespace websocket::testing;
using enum WebsocketOpcode;

constexpr PlainStream::Limits k_limits{.max_input = 1000};

// Echoes what it reads, and remembers it.
class EchoingOwner {
 public:
  void handle(auto& stream, Instant now, const auto& event) {
    EXPECT_FALSE(is_closed_) << "Closed is the last event";
    std::visit([&](const auto& fact) { take(stream, now, fact); }, event);
  }
  [[nodiscard]] std::string story() const { return text_ + "\n" + closing_; }

 private:
  void take(ServerStream& stream, Instant now, const Identified& what) {
    text_ += std::to_string(static_cast<int>(what.application)) + (what.is_websocket ? " ws\n" : "\n");
    if (!what.request) return;
    Bytes page;
    http::append_page(page, {.body = what.request->path}, false);
    EXPECT_TRUE(stream.write(page));
    stream.close(now);
  }
  void take(auto&, Instant, const Opened&) { text_ += "opened\n"; }
  void take(auto&, Instant, const Writable&) {}
  void take(auto& stream, Instant now, const Readable&) {
    Bytes buffer(100);
    while (const auto read = stream.read(now, buffer)) {
      const BytesView bytes = BytesView(buffer).first(read->size);
      text_ += as_text(bytes);
      (void)stream.write(bytes);
      if (read->size == 0) return;
    }
  }
  void take(auto&, Instant, const Closed& closed) {
    is_closed_ = true;
    closing_ = closed.error.message();
  }

  std::string text_;
  std::string closing_;
  bool is_closed_ = false;
};

Bytes upgrade() {
  SeededRng rng(1);
  Bytes request;
  websocket::append_request(request, "a.example", websocket::make_key(rng));
  return request;
}

struct ServerTraits {
  using Subject = ServerStream;
  using Owner = EchoingOwner;
  static std::unique_ptr<ServerStream> make(Instant now) {
    return std::make_unique<ServerStream>(nullptr, now, UnixTime{}, ServerStreamLimits{.plain = k_limits});
  }
  static std::vector<Bytes> inputs() {
    return {to_bytes("\x13/multistream/1.0.0\n\x07/noise\n and so on"),
            to_bytes(std::string_view("\x00\x01\x00\x00\x21\x12\xA4\x42", 8)) + to_bytes("0123456789ab"),
            to_bytes("GET /health HTTP/1.1\r\nHost: a.example\r\n\r\n"),
            upgrade() + frame(binary, "Hello", {.is_final = false}) + frame(ping, "?") + frame(continuation, "!") +
                closing(1000, "bye")};
  }
  static Bytes flood() { return to_bytes("\x13/multistream/1.0.0\n") + Bytes(3000, std::byte{'x'}); }
};

// The layers of a client of WebSocket, with its source of masks.
struct ClientLayers : private Client, public StreamLayers {
  ClientLayers() : StreamLayers(k_limits) { add(k_start, websocket::Session::connect(k_start, "a.example", masks)); }
  [[nodiscard]] const Bytes& answer_to_it() const { return answer; }
  SeededRng masks{1};
};

struct LayersTraits {
  using Subject = ClientLayers;
  using Owner = EchoingOwner;
  static std::unique_ptr<ClientLayers> make(Instant) { return std::make_unique<ClientLayers>(); }
  static std::vector<Bytes> inputs() {
    return {make(k_start)->answer_to_it() + frame(binary, "Hello", {.is_masked = false}) + closing(1000, "bye", false)};
  }
  static Bytes flood() {
    return make(k_start)->answer_to_it() + frame(binary, std::string(70'000, 'x'), {.is_masked = false});
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(OnePortServer, StreamMachineContract, ServerTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(OnePortLayers, StreamMachineContract, LayersTraits);

}  // namespace
}  // namespace dig::testing
