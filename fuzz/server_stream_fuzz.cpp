// SPDX-License-Identifier: Apache-2.0
// A connection to the one port and an honest client (bare, TLS, WebSocket, or one inside the other), with somebody on
// the wire who may do anything: the input is a list of operations. Whatever happens: Identified comes first and Closed
// last, what is not identified has a deadline, and while nobody interferes the server reads what the client says.
#include <cstdint>

#include "proto/one_port/server_stream.hpp"
#include "tls_world.hpp"

namespace {

using namespace dig;
using namespace dig::one_port;
using fuzz::Input;
using fuzz::require;

constexpr std::string_view k_multistream = "\x13/multistream/1.0.0\n";
constexpr PlainStream::Limits k_limits{.max_input = 2000, .max_input_excess = 4000, .max_output = 4000};

struct World {
  World(const fuzz::TlsContexts& contexts, unsigned dial)
      : server(contexts.server, now, crypto::testing::k_test_wall, {.plain = k_limits}), client(k_limits) {
    if ((dial & 1U) != 0) {
      client.add(now, crypto::TlsSession::connect(contexts.client, {.server_name = "turn.example"}, now,
                                                  crypto::testing::k_test_wall)
                          .value());
    }
    if ((dial & 2U) != 0) client.add(now, websocket::Session::connect(now, "a.example", masks));
  }

  void say(BytesView bytes) {
    const auto taken = client.write(bytes);
    if (taken) append(said, bytes.first(*taken));
  }
  void deliver(std::size_t size, bool is_to_server) {
    Bytes wire(size);
    if (is_to_server) {
      wire.resize(server.wants_bytes() ? client.poll_bytes(now, wire) : 0);
      server.handle_bytes(now, wire);
    } else {
      wire.resize(server.poll_bytes(now, wire));
      client.handle_bytes(now, wire);
    }
  }
  void check() {
    while (const auto event = server.poll_event()) {
      require(!is_closed);
      if (std::holds_alternative<Identified>(*event)) {
        require(!is_identified);
        is_identified = true;
        if (is_honest) require(std::get<Identified>(*event).application == Application::libp2p);
      }
      is_closed = std::holds_alternative<Closed>(*event);
      require(is_identified || is_closed);
    }
    require(is_closed || is_identified || server.next_timeout().has_value());
    require((server.snapshot().phase == "over") == is_closed);
    Bytes buffer(500);
    while (is_identified) {
      const auto got = server.read(now, buffer);
      if (!got || got->size == 0) break;
      append(read, BytesView(buffer).first(got->size));
    }
    if (is_honest) require(read.size() <= said.size() && std::equal(read.begin(), read.end(), said.begin()));
    for (bool is_client_closed = false; const auto event = client.poll_event();) {
      require(!is_client_closed);
      is_client_closed = std::holds_alternative<Closed>(*event);
    }
  }

  Instant now = crypto::testing::k_test_start;
  SeededRng masks{1};
  ServerStream server;
  StreamLayers client;
  Bytes said;
  Bytes read;
  bool is_honest = true;
  bool is_identified = false;
  bool is_closed = false;
};

void step(Input& in, World& world) {
  switch (in.byte() % 10) {
    case 0:
    case 1:
      return world.deliver(in.byte() % 2 == 0 ? 8192 : 1 + in.byte(), true);
    case 2:
    case 3:
      return world.deliver(in.byte() % 2 == 0 ? 8192 : 1 + in.byte(), false);
    case 4:
      return world.say(Bytes(std::size_t{in.byte()} * 10, static_cast<std::byte>(in.byte())));
    case 5:
      return world.say(as_bytes(k_multistream).subspan(std::min<std::size_t>(world.said.size(), k_multistream.size())));
    case 6:
      world.is_honest = false;
      return world.server.handle_bytes(world.now, in.take(in.byte()));
    case 7:
      world.now = world.now + Duration(std::chrono::milliseconds(in.byte() * 100));
      return world.server.handle_timeout(world.now);
    case 8:
      (void)world.server.write(Bytes(std::size_t{in.byte()} * 10));
      return;
    default:
      const unsigned what = in.byte() % 8;
      if (what == 0) world.server.close(world.now);
      if (what == 1) world.client.close(world.now);
      if (what == 2) world.server.handle_eof(world.now);
      return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::TlsWorld<crypto::TlsTransport::stream> tls;
  Input in{data, size};
  World world(tls.contexts, in.byte());
  while (in.size > 0) {
    step(in, world);
    // A client that begins with something else may be taken for something else.
    const std::size_t opening = std::min(world.said.size(), k_multistream.size());
    world.is_honest &= as_text(BytesView(world.said).first(opening)) == k_multistream.substr(0, opening);
    world.check();
  }
  return 0;
}
