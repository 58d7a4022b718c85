// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on both ends of a WebSocket.
#include "base/testing/stream_machine_contract.hpp"
#include "proto/websocket/testing/frames.hpp"

namespace dig::testing {
namespace {

using namespace websocket;
using namespace websocket::testing;
using enum WebsocketOpcode;

constexpr Limits k_limits{.max_input = 1000, .max_message = 100'000};

// Echoes what it reads, and remembers it.
class EchoingOwner {
 public:
  void handle(Session& session, Instant, const SessionEvent& event) {
    EXPECT_FALSE(is_closed_) << "Closed is the last event";
    if (std::holds_alternative<Established>(event)) text_ += "established\n";
    if (std::holds_alternative<Readable>(event)) echo(session);
    if (const auto* closed = std::get_if<Closed>(&event)) {
      is_closed_ = true;
      closing_ = closed->error.message();
    }
  }
  [[nodiscard]] std::string story() const { return text_ + "\n" + closing_; }

 private:
  void echo(Session& session) {
    Bytes buffer(100);
    while (const auto read = session.read(buffer)) {
      const BytesView bytes = BytesView(buffer).first(read->size);
      text_ += as_text(bytes);
      (void)session.write(bytes);
      if (read->size == 0) return;
    }
  }

  std::string text_;
  std::string closing_;
  bool is_closed_ = false;
};

// What an honest peer says: messages whole and in fragments, pings between them, an end.
Bytes conversation(bool is_masked) {
  const FrameOptions part{.is_final = false, .is_masked = is_masked};
  const FrameOptions whole{.is_masked = is_masked};
  return frame(binary, "Hello", whole) + frame(binary, std::string(300, 'a'), part) + frame(ping, "?", whole) +
         frame(continuation, "", part) + frame(continuation, std::string(10, 'b'), whole) + frame(pong, "!", whole) +
         closing(1000, "bye", is_masked);
}
Bytes bulk(bool is_masked) { return frame(binary, std::string(50'000, 'c'), {.is_masked = is_masked}); }

struct ServerTraits {
  using Subject = Session;
  using Owner = EchoingOwner;
  static std::unique_ptr<Session> make(Instant) { return std::make_unique<Session>(server(k_limits)); }
  static std::vector<Bytes> inputs() { return {conversation(true)}; }
  static Bytes flood() { return bulk(true); }
};

// Keeps its source of masks beside it.
struct ClientSession : private Client, public Session {
  ClientSession() : Client(k_limits), Session(std::move(Client::session)) {}
  [[nodiscard]] const Bytes& answer_to_it() const { return answer; }
};

struct ClientTraits {
  using Subject = ClientSession;
  using Owner = EchoingOwner;
  static std::unique_ptr<ClientSession> make(Instant) { return std::make_unique<ClientSession>(); }
  static std::vector<Bytes> inputs() {
    return {make(k_start)->answer_to_it() + conversation(false),
            to_bytes("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")};
  }
  static Bytes flood() { return make(k_start)->answer_to_it() + bulk(false); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(WebsocketServer, StreamMachineContract, ServerTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(WebsocketClient, StreamMachineContract, ClientTraits);

}  // namespace
}  // namespace dig::testing
