// SPDX-License-Identifier: Apache-2.0
#include "proto/one_port/stream_sniffer.hpp"

#include <algorithm>

#include "wire/multistream_message.hpp"
#include "wire/stun_message.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::one_port {
namespace {

using Decision = std::optional<Result<StreamKind>>;  // absent: more bytes are needed
using Layer = StreamSniffer::Layer;

constexpr std::byte k_tls_handshake{0x16};       // RFC 8446 §5.1
constexpr std::byte k_multistream_length{0x13};  // of the header with its newline
constexpr std::byte k_last_stun{0x01};           // methods up to 0x7F: all there are (RFC 8489 §18.2)
constexpr std::size_t k_stun_prefix = 8;         // type, length, magic cookie
constexpr std::array<std::string_view, 9> k_methods = {"GET ",   "HEAD ",    "POST ",    "PUT ",  "DELETE ",
                                                       "TRACE ", "CONNECT ", "OPTIONS ", "PATCH "};

// What else comes to such ports, by the bytes it begins with.
struct Foreigner {
  std::string_view begins;
  std::string_view name;
};
constexpr std::array<Foreigner, 4> k_foreigners = {{{"SSH-", "SSH"},
                                                    {"PRI * HTTP/2", "HTTP/2 without ALPN"},
                                                    {std::string_view("\x05\x01", 2), "SOCKS"},
                                                    {std::string_view("\x03\x00", 2), "remote desktop (TPKT)"}}};

Decision refuse(std::string_view what) { return Result<StreamKind>(fail(Errc::protocol_not_supported, what)); }

// Whether `bytes` may still become `wanted`, as far as they go.
bool may_become(BytesView bytes, std::string_view wanted) {
  const std::size_t size = std::min(bytes.size(), wanted.size());
  return as_text(bytes.first(size)) == wanted.substr(0, size);
}

Decision decide_multistream(BytesView bytes) {
  const std::string_view text = as_text(bytes.subspan(1));
  const std::string header = std::string(k_multistream_header) + '\n';
  if (!may_become(as_bytes(text), header)) return refuse("something that begins like multistream-select");
  if (text.size() < header.size()) return std::nullopt;
  return StreamKind::multistream;
}

Decision decide_stun(BytesView bytes) {
  // The length is of attributes, each padded to four bytes (RFC 8489 §5, §14).
  const bool has_length = bytes.size() >= 4;
  const bool has_fitting_length = !has_length || (bytes[3] & std::byte{3}) == std::byte{0};
  constexpr std::string_view k_cookie("\x21\x12\xA4\x42", 4);
  if (!has_fitting_length || (has_length && !may_become(bytes.subspan(4), k_cookie))) {
    return refuse("something that begins like STUN");
  }
  if (bytes.size() < k_stun_prefix) return std::nullopt;
  return StreamKind::stun;
}

Decision decide_text(BytesView bytes) {
  for (const std::string_view method : k_methods) {
    if (!may_become(bytes, method)) continue;
    if (bytes.size() < method.size()) return std::nullopt;
    return StreamKind::http;
  }
  for (const Foreigner& foreigner : k_foreigners) {
    if (!may_become(bytes, foreigner.begins)) continue;
    if (bytes.size() < foreigner.begins.size()) return std::nullopt;
    return refuse(foreigner.name);
  }
  if (turn::starts_channel_data(bytes.front())) return refuse("ChannelData or text before anything was agreed on");
  return refuse("bytes of no protocol that is spoken here");
}

Decision decide(BytesView bytes, Layer layer) {
  if (bytes.empty()) return std::nullopt;
  const std::byte first = bytes.front();
  if (first == k_tls_handshake) return layer == Layer::tcp ? Decision(StreamKind::tls) : refuse("TLS inside TLS");
  if (first == k_multistream_length) return decide_multistream(bytes);
  if (first <= k_last_stun) return decide_stun(bytes);
  return decide_text(bytes);
}

struct AlpnName {
  std::string_view name;
  StreamKind kind;
};
// RFC 7443 for STUN and TURN; libp2p TLS spec.
constexpr std::array<AlpnName, 4> k_alpn = {{{"libp2p", StreamKind::multistream},
                                             {"stun.turn", StreamKind::stun},
                                             {"stun.nat-discovery", StreamKind::stun},
                                             {"http/1.1", StreamKind::http}}};

}  // namespace

std::string_view to_text(StreamKind kind) noexcept {
  switch (kind) {
    case StreamKind::tls:
      return "TLS";
    case StreamKind::multistream:
      return "multistream-select";
    case StreamKind::stun:
      return "STUN";
    case StreamKind::http:
      return "HTTP";
  }
  return "";
}

std::vector<std::string> alpn_names() {
  std::vector<std::string> names;
  for (const AlpnName& known : k_alpn) names.emplace_back(known.name);
  return names;
}

Result<std::optional<StreamKind>> kind_of_alpn(std::string_view name) {
  if (name.empty()) return std::nullopt;
  const auto* const found = std::ranges::find(k_alpn, name, &AlpnName::name);
  if (found == k_alpn.end()) return fail(Errc::protocol_not_supported, "ALPN " + std::string(name));
  return found->kind;
}

void StreamSniffer::handle_bytes(BytesView bytes) {
  if (result_) return;
  std::array<std::byte, max_bytes> seen = held_;
  const std::size_t size = std::min(bytes.size(), max_bytes - held_size_);
  std::ranges::copy(bytes.first(size), seen.begin() + static_cast<std::ptrdiff_t>(held_size_));
  result_ = decide(BytesView(seen).first(held_size_ + size), layer_);
  if (result_) return;
  held_ = seen;
  held_size_ += size;
}

void StreamSniffer::handle_eof() {
  if (result_) return;
  const std::string_view when = held_size_ == 0 ? "before a single byte" : "within the first bytes";
  result_ = fail(Errc::connection_closed, when);
}

void StreamSniffer::handle_timeout(Instant now) {
  if (!result_ && now >= deadline_) result_ = fail(Errc::phase_timeout, "the first bytes of a connection");
}

}  // namespace dig::one_port
