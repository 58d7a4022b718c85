// SPDX-License-Identifier: Apache-2.0
#include "crypto/dtls_listener.hpp"

#include <algorithm>
#include <array>

#include "base/byte_reader.hpp"
#include "crypto/hash.hpp"

namespace dig::crypto {
namespace {

// RFC 6347 §4.1 and §4.2.2.
constexpr std::uint8_t k_handshake_record = 22;
constexpr std::uint8_t k_client_hello = 1;
constexpr std::uint8_t k_hello_verify_request = 3;
constexpr std::uint8_t k_version_major = 0xfe;  // of every DTLS version
constexpr std::uint16_t k_version_10 = 0xfeff;  // §4.2.1: of a HelloVerifyRequest, whatever is negotiated
constexpr std::size_t k_handshake_header = 12;
constexpr std::size_t k_random_size = 32;
constexpr std::size_t k_max_session_id = 32;

// A 24-bit integer.
Result<std::uint32_t> read_u24(ByteReader& reader) {
  DIG_TRY(const std::uint8_t high, reader.u8());
  DIG_TRY(const std::uint16_t low, reader.u16());
  return std::uint32_t{high} << 16 | low;
}

// Writes into a buffer that is large enough by construction.
class Output {
 public:
  explicit Output(MutableBytes out) : out_(out) {}
  void number(std::uint64_t value, std::size_t size) {
    while (size-- > 0) out_[written_++] = static_cast<std::byte>(value >> (8 * size));
  }
  void bytes(BytesView value) {
    std::ranges::copy(value, out_.subspan(written_).begin());
    written_ += value.size();
  }
  [[nodiscard]] std::size_t written() const noexcept { return written_; }

 private:
  MutableBytes out_;
  std::size_t written_ = 0;
};

constexpr std::size_t k_cookie_size = sizeof(Sha256Digest);
constexpr std::size_t k_request_body = 2 + 1 + k_cookie_size;
constexpr std::size_t k_request_size = 13 + k_handshake_header + k_request_body;

void write_hello_verify_request(std::uint64_t record_sequence, BytesView cookie, MutableBytes out) {
  Output output(out);
  output.number(k_handshake_record, 1);
  output.number(k_version_10, 2);
  output.number(0, 2);  // epoch
  output.number(record_sequence, 6);
  output.number(k_handshake_header + k_request_body, 2);
  output.number(k_hello_verify_request, 1);
  output.number(k_request_body, 3);
  output.number(0, 2);  // message_seq: the first message of this side
  output.number(0, 3);  // not a fragment
  output.number(k_request_body, 3);
  output.number(k_version_10, 2);
  output.number(cookie.size(), 1);
  output.bytes(cookie);
}

}  // namespace

struct DtlsListener::ClientHello {
  std::uint64_t record_sequence = 0;
  std::uint16_t message_sequence = 0;
  BytesView before_cookie;  // version, random, session id
  BytesView cookie;
  BytesView after_cookie;  // cipher suites, compression methods
};

DtlsListener::DtlsListener(Rng& rng, Instant now, Limits limits)
    : limits_(limits), renewed_(now), token_(std::make_shared<const int>()) {
  rng.fill(secret_.mutable_view());
  rng.fill(previous_secret_.mutable_view());
}

DtlsListener::Answer DtlsListener::handle_datagram(const Received& in, Rng& rng, MutableBytes out) {
  renew_secrets(in.now, rng);
  const Result<ClientHello> hello = parse(in.bytes);
  if (!hello || out.size() < k_request_size) {
    ++status_.ignored;
    return {};
  }
  if (is_right_cookie(in.remote, *hello)) {
    // A client that answers a HelloVerifyRequest sends its second message; OpenSSL goes on from there and no other
    // place.
    if (hello->message_sequence != 1) {
      ++status_.ignored;
      return {};
    }
    ++status_.cookies_right;
    return {.verdict = Verdict::proven};
  }
  if (!hello->cookie.empty()) ++status_.cookies_wrong;
  ++status_.challenged;
  // §4.2.1: the record takes the number of the client's.
  write_hello_verify_request(hello->record_sequence, cookie_of(secret_, in.remote, *hello), out);
  return {.verdict = Verdict::challenged, .size = k_request_size};
}

Result<DtlsSession> DtlsListener::accept(const Received& in, std::shared_ptr<const TlsContext> context, UnixTime wall,
                                         const TlsPeer& client, DtlsLimits limits) {
  const Result<ClientHello> hello = parse(in.bytes);
  if (!hello || hello->message_sequence != 1 || !is_right_cookie(in.remote, *hello)) {
    return fail(Errc::tls_failed, "no ClientHello with a right cookie");
  }
  return DtlsSession::accept_proven(std::move(context), client, {.local = in.local, .remote = in.remote}, in.now, wall,
                                    limits, in.bytes, token_);
}

bool DtlsListener::is_client_hello(BytesView datagram) noexcept {
  constexpr std::size_t k_record_header = 13;
  return datagram.size() > k_record_header && datagram[0] == std::byte{k_handshake_record} &&
         datagram[1] == std::byte{k_version_major} && datagram[3] == std::byte{0} && datagram[4] == std::byte{0} &&
         datagram[k_record_header] == std::byte{k_client_hello};
}

DtlsListenerStatus DtlsListener::snapshot() const {
  DtlsListenerStatus status = status_;
  status.half_open = static_cast<std::size_t>(token_.use_count() - 1);
  return status;
}

// One whole ClientHello and nothing else. What it offers is judged by OpenSSL when its sender is proven.
Result<DtlsListener::ClientHello> DtlsListener::parse(BytesView datagram) {
  if (!is_client_hello(datagram)) return fail(Errc::malformed);
  ByteReader reader(datagram);
  ClientHello hello;
  DIG_CHECK(reader.skip(5));  // type, version and epoch were looked at
  DIG_TRY(const std::uint16_t sequence_high, reader.u16());
  DIG_TRY(const std::uint32_t sequence_low, reader.u32());
  hello.record_sequence = std::uint64_t{sequence_high} << 32 | sequence_low;
  DIG_TRY(const std::uint16_t record_size, reader.u16());
  if (record_size != reader.remaining()) return fail(Errc::malformed);
  DIG_CHECK(reader.skip(1));
  DIG_TRY(const std::uint32_t message_size, read_u24(reader));
  DIG_TRY(hello.message_sequence, reader.u16());
  DIG_TRY(const std::uint32_t fragment_offset, read_u24(reader));
  DIG_TRY(const std::uint32_t fragment_size, read_u24(reader));
  if (fragment_offset != 0 || fragment_size != message_size || message_size != reader.remaining()) {
    return fail(Errc::malformed);
  }
  const BytesView body = reader.rest();
  DIG_CHECK(reader.skip(2 + k_random_size));
  DIG_TRY(const std::uint8_t session_id_size, reader.u8());
  if (session_id_size > k_max_session_id) return fail(Errc::malformed);
  DIG_CHECK(reader.skip(session_id_size));
  hello.before_cookie = body.first(body.size() - reader.remaining());
  DIG_TRY(const std::uint8_t cookie_size, reader.u8());
  DIG_TRY(hello.cookie, reader.bytes(cookie_size));
  const BytesView rest = reader.rest();
  DIG_TRY(const std::uint16_t suites_size, reader.u16());
  if (suites_size < 2) return fail(Errc::malformed);
  DIG_CHECK(reader.skip(suites_size));
  DIG_TRY(const std::uint8_t compressions_size, reader.u8());
  if (compressions_size < 1) return fail(Errc::malformed);
  DIG_CHECK(reader.skip(compressions_size));
  hello.after_cookie = rest.first(rest.size() - reader.remaining());
  return hello;
}

Sha256Digest DtlsListener::cookie_of(const Secret<32>& secret, const Endpoint& remote, const ClientHello& hello) {
  std::array<std::byte, 1 + 16 + 4 + 2 + sizeof(Sha256Digest)> input{};
  Output output(input);
  output.number(remote.address.is_v4() ? 4 : 6, 1);
  output.bytes(std::as_bytes(std::span(remote.address.octets())));
  output.number(remote.address.scope(), 4);
  output.number(remote.port, 2);
  // Both parts say how long they are, so that no byte can pass from one to the other.
  output.bytes(sha256({hello.before_cookie, hello.after_cookie}));
  return hmac_sha256(secret.view(), input);
}

bool DtlsListener::is_right_cookie(const Endpoint& remote, const ClientHello& hello) const {
  if (hello.cookie.size() != k_cookie_size) return false;
  return secure_equal(hello.cookie, cookie_of(secret_, remote, hello)) ||
         secure_equal(hello.cookie, cookie_of(previous_secret_, remote, hello));
}

void DtlsListener::renew_secrets(Instant now, Rng& rng) {
  const Duration age = now - renewed_;
  if (age < limits_.secret_lifetime) return;
  if (age < 2 * limits_.secret_lifetime) {
    previous_secret_ = std::move(secret_);
  } else {  // nobody came for so long that the last secret is too old as well
    rng.fill(previous_secret_.mutable_view());
  }
  rng.fill(secret_.mutable_view());
  renewed_ = now - age % limits_.secret_lifetime;
}

}  // namespace dig::crypto
