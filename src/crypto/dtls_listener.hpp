// SPDX-License-Identifier: Apache-2.0
// The door of an open DTLS port: nothing is kept and no certificate is sent before a client has shown that it receives
// at its address (RFC 6347 §4.2.1, HelloVerifyRequest and cookie). One listener serves every source of a port, or of a
// shard.
//
// The ClientHello is read and the HelloVerifyRequest written here, by the checked reader of base/, not by
// DTLSv1_listen: that call works on an OpenSSL session, and one session that meets every stranger in turn would have to
// be trusted to carry nothing over from one to the next. Only a ClientHello whose cookie was right gets a session, a
// fresh one of its own, to which DTLSv1_listen then hands that ClientHello.
//
// A cookie is HMAC-SHA256 of the client's endpoint and of what it must repeat (version, random, session id, suites,
// compression), under a secret that lives for a time window; the secret of the window before is good too. A
// HelloVerifyRequest has 60 bytes, the smallest ClientHello that is answered 67. A ClientHello that comes in fragments
// is not answered: putting it together would be state.
#pragma once

#include <memory>

#include "base/machine.hpp"
#include "base/rng.hpp"
#include "crypto/dtls_session.hpp"
#include "crypto/secret.hpp"

namespace dig::crypto {

struct DtlsListenerStatus {
  std::size_t half_open = 0;  // sessions from accept() that live and are neither established nor closed
  std::uint64_t ignored = 0;  // no ClientHello, a malformed one, or a fragment
  std::uint64_t challenged = 0;
  std::uint64_t cookies_wrong = 0;  // also old ones; challenged again
  std::uint64_t cookies_right = 0;
};

class DtlsListener {
 public:
  struct Limits {
    Duration secret_lifetime = 60s;  // a cookie is good for one to two of these
  };
  enum class Verdict : std::uint8_t {
    ignored,
    challenged,  // send the first `size` bytes of `out` back
    proven,      // the client is where it says it is: accept() the same datagram, or drop it
  };
  struct Answer {
    Verdict verdict = Verdict::ignored;
    std::size_t size = 0;
  };

  DtlsListener(Rng& rng, Instant now) : DtlsListener(rng, now, Limits()) {}
  DtlsListener(Rng& rng, Instant now, Limits limits);

  // For one datagram that belongs to no session. `out` needs room for as many bytes as came in. Allocates nothing that
  // stays. `rng` gives new secrets.
  [[nodiscard]] Answer handle_datagram(const Received& in, Rng& rng, MutableBytes out);
  // A session with the source of a datagram that was proven (it is judged once more). How many may be half open is the
  // caller's decision. invalid_argument, or tls_failed if the datagram is not what it was said to be.
  [[nodiscard]] Result<DtlsSession> accept(const Received& in, std::shared_ptr<const TlsContext> context, UnixTime wall,
                                           const TlsPeer& client = {}, DtlsLimits limits = {});

  // Whether a datagram looks like the start of a handshake. One that comes from the endpoint of an established session
  // may be its client after a restart (RFC 6347 §4.2.8): give it to the listener too, and replace the session only when
  // proven.
  [[nodiscard]] static bool is_client_hello(BytesView datagram) noexcept;

  [[nodiscard]] DtlsListenerStatus snapshot() const;

 private:
  struct ClientHello;
  [[nodiscard]] static Result<ClientHello> parse(BytesView datagram);
  [[nodiscard]] static Sha256Digest cookie_of(const Secret<32>& secret, const Endpoint& remote,
                                              const ClientHello& hello);
  [[nodiscard]] bool is_right_cookie(const Endpoint& remote, const ClientHello& hello) const;
  void renew_secrets(Instant now, Rng& rng);

  Limits limits_;
  Secret<32> secret_;
  Secret<32> previous_secret_;
  Instant renewed_;
  std::shared_ptr<const int> token_;  // each half-open session holds a copy: counting them counts sessions
  DtlsListenerStatus status_;
};

}  // namespace dig::crypto
