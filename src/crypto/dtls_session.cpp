// SPDX-License-Identifier: Apache-2.0
#include "crypto/dtls_session.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <utility>

#include "base/byte_reader.hpp"
#include "base/datagram_queue.hpp"
#include "crypto/tls_core.hpp"

namespace dig::crypto {
namespace {

constexpr std::uint16_t k_min_datagram = 256;   // OpenSSL takes no less
constexpr std::size_t k_gcm_overhead = 8 + 16;  // RFC 5288 §3: explicit nonce and tag
constexpr std::size_t k_chacha_overhead = 16;   // RFC 7905 §2: the tag
constexpr std::uint16_t k_max_datagram = 4096;  // OpenSSL collects the records of a datagram in a buffer of this size

}  // namespace

class DtlsSession::Engine final : public BioEnd {
 public:
  Engine(const DtlsPath& path, Instant deadline, DtlsLimits limits)
      : path_(path), limits_(limits), deadline_(deadline), inbox_(limits.max_input), outbox_(limits.max_output) {}

  Result<void> start(std::shared_ptr<const TlsContext> context, TlsRole role, const TlsPeer& peer, UnixTime wall) {
    if (limits_.max_datagram < k_min_datagram || limits_.max_datagram > k_max_datagram) {
      return fail(Errc::invalid_argument, "the size of a DTLS datagram is 256 to 4096");
    }
    DIG_TRY(core_, TlsCore::create(std::move(context), TlsTransport::datagram, role, peer, wall, *this));
    SSL_set_options(core_->native(), SSL_OP_NO_QUERY_MTU);
    require_openssl(SSL_set_mtu(core_->native(), limits_.max_datagram) > 0);
    return {};
  }
  void begin(Instant now) {
    advance_handshake();  // a client speaks first
    refresh_timer(now);
  }
  // DTLSv1_listen is the only way to tell OpenSSL that the exchange of the cookie is over: numbers of messages and
  // records go on from there, and the first ClientHello stays out of the transcript (RFC 6347 §4.2.1).
  Result<void> begin_proven(Instant now, BytesView hello, std::shared_ptr<const int> token) {
    token_ = std::move(token);
    incoming_ = hello;
    BIO_ADDR* unused = BIO_ADDR_new();
    require_openssl(unused != nullptr);
    ERR_clear_error();
    const int outcome = DTLSv1_listen(core_->native(), unused);
    BIO_ADDR_free(unused);
    incoming_ = {};
    if (outcome != 1) {
      ERR_clear_error();
      return fail(Errc::tls_failed, "OpenSSL does not take the ClientHello");
    }
    begin(now);
    return {};
  }

  void handle_datagram(const Received& in) {
    if (is_closed_ || in.remote != path_.remote) {
      ++status_.input_dropped;
      return;
    }
    const std::size_t segment = in.segment_size == 0 ? in.bytes.size() : in.segment_size;
    for (BytesView rest = in.bytes; !rest.empty();) {
      const BytesView datagram = rest.first(std::min(segment, rest.size()));
      rest = rest.subspan(datagram.size());
      feed(in.now, datagram);
    }
  }

  std::optional<std::size_t> receive(Instant now, BytesView datagram, MutableBytes out) {
    if (is_closed_) return std::nullopt;
    if (!is_established_ || !inbox_.empty() || out.size() < max_plaintext) {
      feed(now, datagram);
      return read(out);
    }
    ++status_.datagrams_received;
    incoming_ = without_traps(datagram);
    std::size_t size = 0;
    const TlsCore::Outcome outcome = core_->read(out, size);
    if (outcome == TlsCore::Outcome::done) {
      if (SSL_has_pending(core_->native()) == 1) (void)read_records();
      incoming_ = {};
      return size;
    }
    incoming_ = {};
    ++status_.datagrams_fruitless;
    handle_outcome(outcome);
    return std::nullopt;
  }

  void handle_timeout(Instant now) {
    if (is_closed_) return;
    if (!is_established_ && now >= deadline_) return fail_with(Error(Errc::phase_timeout, "DTLS handshake"));
    if (!timer_ || now < *timer_) return;
    ERR_clear_error();
    const auto outcome = static_cast<int>(DTLSv1_handle_timeout(core_->native()));
    if (outcome < 0) handle_outcome(core_->outcome_of(outcome));
    refresh_timer(now);
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const {
    if (is_closed_) return std::nullopt;
    return is_established_ ? timer_ : earliest(timer_, deadline_);
  }

  std::optional<Transmit> poll_transmit(MutableBytes out) {
    while (const auto datagram = outbox_.front()) {
      const std::size_t size = datagram->size();
      const bool fits = size <= out.size();
      if (fits) std::ranges::copy(*datagram, out.begin());
      outbox_.pop();
      if (fits) return Transmit{.local = path_.local, .remote = path_.remote, .size = size};
      ++status_.output_dropped;
    }
    return std::nullopt;
  }
  // At most one of each kind waits, in this order.
  std::optional<DtlsEvent> poll_event() {
    if (established_) return std::exchange(established_, std::nullopt);
    if (std::exchange(says_readable_, false)) return DtlsReadable{};
    if (closed_) return std::exchange(closed_, std::nullopt);
    return std::nullopt;
  }

  std::optional<std::size_t> read(MutableBytes out) {
    const auto datagram = inbox_.front();
    if (!datagram) return std::nullopt;
    const std::size_t size = std::min(datagram->size(), out.size());
    std::ranges::copy(datagram->first(size), out.begin());
    inbox_.pop();
    return size;
  }

  Result<void> send(BytesView plaintext) {
    DIG_CHECK(check_sendable(plaintext));
    if (outbox_.bytes_waiting() + 2 * std::size_t{limits_.max_datagram} > limits_.max_output) {
      return fail(Errc::limit_reached, "datagrams that wait to be sent");
    }
    return write(plaintext);
  }
  Result<std::size_t> seal(BytesView plaintext, MutableBytes out) {
    DIG_CHECK(check_sendable(plaintext));
    if (out.size() < limits_.max_datagram) return fail(Errc::datagram_too_large, "no room for the datagram");
    direct_ = out;
    direct_size_ = 0;
    const Result<void> written = write(plaintext);
    direct_ = {};
    DIG_CHECK(written);
    return direct_size_;
  }

  void close() {
    if (is_closed_) return;
    core_->shut_down();
    end_with(Error(Errc::connection_closed), true);
  }

  [[nodiscard]] std::size_t max_send_size() const noexcept { return max_send_size_; }
  [[nodiscard]] const TlsCore& core() const { return *core_; }
  [[nodiscard]] DtlsStatus snapshot() const {
    DtlsStatus status = status_;
    status.is_established = is_established_;
    status.is_closed = is_closed_;
    status.input_waiting = inbox_.bytes_waiting();
    status.output_waiting = outbox_.bytes_waiting();
    return status;
  }

  std::size_t take_ciphertext(MutableBytes out) override {
    const BytesView datagram = std::exchange(incoming_, {});
    const std::size_t size = std::min(out.size(), datagram.size());
    std::ranges::copy(datagram.first(size), out.begin());
    return size;
  }
  // Never refuses: what finds no room is lost like any datagram, and sent again by the handshake's timer.
  std::size_t put_ciphertext(BytesView bytes) override {
    if (direct_size_ == 0 && bytes.size() <= direct_.size()) {
      std::ranges::copy(bytes, direct_.begin());
      direct_size_ = bytes.size();
    } else if (!outbox_.push(bytes)) {
      ++status_.output_dropped;
    }
    return bytes.size();
  }

 private:
  void feed(Instant now, BytesView datagram) {
    if (is_closed_) return;
    ++status_.datagrams_received;
    const bool was_established = is_established_;
    incoming_ = without_traps(datagram);
    if (!is_established_) advance_handshake();
    if (is_established_ && !read_records() && was_established) ++status_.datagrams_fruitless;
    incoming_ = {};
    refresh_timer(now);
  }

  // What OpenSSL may see of a datagram: nothing, if a record in it is shorter than its nonce and tag. OpenSSL 3.0 takes
  // such a record, which anybody can send, for an internal error and ends the session, where RFC 6347 §4.1.2.7 wants it
  // dropped. During the handshake it ends before the first early record that is too much.
  BytesView without_traps(BytesView datagram) {
    ByteReader reader(datagram);
    while (reader.remaining() > 0) {
      const std::size_t begin = datagram.size() - reader.remaining();
      constexpr std::size_t k_type_and_version = 3;
      constexpr std::size_t k_sequence = 6;
      if (!reader.skip(k_type_and_version)) return datagram;
      const auto epoch = reader.u16();
      if (!epoch || !reader.skip(k_sequence)) return datagram;
      const auto size = reader.u16();
      if (!size) return datagram;
      if (*epoch != 0 && *size < min_record_size_) return {};
      if (*epoch != 0 && !is_established_ && early_records_++ >= limits_.max_early_records)
        return datagram.first(begin);
      if (!reader.skip(*size)) return datagram;
    }
    return datagram;
  }

  void advance_handshake() {
    const TlsCore::Outcome outcome = core_->handshake();
    if (outcome != TlsCore::Outcome::done) return handle_outcome(outcome);
    auto established = core_->describe();
    if (!established) return fail_with(established.error());
    is_established_ = true;
    token_.reset();
    max_send_size_ = DTLS_get_data_mtu(core_->native());
    const bool is_chacha = SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(core_->native())) == NID_chacha20_poly1305;
    min_record_size_ = is_chacha ? k_chacha_overhead : k_gcm_overhead;
    established_ = std::move(*established);
  }

  // Whether there was any.
  bool read_records() {
    bool has_any = false;
    while (!is_closed_) {
      std::size_t size = 0;
      const TlsCore::Outcome outcome = core_->read(inbox_.reserve(max_plaintext), size);
      if (outcome != TlsCore::Outcome::done) {
        handle_outcome(outcome);
        break;
      }
      has_any = true;
      const bool was_empty = inbox_.empty();
      if (!inbox_.commit(size)) {
        ++status_.input_dropped;
      } else if (was_empty) {
        says_readable_ = true;
      }
    }
    return has_any;
  }

  Result<void> check_sendable(BytesView plaintext) const {
    if (is_closed_) return fail(Errc::connection_closed);
    if (!is_established_) return fail(Errc::connection_closed, "the DTLS handshake is not over");
    if (plaintext.empty()) return fail(Errc::invalid_argument, "DTLS carries no empty datagram");
    if (plaintext.size() > max_send_size_) return fail(Errc::datagram_too_large);
    return {};
  }
  Result<void> write(BytesView plaintext) {
    std::size_t size = 0;
    const TlsCore::Outcome outcome = core_->write(plaintext, size);
    if (outcome == TlsCore::Outcome::done) return {};
    handle_outcome(outcome);
    if (error_) return std::unexpected(*error_);
    return fail(Errc::limit_reached, "DTLS has something of its own to do");
  }

  // What is left of OpenSSL's timer; a millisecond at least, so that the driver cannot spin.
  void refresh_timer(Instant now) {
    timer_.reset();
    timeval left{};
    if (DTLSv1_get_timeout(core_->native(), &left) != 1) return;
    const Duration duration = std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec);
    timer_ = now + std::max<Duration>(duration, 1ms);
  }

  void handle_outcome(TlsCore::Outcome outcome) {
    if (outcome == TlsCore::Outcome::ended) {
      core_->shut_down();  // answers close_notify with ours
      end_with(Error(Errc::connection_closed), true);
    } else if (outcome == TlsCore::Outcome::failed) {
      fail_with(core_->failure());
    }
  }
  void fail_with(Error error) { end_with(std::move(error), false); }
  void end_with(Error error, bool is_clean) {
    if (std::exchange(is_closed_, true)) return;
    token_.reset();
    error_ = error;
    closed_ = TlsClosed{.error = std::move(error), .is_clean = is_clean};
  }

  DtlsPath path_;
  DtlsLimits limits_;
  Instant deadline_;  // of the handshake
  std::unique_ptr<TlsCore> core_;
  BytesView incoming_;   // the datagram that OpenSSL may take now
  MutableBytes direct_;  // where seal() wants the datagram
  std::size_t direct_size_ = 0;
  DatagramQueue inbox_;   // plaintext
  DatagramQueue outbox_;  // ciphertext
  std::optional<TlsEstablished> established_;
  bool says_readable_ = false;
  std::optional<TlsClosed> closed_;
  std::optional<Instant> timer_;
  std::shared_ptr<const int> token_;
  std::optional<Error> error_;
  std::size_t max_send_size_ = 0;
  std::size_t early_records_ = 0;
  std::size_t min_record_size_ = k_gcm_overhead;  // of an encrypted record; before it is known, as for every cipher
  DtlsStatus status_;
  bool is_established_ = false;
  bool is_closed_ = false;
};

Result<std::unique_ptr<DtlsSession::Engine>> DtlsSession::make(std::shared_ptr<const TlsContext> context, TlsRole role,
                                                               const TlsPeer& peer, const DtlsPath& path, Instant now,
                                                               UnixTime wall, DtlsLimits limits) {
  auto engine = std::make_unique<Engine>(path, now + context->config().handshake_timeout, limits);
  DIG_CHECK(engine->start(std::move(context), role, peer, wall));
  return engine;
}

Result<DtlsSession> DtlsSession::connect(std::shared_ptr<const TlsContext> context, const TlsPeer& server,
                                         const DtlsPath& path, Instant now, UnixTime wall, DtlsLimits limits) {
  DIG_TRY(auto engine, make(std::move(context), TlsRole::client, server, path, now, wall, limits));
  engine->begin(now);
  return DtlsSession(std::move(engine));
}

Result<DtlsSession> DtlsSession::accept(std::shared_ptr<const TlsContext> context, const TlsPeer& client,
                                        const DtlsPath& path, Instant now, UnixTime wall, DtlsLimits limits) {
  DIG_TRY(auto engine, make(std::move(context), TlsRole::server, client, path, now, wall, limits));
  engine->begin(now);
  return DtlsSession(std::move(engine));
}

Result<DtlsSession> DtlsSession::accept_proven(std::shared_ptr<const TlsContext> context, const TlsPeer& client,
                                               const DtlsPath& path, Instant now, UnixTime wall, DtlsLimits limits,
                                               BytesView hello, std::shared_ptr<const int> token) {
  DIG_TRY(auto engine, make(std::move(context), TlsRole::server, client, path, now, wall, limits));
  DIG_CHECK(engine->begin_proven(now, hello, std::move(token)));
  return DtlsSession(std::move(engine));
}

DtlsSession::DtlsSession(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
DtlsSession::DtlsSession(DtlsSession&&) noexcept = default;
DtlsSession& DtlsSession::operator=(DtlsSession&&) noexcept = default;
DtlsSession::~DtlsSession() = default;

void DtlsSession::handle_datagram(const Received& in) { engine_->handle_datagram(in); }
void DtlsSession::handle_timeout(Instant now) { engine_->handle_timeout(now); }
std::optional<Transmit> DtlsSession::poll_transmit(Instant, MutableBytes out) { return engine_->poll_transmit(out); }
std::optional<DtlsEvent> DtlsSession::poll_event() { return engine_->poll_event(); }
std::optional<Instant> DtlsSession::next_timeout() const { return engine_->next_timeout(); }
std::size_t DtlsSession::max_send_size() const { return engine_->max_send_size(); }
Result<void> DtlsSession::send(BytesView plaintext) { return engine_->send(plaintext); }
std::optional<std::size_t> DtlsSession::read(MutableBytes out) { return engine_->read(out); }
std::optional<std::size_t> DtlsSession::receive(Instant now, BytesView datagram, MutableBytes out) {
  return engine_->receive(now, datagram, out);
}
Result<std::size_t> DtlsSession::seal(BytesView plaintext, MutableBytes out) { return engine_->seal(plaintext, out); }
void DtlsSession::close() { engine_->close(); }
Bytes DtlsSession::peer_certificate() const { return engine_->core().peer_certificate(); }
DtlsStatus DtlsSession::snapshot() const { return engine_->snapshot(); }
Result<Bytes> DtlsSession::export_keying_material(std::string_view label, std::optional<BytesView> context,
                                                  std::size_t size) const {
  return engine_->core().export_keying_material(label, context, size);
}

static_assert(Machine<DtlsSession>);

}  // namespace dig::crypto
