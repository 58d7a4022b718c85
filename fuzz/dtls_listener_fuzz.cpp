// SPDX-License-Identifier: Apache-2.0
// The door of a DTLS port: the input is a list of datagrams, raw or made from an honest ClientHello, from several
// sources and at several times. An answer is never larger than the question, and a session exists only for whoever has
// a cookie that was sent to that very endpoint lately.
#include <array>
#include <cstdint>
#include <map>

#include "crypto/dtls_listener.hpp"
#include "crypto/testing/dtls_pair.hpp"
#include "tls_world.hpp"

namespace {

using namespace dig;
using namespace dig::crypto;
using fuzz::Input;
using fuzz::require;

Bytes first_datagram(DtlsSession& client, Instant now) {
  Bytes out(1200);
  const auto transmit = client.poll_transmit(now, out);
  require(transmit.has_value());
  out.resize(transmit->size);
  return out;
}

// Where the cookie of a ClientHello stands; the honest one here has no session id.
constexpr std::size_t k_cookie_at = 13 + 12 + 2 + 32 + 1;

Bytes with_cookie(const Bytes& hello, BytesView cookie, std::uint8_t message_sequence) {
  Bytes changed;
  append(changed, BytesView(hello).first(k_cookie_at));
  append(changed, std::array{static_cast<std::byte>(cookie.size())});
  append(changed, cookie);
  append(changed, BytesView(hello).subspan(k_cookie_at + 1));
  const auto write = [&](std::size_t at, std::size_t value) {
    changed[at] = static_cast<std::byte>(value >> 8);
    changed[at + 1] = static_cast<std::byte>(value);
  };
  write(11, changed.size() - 13);
  write(15, changed.size() - 25);
  write(23, changed.size() - 25);
  changed[18] = static_cast<std::byte>(message_sequence);
  return changed;
}

struct Sent {
  Bytes cookie;
  Instant when;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Instant now = testing::k_test_start;
  fuzz::TlsWorld<TlsTransport::datagram> world;
  DtlsSession client = DtlsSession::connect(world.contexts.client, {.server_name = "turn.example"},
                                            testing::k_client_path, now, testing::k_test_wall)
                           .value();
  const Bytes hello = first_datagram(client, now);
  SeededRng secrets(3);
  DtlsListener listener(secrets, now);
  Input in{data, size};
  std::multimap<Endpoint, Sent> sent;
  Bytes out(1500);
  while (in.size > 0) {
    const std::uint8_t operation = in.byte();
    const Endpoint remote{IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(operation >> 6)}), 1000};
    Bytes datagram;
    const auto known =
        sent.empty() ? sent.end() : std::next(sent.begin(), in.byte() % static_cast<std::ptrdiff_t>(sent.size()));
    switch (operation % 4) {
      case 0:
        datagram = to_bytes(in.take(in.byte()));
        break;
      case 1:
        datagram = with_cookie(hello, in.take(in.byte() % 40), in.byte() % 3);
        break;
      case 2:
        datagram = with_cookie(hello, known == sent.end() ? BytesView() : BytesView(known->second.cookie), 1);
        break;
      default:
        datagram = with_cookie(hello, known == sent.end() ? BytesView() : BytesView(known->second.cookie), 1);
        datagram[in.byte() % datagram.size()] ^= static_cast<std::byte>(in.byte());
        now = now + std::chrono::seconds(in.byte());
    }
    const Received received{.now = now, .local = testing::k_server_path.local, .remote = remote, .bytes = datagram};
    const auto answer = listener.handle_datagram(received, secrets, out);
    auto session = listener.accept(received, world.contexts.server, testing::k_test_wall);
    if (answer.verdict == DtlsListener::Verdict::challenged) {
      require(answer.size > 32 && answer.size < datagram.size());
      if (sent.size() < 100) sent.emplace(remote, Sent{to_bytes(BytesView(out).first(answer.size).last(32)), now});
    }
    if (answer.verdict != DtlsListener::Verdict::proven) {
      require(!session);
      continue;
    }
    const auto [begin, end] = sent.equal_range(remote);
    require(std::any_of(begin, end, [&](const auto& entry) {
      return now < entry.second.when + 120s &&
             std::search(datagram.begin(), datagram.end(), entry.second.cookie.begin(), entry.second.cookie.end()) !=
                 datagram.end();
    }));
    require(listener.snapshot().half_open <= 1);
  }
  return 0;
}
