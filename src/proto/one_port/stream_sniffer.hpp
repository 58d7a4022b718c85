// SPDX-License-Identifier: Apache-2.0
// What a connection to the one port speaks (design §9), told by the first bytes of the TCP stream, and of the stream
// inside TLS where ALPN does not say it already. Everybody who connects speaks first: multistream-select, TLS, STUN and
// HTTP all begin with the client.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace dig::one_port {

enum class StreamKind : std::uint8_t {
  tls,
  multistream,  // libp2p
  stun,         // and TURN
  http,         // a page, or a WebSocket
};
[[nodiscard]] std::string_view to_text(StreamKind kind) noexcept;

// What a server of the one port offers by ALPN, the preferred one first.
[[nodiscard]] std::vector<std::string> alpn_names();
// What the name that was agreed on says; absent for no name: then the first bytes say it.
[[nodiscard]] Result<std::optional<StreamKind>> kind_of_alpn(std::string_view name);

class StreamSniffer {
 public:
  enum class Layer : std::uint8_t { tcp, tls };  // where the stream is; there is no TLS inside TLS
  static constexpr std::size_t max_bytes = 20;   // that it needs to see

  struct Limits {
    Duration timeout = std::chrono::seconds{10};  // for the first bytes, however slowly they come
  };

  StreamSniffer(Layer layer, Instant now) : StreamSniffer(layer, now, Limits()) {}
  StreamSniffer(Layer layer, Instant now, const Limits& limits) : layer_(layer), deadline_(now + limits.timeout) {}

  // Looks at bytes and takes none of them away: once it is decided, held() and then the bytes of the deciding call go
  // to who speaks the protocol.
  void handle_bytes(BytesView bytes);
  void handle_eof();
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept {
    return result_ ? std::nullopt : std::optional(deadline_);
  }

  // Absent: not decided. protocol_not_supported says in words what came instead; phase_timeout, connection_closed.
  [[nodiscard]] const std::optional<Result<StreamKind>>& result() const noexcept { return result_; }
  // The bytes of the calls before the deciding one; fewer than max_bytes.
  [[nodiscard]] BytesView held() const noexcept { return BytesView(held_).first(held_size_); }

 private:
  Layer layer_;
  Instant deadline_;
  std::array<std::byte, max_bytes> held_{};
  std::size_t held_size_ = 0;
  std::optional<Result<StreamKind>> result_;
};

}  // namespace dig::one_port
