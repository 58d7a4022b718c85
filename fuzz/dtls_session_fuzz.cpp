// SPDX-License-Identifier: Apache-2.0
// A DTLS session of either role and an honest peer, over a network that may do anything: the input is a list of
// operations. Whatever happens: no datagram but what the peer sent, and each once; bounded sizes and memory; TlsClosed
// is the last event.
#include <cstdint>
#include <set>

#include "crypto/testing/dtls_pair.hpp"
#include "tls_world.hpp"

namespace {

using namespace dig;
using namespace dig::crypto;
using fuzz::Input;
using fuzz::require;

constexpr DtlsLimits k_limits{.max_datagram = 500, .max_input = 5000, .max_output = 20'000};

struct End {
  DtlsSession session;
  DtlsPath path;
  std::set<std::string> sent{};  // and not yet received by the other one
  bool is_closed_seen = false;

  void send(std::string text, bool is_sealed, std::vector<Bytes>& wire) {
    Bytes out(k_limits.max_datagram);
    if (is_sealed) {
      const auto size = session.seal(as_bytes(text), out);
      if (!size) return;
      require(*size <= k_limits.max_datagram);
      out.resize(*size);
      wire.push_back(std::move(out));
    } else if (!session.send(as_bytes(text))) {
      return;
    }
    sent.insert(std::move(text));
  }
  void check(End& peer) {
    fuzz::take_events(session, is_closed_seen);
    Bytes buffer(DtlsSession::max_plaintext);
    while (const auto size = session.read(buffer)) {
      require(peer.sent.erase(std::string(as_text(BytesView(buffer).first(*size)))) == 1);
    }
    const DtlsStatus status = session.snapshot();
    require(status.is_closed == is_closed_seen);
    require(status.input_waiting <= k_limits.max_input && status.output_waiting <= k_limits.max_output);
  }
};

// What is under way, and who is on the way.
struct Network {
  std::vector<Bytes> to_subject{};
  std::vector<Bytes> to_peer{};

  static void collect(End& from, std::vector<Bytes>& wire, Instant now) {
    Bytes buffer(k_limits.max_datagram);
    while (const auto transmit = from.session.poll_transmit(now, buffer)) {
      require(transmit->size <= k_limits.max_datagram);
      wire.push_back(to_bytes(BytesView(buffer).first(transmit->size)));
    }
    if (wire.size() > 64) wire.erase(wire.begin(), wire.end() - 64);
  }
};

void give(End& end, Instant now, BytesView datagram, std::uint16_t segment = 0) {
  end.session.handle_datagram(
      {.now = now, .local = end.path.local, .remote = end.path.remote, .bytes = datagram, .segment_size = segment});
}

void receive(End& end, End& peer, Instant now, BytesView datagram) {
  Bytes buffer(DtlsSession::max_plaintext);
  const auto size = end.session.receive(now, datagram, buffer);
  if (size) require(peer.sent.erase(std::string(as_text(BytesView(buffer).first(*size)))) == 1);
}

void deliver(Input& in, End& to, End& from, std::vector<Bytes>& wire, Instant now) {
  if (wire.empty()) return;
  const std::uint8_t how = in.byte();
  const auto at = wire.begin() + static_cast<std::ptrdiff_t>((how >> 4) % wire.size());
  Bytes datagram = *at;
  if ((how & 1) == 0) wire.erase(at);  // else it will come once more
  if ((how & 6) == 6 && !datagram.empty()) {
    datagram[(std::size_t{in.byte()} << 8 | in.byte()) % datagram.size()] ^= static_cast<std::byte>(in.byte());
    if ((how & 8) != 0) datagram.resize(1 + in.byte() % datagram.size());
    return give(to, now, datagram);
  }
  return (how & 8) != 0 ? receive(to, from, now, datagram) : give(to, now, datagram);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Instant now = testing::k_test_start;
  fuzz::TlsWorld<TlsTransport::datagram> world;
  Input in{data, size};
  const bool is_client = in.byte() % 2 == 0;
  End client{DtlsSession::connect(world.contexts.client, {.server_name = "turn.example"}, testing::k_client_path, now,
                                  testing::k_test_wall, k_limits)
                 .value(),
             testing::k_client_path};
  End server{DtlsSession::accept(world.contexts.server, {}, testing::k_server_path, now, testing::k_test_wall, k_limits)
                 .value(),
             testing::k_server_path};
  End& subject = is_client ? client : server;
  End& peer = is_client ? server : client;
  Network network;
  int number = 0;
  while (in.size > 0) {
    Network::collect(subject, network.to_peer, now);
    Network::collect(peer, network.to_subject, now);
    const std::string text = std::to_string(++number) + std::string(in.size % 450, 'x');
    switch (in.byte() % 9) {
      case 0:
      case 1:
        deliver(in, subject, peer, network.to_subject, now);
        break;
      case 2:
      case 3:
        deliver(in, peer, subject, network.to_peer, now);
        break;
      case 4: {
        const std::uint8_t segment = in.byte();
        give(subject, now, in.take(in.byte()), segment);
        break;
      }
      case 5:
        subject.send(text, in.byte() % 2 == 0, network.to_peer);
        break;
      case 6:
        peer.send(text, in.byte() % 2 == 0, network.to_subject);
        break;
      case 7:
        now = now + Duration(std::chrono::milliseconds(in.byte() * 20));
        world.clock.set(now);
        subject.session.handle_timeout(now);
        peer.session.handle_timeout(now);
        break;
      default:
        if (in.byte() % 8 == 0) peer.session.close();
    }
    subject.check(peer);
    peer.check(subject);
  }
  return 0;
}
