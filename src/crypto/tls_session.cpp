// SPDX-License-Identifier: Apache-2.0
#include "crypto/tls_session.hpp"

#include <algorithm>
#include <utility>

#include "base/byte_fifo.hpp"
#include "crypto/tls_core.hpp"

namespace dig::crypto {
namespace {

constexpr std::size_t k_record_plaintext = 16'384;  // RFC 8446 §5.1
// Above max_output: a whole record that was begun below it, and what TLS has to say for itself (alerts, key updates).
// When a peer that does not read asks for more than this, its input waits.
constexpr std::size_t k_output_reserve = 64 * 1024;

}  // namespace

class TlsSession::Engine final : public BioEnd {
 public:
  Engine(Instant deadline, TlsLimits limits) : limits_(limits), deadline_(deadline) {}

  Result<void> start(std::shared_ptr<const TlsContext> context, TlsRole role, const TlsPeer& peer, UnixTime wall) {
    DIG_TRY(core_, TlsCore::create(std::move(context), TlsTransport::stream, role, peer, wall, *this));
    advance();  // a client speaks first
    return {};
  }

  void handle_bytes(BytesView bytes) {
    if (is_closed_ || is_eof_) return;
    fresh_ = bytes;
    advance();
    // Most input is consumed where it lies; what is left has to be kept.
    if (!fresh_.empty() && !is_closed_) waiting_.append(fresh_);
    fresh_ = {};
    if (waiting_.size() > limits_.max_input + limits_.max_input_excess) {
      fail_with(Error(Errc::limit_reached, "more TLS input than was asked for"));
    }
  }
  void handle_eof() {
    if (is_closed_ || std::exchange(is_eof_, true)) return;
    advance();
  }
  void handle_timeout(Instant now) {
    if (is_closed_ || is_established_ || now < deadline_) return;
    fail_with(Error(Errc::phase_timeout, "TLS handshake"));
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const {
    return is_closed_ || is_established_ ? std::nullopt : std::optional(deadline_);
  }
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out) {
    const std::size_t size = output_.pop(out);
    if (size > 0 && is_blocked_on_output_) advance();
    if (wants_writable_ && is_established_ && !is_closed_ && output_.size() <= limits_.max_output / 2)
      announce_writable();
    return size;
  }
  [[nodiscard]] bool wants_bytes() const { return !is_closed_ && !is_eof_ && waiting_.size() < limits_.max_input; }

  // At most one of each kind waits, in this order.
  [[nodiscard]] std::optional<TlsEvent> poll_event() {
    if (established_) return std::exchange(established_, std::nullopt);
    if (std::exchange(says_readable_, false)) return TlsReadable{};
    if (std::exchange(says_writable_, false)) return TlsWritable{};
    if (closed_) return std::exchange(closed_, std::nullopt);
    return std::nullopt;
  }

  [[nodiscard]] Result<std::size_t> write(BytesView plaintext) {
    if (is_closed_) return fail(Errc::connection_closed);
    std::size_t total = 0;
    while (is_established_ && total < plaintext.size() && output_.size() < limits_.max_output) {
      std::size_t size = 0;
      const BytesView record = plaintext.subspan(total, std::min(plaintext.size() - total, k_record_plaintext));
      const TlsCore::Outcome outcome = core_->write(record, size);
      if (outcome == TlsCore::Outcome::failed) {
        fail_with(core_->failure());
        return std::unexpected(*error_);
      }
      if (outcome != TlsCore::Outcome::done) break;  // OpenSSL first has to send something of its own
      total += size;
    }
    written_ += total;
    if (total < plaintext.size()) wants_writable_ = true;
    return total;
  }

  [[nodiscard]] Result<TlsReadResult> read(MutableBytes out) {
    if (is_ended_) return TlsReadResult{.size = 0, .is_end = true};
    if (error_) return std::unexpected(*error_);
    if (!is_established_ || out.empty()) return TlsReadResult{};
    std::size_t total = 0;
    while (total < out.size()) {
      std::size_t size = 0;
      const TlsCore::Outcome outcome = core_->read(out.subspan(total), size);
      if (outcome != TlsCore::Outcome::done) {
        is_readable_ = outcome == TlsCore::Outcome::ended;  // this very read says that it is the end
        handle_outcome(outcome);
        break;
      }
      total += size;
    }
    read_ += total;
    if (total == 0 && error_ && !is_ended_) return std::unexpected(*error_);
    return TlsReadResult{.size = total, .is_end = is_ended_};
  }

  void close() {
    if (is_closed_) return;
    core_->shut_down();
    end_with(Error(Errc::connection_closed), true);
  }

  [[nodiscard]] const TlsCore& core() const { return *core_; }
  [[nodiscard]] TlsStatus snapshot() const {
    return {.is_established = is_established_,
            .is_closed = is_closed_,
            .input_waiting = waiting_.size(),
            .output_waiting = output_.size(),
            .plaintext_read = read_,
            .plaintext_written = written_};
  }

  std::size_t take_ciphertext(MutableBytes out) override {
    if (!waiting_.empty()) return waiting_.pop(out);
    const std::size_t size = std::min(out.size(), fresh_.size());
    std::copy_n(fresh_.begin(), size, out.begin());
    fresh_ = fresh_.subspan(size);
    return size;
  }
  std::size_t put_ciphertext(BytesView bytes) override {
    const std::size_t capacity = limits_.max_output + k_output_reserve;
    const std::size_t size = std::min(bytes.size(), capacity - std::min(capacity, output_.size()));
    output_.append(bytes.first(size));
    return size;
  }

 private:
  // Goes on with the handshake, or decrypts up to the next plaintext.
  void advance() {
    if (is_closed_) return;
    is_blocked_on_output_ = false;
    if (!is_established_) {
      const TlsCore::Outcome outcome = core_->handshake();
      if (outcome != TlsCore::Outcome::done) return handle_outcome(outcome);
      auto established = core_->describe();
      if (!established) return fail_with(established.error());
      is_established_ = true;
      established_ = std::move(*established);
      if (wants_writable_) announce_writable();
    }
    if (is_readable_) return;
    const TlsCore::Outcome outcome = core_->peek();
    if (outcome != TlsCore::Outcome::done) return handle_outcome(outcome);
    announce_readable();
  }

  void handle_outcome(TlsCore::Outcome outcome) {
    switch (outcome) {
      case TlsCore::Outcome::done:
        return;
      case TlsCore::Outcome::wants_input:
        if (is_eof_) end_with(Error(Errc::tls_truncated, is_established_ ? "" : "during the handshake"), false);
        return;
      case TlsCore::Outcome::wants_output:
        is_blocked_on_output_ = true;
        return;
      case TlsCore::Outcome::ended:
        is_ended_ = true;
        announce_readable();  // the end is something to read
        core_->shut_down();   // answers close_notify with ours
        return end_with(Error(Errc::connection_closed), true);
      case TlsCore::Outcome::failed:
        return fail_with(core_->failure());
    }
  }

  void announce_readable() {
    if (!std::exchange(is_readable_, true)) says_readable_ = true;
  }
  void announce_writable() {
    wants_writable_ = false;
    says_writable_ = true;
  }
  void fail_with(Error error) { end_with(std::move(error), false); }
  void end_with(Error error, bool is_clean) {
    if (std::exchange(is_closed_, true)) return;
    error_ = error;
    waiting_.clear();
    closed_ = TlsClosed{.error = std::move(error), .is_clean = is_clean};
  }

  TlsLimits limits_;
  Instant deadline_;  // of the handshake
  std::unique_ptr<TlsCore> core_;
  ByteFifo waiting_;  // ciphertext that arrived and was not yet consumed
  BytesView fresh_;   // the same, still in the caller's memory
  ByteFifo output_;
  std::optional<TlsEstablished> established_;
  bool says_readable_ = false;
  bool says_writable_ = false;
  std::optional<TlsClosed> closed_;
  std::optional<Error> error_;
  std::uint64_t read_ = 0;
  std::uint64_t written_ = 0;
  bool is_established_ = false;
  bool is_closed_ = false;
  bool is_eof_ = false;       // of the transport
  bool is_ended_ = false;     // close_notify was read
  bool is_readable_ = false;  // TlsReadable was said and read() has not come to the end of what there is
  bool wants_writable_ = false;
  bool is_blocked_on_output_ = false;
};

Result<TlsSession> TlsSession::connect(std::shared_ptr<const TlsContext> context, const TlsPeer& server, Instant now,
                                       UnixTime wall, TlsLimits limits) {
  auto engine = std::make_unique<Engine>(now + context->config().handshake_timeout, limits);
  DIG_CHECK(engine->start(std::move(context), TlsRole::client, server, wall));
  return TlsSession(std::move(engine));
}

Result<TlsSession> TlsSession::accept(std::shared_ptr<const TlsContext> context, Instant now, UnixTime wall,
                                      const TlsPeer& client, TlsLimits limits) {
  auto engine = std::make_unique<Engine>(now + context->config().handshake_timeout, limits);
  DIG_CHECK(engine->start(std::move(context), TlsRole::server, client, wall));
  return TlsSession(std::move(engine));
}

TlsSession::TlsSession(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
TlsSession::TlsSession(TlsSession&&) noexcept = default;
TlsSession& TlsSession::operator=(TlsSession&&) noexcept = default;
TlsSession::~TlsSession() = default;

void TlsSession::handle_bytes(Instant, BytesView bytes) { engine_->handle_bytes(bytes); }
void TlsSession::handle_eof(Instant) { engine_->handle_eof(); }
void TlsSession::handle_timeout(Instant now) { engine_->handle_timeout(now); }
std::size_t TlsSession::poll_bytes(Instant, MutableBytes out) { return engine_->poll_bytes(out); }
bool TlsSession::wants_bytes() const { return engine_->wants_bytes(); }
std::optional<Instant> TlsSession::next_timeout() const { return engine_->next_timeout(); }
std::optional<TlsEvent> TlsSession::poll_event() { return engine_->poll_event(); }
Result<std::size_t> TlsSession::write(BytesView plaintext) { return engine_->write(plaintext); }
Result<TlsReadResult> TlsSession::read(MutableBytes out) { return engine_->read(out); }
void TlsSession::close() { engine_->close(); }
Bytes TlsSession::peer_certificate() const { return engine_->core().peer_certificate(); }
TlsStatus TlsSession::snapshot() const { return engine_->snapshot(); }
Result<Bytes> TlsSession::export_keying_material(std::string_view label, std::optional<BytesView> context,
                                                 std::size_t size) const {
  return engine_->core().export_keying_material(label, context, size);
}

static_assert(StreamMachine<TlsSession>);

}  // namespace dig::crypto
