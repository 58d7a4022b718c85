// SPDX-License-Identifier: Apache-2.0
#include "proto/websocket/handshake.hpp"

#include <array>

#include "base/base_encoding.hpp"
#include "base/byte_writer.hpp"
#include "crypto/hash.hpp"
#include "proto/http/response_head.hpp"

namespace dig::websocket {
namespace {

constexpr std::string_view k_guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 §1.3
constexpr std::string_view k_version = "13";
constexpr std::size_t k_key_size = 16;

std::unexpected<http::Refusal> refuse(std::uint16_t status, Errc code, std::string_view what) {
  return std::unexpected(http::Refusal{status, Error(code, what)});
}

}  // namespace

std::string accept_of(std::string_view key) {
  return encode_base(Base::base64_padded, crypto::sha1({as_bytes(key), as_bytes(k_guid)}));
}

bool asks_for_websocket(const http::RequestHead& head) {
  return !head.is_http_1_0 && head.fields.has_token("upgrade", "websocket") &&
         head.fields.has_token("connection", "upgrade");
}

std::expected<std::string, http::Refusal> key_of(const http::RequestHead& head) {
  if (!asks_for_websocket(head)) return refuse(426, Errc::protocol_not_supported, "only WebSocket is served here");
  if (head.is_head) return refuse(405, Errc::malformed, "WebSocket begins with GET");
  if (head.fields.only("sec-websocket-version") != k_version) {
    return refuse(426, Errc::protocol_not_supported, "version 13 of WebSocket is spoken here");
  }
  const auto key = head.fields.only("sec-websocket-key");
  const auto decoded = decode_base(Base::base64_padded, key.value_or(""));
  if (!decoded || decoded->size() != k_key_size) return refuse(400, Errc::malformed, "the key of a WebSocket");
  return std::string(*key);
}

void append_acceptance(Bytes& out, std::string_view key) {
  const std::string accept = accept_of(key);
  const std::array<http::NamedValue, 3> fields = {
      {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", accept}}};
  http::append_response_head(out, 101, fields);
}

std::string make_key(Rng& rng) { return encode_base(Base::base64_padded, rng.array<k_key_size>()); }

void append_request(Bytes& out, std::string_view host, std::string_view key) {
  ByteWriter writer(out);
  writer.text("GET / HTTP/1.1\r\nHost: ");
  writer.text(host);
  writer.text("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
  writer.text(key);
  writer.text("\r\nSec-WebSocket-Version: 13\r\n\r\n");
}

// RFC 6455 §4.1, the list behind "Once the client's opening handshake has been sent".
Result<void> check_answer(std::string_view head, std::string_view key, const http::HeadLimits& limits) {
  const auto answer = http::parse_response_head(head, limits);
  if (!answer) return fail(Errc::protocol_not_supported, "WebSocket: " + answer.error().message());
  if (answer->status != 101) {
    return fail(Errc::protocol_not_supported, "WebSocket: HTTP status " + std::to_string(answer->status));
  }
  const http::Fields& fields = answer->fields;
  if (!fields.has_token("upgrade", "websocket") || !fields.has_token("connection", "upgrade") ||
      fields.only("sec-websocket-accept") != accept_of(key)) {
    return fail(Errc::protocol_not_supported, "WebSocket: the answer accepts something else");
  }
  if (fields.count("sec-websocket-extensions") > 0 || fields.count("sec-websocket-protocol") > 0) {
    return fail(Errc::protocol_violation, "WebSocket: the answer names what was not offered");
  }
  return {};
}

}  // namespace dig::websocket
