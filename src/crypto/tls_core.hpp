// SPDX-License-Identifier: Apache-2.0
// What TLS and DTLS sessions share, for crypto/ itself: an OpenSSL session between two BIO ends of ours, the judgement
// on the peer's certificate, and what OpenSSL's refusals mean in our error codes.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "crypto/tls_context.hpp"

struct ssl_st;
struct x509_store_ctx_st;

namespace dig::crypto {

// Where OpenSSL reads and writes ciphertext: the session's buffers.
class BioEnd {
 public:
  // Moves what is there into `out` and returns how much; 0: nothing now. A datagram comes as a whole.
  virtual std::size_t take_ciphertext(MutableBytes out) = 0;
  // Returns how much was taken; 0: no room now. A datagram is taken as a whole.
  virtual std::size_t put_ciphertext(BytesView bytes) = 0;

 protected:
  ~BioEnd() = default;
};

class TlsCore {
 public:
  // `end` must stay where it is while the core lives. `wall` is when certificates must be valid.
  // invalid_argument: the name or the trust do not fit.
  [[nodiscard]] static Result<std::unique_ptr<TlsCore>> create(std::shared_ptr<const TlsContext> context,
                                                               TlsTransport transport, TlsRole role,
                                                               const TlsPeer& peer, UnixTime wall, BioEnd& end);
  TlsCore(const TlsCore&) = delete;
  TlsCore& operator=(const TlsCore&) = delete;

  [[nodiscard]] ssl_st* native() const noexcept { return session_.get(); }
  [[nodiscard]] const TlsConfig& config() const noexcept { return context_->config(); }

  enum class Outcome : std::uint8_t { done, wants_input, wants_output, ended, failed };
  // The steps of OpenSSL, each with a clean error queue.
  [[nodiscard]] Outcome handshake();
  [[nodiscard]] Outcome read(MutableBytes out, std::size_t& size);
  // Decrypts up to the next plaintext without taking it.
  [[nodiscard]] Outcome peek();
  [[nodiscard]] Outcome write(BytesView bytes, std::size_t& size);
  // Queues close_notify (RFC 8446 §6.1); nothing while the handshake runs.
  void shut_down();
  [[nodiscard]] Outcome outcome_of(int returned);

  // Why the last step failed.
  [[nodiscard]] const Error& failure() const noexcept { return *failure_; }
  // After the handshake. protocol_violation: the server chose an ALPN name that was not offered.
  [[nodiscard]] Result<TlsEstablished> describe() const;
  // RFC 5705, RFC 8446 §7.5. Absent and empty context differ in TLS 1.2.
  [[nodiscard]] Result<Bytes> export_keying_material(std::string_view label, std::optional<BytesView> context,
                                                     std::size_t size) const;
  [[nodiscard]] Bytes peer_certificate() const;

  // Callbacks of OpenSSL, installed by TlsContext.
  static int verify_peer(x509_store_ctx_st* verification, void*);
  static void note_alert(const ssl_st* session, int where, int value);

 private:
  explicit TlsCore(std::shared_ptr<const TlsContext> context) : context_(std::move(context)) {}
  Result<void> prepare(TlsRole role, const TlsPeer& peer, UnixTime wall, BioEnd& end);
  Result<void> expect_server(const std::string& name);
  [[nodiscard]] bool judge(x509_store_ctx_st& verification);
  [[nodiscard]] Error explain_failure() const;

  std::shared_ptr<const TlsContext> context_;
  std::optional<TlsTrust> trust_;
  std::string server_name_;
  OpensslPtr<ssl_st> session_;
  std::optional<Error> refusal_;  // of the peer's certificate
  std::optional<int> alert_received_;
  std::optional<int> alert_sent_;
  std::optional<Error> failure_;
};

}  // namespace dig::crypto
