// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on both ends of TLS. OpenSSL's random numbers come from a seed, so that each machine
// is the very same one and what its peer said once can be said to it again.
#include "base/testing/stream_machine_contract.hpp"

#include "crypto/testing/tls_pair.hpp"
#include "crypto/testing/virtual_world.hpp"

namespace dig::testing {
namespace {

using namespace crypto;
using namespace crypto::testing;

// Echoes what it reads, and remembers it.
class EchoingOwner {
 public:
  void handle(TlsSession& session, Instant, const TlsEvent& event) {
    EXPECT_FALSE(is_closed_) << "TlsClosed is the last event";
    if (const auto* established = std::get_if<TlsEstablished>(&event))
      story_ += "established " + established->cipher + "\n";
    if (std::holds_alternative<TlsReadable>(event)) echo(session);
    if (const auto* closed = std::get_if<TlsClosed>(&event)) {
      is_closed_ = true;
      closing_ = closed->error.message();
    }
  }
  [[nodiscard]] std::string story() const { return story_ + received_ + "\n" + closing_; }

 private:
  void echo(TlsSession& session) {
    Bytes buffer(1000);
    while (const auto read = session.read(buffer)) {
      const BytesView bytes = BytesView(buffer).first(read->size);
      received_ += as_text(bytes);
      (void)session.write(bytes);
      if (read->size == 0) return;
    }
  }

  std::string story_;
  std::string received_;
  std::string closing_;
  bool is_closed_ = false;
};

// Contexts are made once; what is random in a session comes after the seed.
const std::shared_ptr<const TlsContext>& context_of(TlsRole role) {
  static const auto client = make_context(TlsTransport::stream, client_config());
  static const auto server = make_context(TlsTransport::stream, server_config());
  return role == TlsRole::client ? client : server;
}

constexpr TlsLimits k_limits{.max_input = 4096};

TlsSession make_session(TlsRole role, Instant now) {
  return role == TlsRole::client
             ? TlsSession::connect(context_of(role), {.server_name = "turn.example"}, now, k_test_wall, k_limits)
                   .value()
             : TlsSession::accept(context_of(role), now, k_test_wall, {}, k_limits).value();
}

// OpenSSL's generator is one for the program: the subject and its peer draw from sources of their own.
struct Sources {
  SeededRng subject{1};
  SeededRng peer{2};
  OpensslRandom openssl{subject};
};
Sources& sources() {
  static Sources made;
  return made;
}

TlsSession make_subject(TlsRole role, Instant now) {
  context_of(role);
  sources().subject = SeededRng(1);
  sources().openssl.use(sources().subject);
  return make_session(role, now);
}

// What the peer of a session in `role` says when the session is what make_subject() makes: the handshake, data, and the
// end of it if `closes`.
Bytes record_peer_of(TlsRole role, std::size_t data, bool closes) {
  const TlsRole other = role == TlsRole::client ? TlsRole::server : TlsRole::client;
  context_of(other);
  TlsSession subject = make_subject(role, k_test_start);
  sources().openssl.use(sources().peer);
  TlsSession peer = make_session(other, k_test_start);
  EchoingOwner owner;
  Bytes said;
  Bytes wire(200'000);
  for (int step = 0; step < 12; ++step) {
    sources().openssl.use(sources().subject);
    const Bytes to_peer = to_bytes(BytesView(wire).first(subject.poll_bytes(k_test_start, wire)));
    sources().openssl.use(sources().peer);
    peer.handle_bytes(k_test_start, to_peer);
    bool is_established = false;
    while (const auto event = peer.poll_event()) is_established |= std::holds_alternative<TlsEstablished>(*event);
    if (is_established) (void)peer.write(Bytes(data, std::byte{'d'}));
    if (step == 8 && closes) peer.close();
    const Bytes from_peer = to_bytes(BytesView(wire).first(peer.poll_bytes(k_test_start, wire)));
    append(said, from_peer);
    sources().openssl.use(sources().subject);
    subject.handle_bytes(k_test_start, from_peer);
    while (const auto event = subject.poll_event()) owner.handle(subject, k_test_start, *event);
  }
  EXPECT_NE(owner.story().find("established"), std::string::npos);
  EXPECT_NE(owner.story().find(std::string(data, 'd')), std::string::npos);
  return said;
}

template <TlsRole role>
struct TlsTraits {
  using Subject = TlsSession;
  using Owner = EchoingOwner;
  static std::unique_ptr<TlsSession> make(Instant now) {
    (void)inputs();  // recording draws from the same sources: it must be over before
    (void)flood();
    return std::make_unique<TlsSession>(make_subject(role, now));
  }
  static std::vector<Bytes> inputs() {
    static const Bytes recorded = record_peer_of(role, 500, true);
    return {recorded};
  }
  static Bytes flood() {
    static const Bytes recorded = record_peer_of(role, 50'000, false);
    return recorded;
  }
};

// Else the suite would run on refused handshakes.
TEST(TlsContract, RecordedPeersAreUnderstood) {
  const auto story = []<TlsRole role>(std::integral_constant<TlsRole, role>) {
    StreamRun<TlsTraits<role>> run;
    run.give_and_drain(TlsTraits<role>::inputs().front());
    return run.owner.story();
  };
  for (const std::string& text : {story(std::integral_constant<TlsRole, TlsRole::client>()),
                                  story(std::integral_constant<TlsRole, TlsRole::server>())}) {
    EXPECT_NE(text.find("established"), std::string::npos) << text;
    EXPECT_NE(text.find("DN-PROTO-004"), std::string::npos) << text;
  }
}

INSTANTIATE_TYPED_TEST_SUITE_P(TlsClient, StreamMachineContract, TlsTraits<TlsRole::client>);
INSTANTIATE_TYPED_TEST_SUITE_P(TlsServer, StreamMachineContract, TlsTraits<TlsRole::server>);

}  // namespace
}  // namespace dig::testing
