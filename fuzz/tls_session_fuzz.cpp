// SPDX-License-Identifier: Apache-2.0
// A TLS session of either role and an honest peer, with somebody on the wire between them who may do anything: the
// input is a list of operations. Whatever happens: no plaintext but what the peer wrote, bounded memory, TlsClosed is
// the last event.
#include <cstdint>

#include "tls_world.hpp"

namespace {

using namespace dig;
using namespace dig::crypto;
using fuzz::Input;
using fuzz::require;

constexpr TlsLimits k_limits{.max_input = 20'000, .max_input_excess = 40'000, .max_output = 20'000};

TlsSession make_session(const fuzz::TlsContexts& contexts, TlsRole role, Instant now) {
  return role == TlsRole::client ? TlsSession::connect(contexts.client, {.server_name = "turn.example"}, now,
                                                       testing::k_test_wall, k_limits)
                                       .value()
                                 : TlsSession::accept(contexts.server, now, testing::k_test_wall, {}, k_limits).value();
}

// One end with what it wrote and read.
struct End {
  TlsSession session;
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
    fuzz::take_events(session, is_closed_seen);
    const TlsStatus status = session.snapshot();
    require(status.is_closed == is_closed_seen);
    require(status.input_waiting <= k_limits.max_input + k_limits.max_input_excess);
    require(status.output_waiting <= k_limits.max_output + 65'536);
  }
};

void expect_prefix(const Bytes& read, const Bytes& written) {
  require(read.size() <= written.size() && std::equal(read.begin(), read.end(), written.begin()));
}

// Moves what `from` has to say, whole or altered.
void deliver(Input& in, End& from, End& to, Instant now, bool is_altered) {
  Bytes wire(in.byte() % 2 == 0 ? 65'536 : 1 + in.byte());
  wire.resize(from.session.poll_bytes(now, wire));
  if (is_altered && !wire.empty()) {
    const std::size_t at = (std::size_t{in.byte()} << 8 | in.byte()) % wire.size();
    wire[at] ^= static_cast<std::byte>(in.byte());
  }
  to.session.handle_bytes(now, wire);
}

void step(Input& in, End& subject, End& peer, Instant& now) {
  switch (in.byte() % 12) {
    case 0:
    case 1:
      return deliver(in, peer, subject, now, false);
    case 2:
    case 3:
      return deliver(in, subject, peer, now, false);
    case 4:
      return deliver(in, peer, subject, now, true);
    case 5:
      return subject.session.handle_bytes(now, in.take(in.byte()));
    case 6:
      return peer.write(Bytes(std::size_t{in.byte()} * 100, static_cast<std::byte>(in.byte())));
    case 7:
      return subject.write(Bytes(std::size_t{in.byte()} * 100, static_cast<std::byte>(in.byte())));
    case 8:
      peer.take(std::size_t{in.byte()} * 100);
      return subject.take(std::size_t{in.byte()} * 100);
    case 9:
      now = now + Duration(std::chrono::milliseconds(in.byte() * 50));
      return subject.session.handle_timeout(now);
    case 10:
      return in.byte() % 4 == 0 ? subject.session.close() : peer.session.close();
    default:
      return in.byte() % 4 == 0 ? subject.session.handle_eof(now) : void();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::TlsWorld<TlsTransport::stream> world;
  Input in{data, size};
  Instant now = testing::k_test_start;
  const bool is_client = in.byte() % 2 == 0;
  End subject{make_session(world.contexts, is_client ? TlsRole::client : TlsRole::server, now)};
  End peer{make_session(world.contexts, is_client ? TlsRole::server : TlsRole::client, now)};
  while (in.size > 0) {
    step(in, subject, peer, now);
    subject.check();
    peer.check();
    expect_prefix(subject.read, peer.written);
    expect_prefix(peer.read, subject.written);
  }
  return 0;
}
