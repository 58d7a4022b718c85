// SPDX-License-Identifier: Apache-2.0
// A WebSocket of either role and an honest peer, with somebody on the wire between them who may do anything: the input
// is a list of operations. Whatever happens: what waits is bounded, Closed is the last event, and while nobody
// interferes each end reads what the other wrote.
#include <cstdint>

#include "input.hpp"
#include "proto/websocket/session.hpp"

namespace {

using namespace dig;
using namespace dig::websocket;
using fuzz::Input;
using fuzz::require;

constexpr Limits k_limits{.max_input = 2000, .max_input_excess = 4000, .max_output = 2000, .max_message = 7000};
constexpr Instant k_start{1000s};

// One end with what it wrote and read.
struct End {
  Session session;
  Bytes written{};
  Bytes read{};
  bool is_closed_seen = false;

  void write(BytesView bytes) {
    const auto taken = session.write(bytes);
    require(!taken || *taken <= bytes.size());
    if (taken) append(written, bytes.first(*taken));
  }
  void take(std::size_t size) {
    Bytes buffer(size);
    const auto got = session.read(buffer);
    if (got) append(read, BytesView(buffer).first(got->size));
  }
  void check() {
    for (int i = 0; const auto event = session.poll_event(); ++i) {
      require(!is_closed_seen && i < 5);
      is_closed_seen = std::holds_alternative<Closed>(*event);
    }
    const SessionStatus status = session.snapshot();
    require(status.is_closed == is_closed_seen);
    require(status.input_waiting <= k_limits.max_input + k_limits.max_input_excess);
    require(status.output_waiting <= k_limits.max_output);
  }
};

struct World {
  explicit World(bool is_client)
      : client{Session::connect(k_start, "a.example", masks, k_limits)},
        server{accept()},
        subject(is_client ? client : server),
        peer(is_client ? server : client) {}

  // What the server's shell does: it reads the request.
  Session accept() {
    Bytes request(1000);
    request.resize(client.session.poll_bytes(k_start, request));
    return Session::accept(http::parse_request_head(as_text(request), {}).value(), k_limits).value();
  }

  SeededRng masks{1};
  End client;
  End server;
  End& subject;
  End& peer;
  Instant now = k_start;
  bool is_honest = true;
};

// Moves what `from` has to say, whole or altered.
void deliver(Input& in, World& world, End& from, End& to, bool is_altered) {
  Bytes wire(in.byte() % 2 == 0 ? 8192 : 1 + in.byte());
  wire.resize(from.session.poll_bytes(world.now, wire));
  if (is_altered && !wire.empty()) {
    const std::size_t at = (std::size_t{in.byte()} << 8 | in.byte()) % wire.size();
    wire[at] ^= static_cast<std::byte>(in.byte());
    world.is_honest = false;
  }
  to.session.handle_bytes(world.now, wire);
}

void step(Input& in, World& world) {
  End& subject = world.subject;
  End& peer = world.peer;
  switch (in.byte() % 12) {
    case 0:
    case 1:
      return deliver(in, world, peer, subject, false);
    case 2:
    case 3:
      return deliver(in, world, subject, peer, false);
    case 4:
      return deliver(in, world, peer, subject, true);
    case 5:
    case 6:
      world.is_honest = false;
      return subject.session.handle_bytes(world.now, in.take(in.byte()));
    case 7:
      return peer.write(Bytes(std::size_t{in.byte()} * 10, static_cast<std::byte>(in.byte())));
    case 8:
      return subject.write(Bytes(std::size_t{in.byte()} * 10, static_cast<std::byte>(in.byte())));
    case 9:
      peer.take(std::size_t{in.byte()} * 10);
      return subject.take(std::size_t{in.byte()} * 10);
    case 10:
      world.now = world.now + Duration(std::chrono::milliseconds(in.byte() * 50));
      return subject.session.handle_timeout(world.now);
    default:
      const unsigned what = in.byte() % 8;
      if (what == 0) subject.session.close();
      if (what == 1) peer.session.close();
      if (what == 2) subject.session.handle_eof(world.now);
      return;
  }
}

void expect_prefix(const Bytes& read, const Bytes& written) {
  require(read.size() <= written.size() && std::equal(read.begin(), read.end(), written.begin()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in{data, size};
  World world(in.byte() % 2 == 0);
  while (in.size > 0) {
    step(in, world);
    world.subject.check();
    world.peer.check();
    if (world.is_honest) expect_prefix(world.subject.read, world.peer.written);
    expect_prefix(world.peer.read, world.subject.written);
  }
  return 0;
}
