// SPDX-License-Identifier: Apache-2.0
// The contract of datagram machines on DTLS: both roles before the handshake, and a session that is established.
#include "base/testing/machine_contract.hpp"

#include "crypto/testing/dtls_pair.hpp"

namespace dig::testing {
namespace {

using namespace crypto;
using namespace crypto::testing;

// The endpoints that the suite uses.
constexpr DtlsPath k_path{.local = {IpAddress::v4({127, 0, 0, 1}), 4001},
                          .remote = {IpAddress::v4({192, 0, 2, 1}), 4001}};
constexpr DtlsPath k_peer_path{.local = k_path.remote, .remote = k_path.local};

DtlsSession make_end(TlsRole role, const DtlsPath& path, Instant now) {
  static const auto client = make_context(TlsTransport::datagram, client_config());
  static const auto server = make_context(TlsTransport::datagram, server_config());
  return role == TlsRole::client
             ? DtlsSession::connect(client, {.server_name = "turn.example"}, path, now, k_test_wall).value()
             : DtlsSession::accept(server, {}, path, now, k_test_wall).value();
}

constexpr TlsRole other_role(TlsRole role) { return role == TlsRole::client ? TlsRole::server : TlsRole::client; }

// Moves datagrams both ways; returns those of the peer.
std::vector<Bytes> exchange(DtlsSession& subject, DtlsSession& peer, Instant now) {
  DtlsEnd one{std::move(subject), k_path};
  DtlsEnd other{std::move(peer), k_peer_path};
  std::vector<Bytes> said;
  for (int round = 0; round < 6; ++round) {
    for (const Bytes& datagram : one.take(now)) other.give(now, datagram);
    for (const Bytes& datagram : other.take(now)) {
      said.push_back(datagram);
      one.give(now, datagram);
    }
  }
  EXPECT_TRUE(one.session.snapshot().is_established && other.session.snapshot().is_established);
  subject = std::move(one.session);
  peer = std::move(other.session);
  return said;
}

template <TlsRole role>
struct HandshakeTraits {
  using Subject = DtlsSession;
  static std::unique_ptr<DtlsSession> make(Instant now) {
    return std::make_unique<DtlsSession>(make_end(role, k_path, now));
  }
  static std::vector<Bytes> inputs() {
    constexpr Instant k_now{1000s};
    DtlsSession subject = make_end(role, k_path, k_now);
    DtlsSession peer = make_end(other_role(role), k_peer_path, k_now);
    return exchange(subject, peer, k_now);
  }
};

template <TlsRole role>
struct EstablishedTraits {
  using Subject = DtlsSession;
  static std::unique_ptr<DtlsSession>& peer() {
    static std::unique_ptr<DtlsSession> made;
    return made;
  }
  static std::unique_ptr<DtlsSession> make(Instant now) {
    auto subject = std::make_unique<DtlsSession>(make_end(role, k_path, now));
    peer() = std::make_unique<DtlsSession>(make_end(other_role(role), k_peer_path, now));
    exchange(*subject, *peer(), now);
    while (subject->poll_event()) {
    }
    return subject;
  }
  // Fresh ones at each call: a record is good once.
  static std::vector<Bytes> inputs() {
    std::vector<Bytes> datagrams;
    for (const char* text : {"hello", "and more"}) {
      Bytes sealed(1200);
      sealed.resize(peer()->seal(to_bytes(text), sealed).value());
      datagrams.push_back(std::move(sealed));
    }
    return datagrams;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(DtlsClient, MachineContract, HandshakeTraits<TlsRole::client>);
INSTANTIATE_TYPED_TEST_SUITE_P(DtlsServer, MachineContract, HandshakeTraits<TlsRole::server>);
INSTANTIATE_TYPED_TEST_SUITE_P(DtlsEstablishedClient, MachineContract, EstablishedTraits<TlsRole::client>);
INSTANTIATE_TYPED_TEST_SUITE_P(DtlsEstablishedServer, MachineContract, EstablishedTraits<TlsRole::server>);

}  // namespace
}  // namespace dig::testing
