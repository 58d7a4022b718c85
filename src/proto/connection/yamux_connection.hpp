// SPDX-License-Identifier: Apache-2.0
// The connection of libp2p over a reliable byte stream: Noise, then yamux inside it (design §3, kind `yamux`). It keeps
// the contract of connection.hpp. yamux carries no error codes: a reset arrives with code 0, and the peer is not told
// of stop_sending(); what it still sends is discarded, and beyond a limit the stream is reset.
#pragma once

#include <array>
#include <optional>

#include "proto/connection/connection.hpp"
#include "proto/noise/transport.hpp"
#include "proto/upgrade/secure_upgrade.hpp"
#include "proto/yamux/session.hpp"

namespace dig {

class YamuxConnection final : public ByteStreamConnection {
 public:
  // Starts with the handshake; until Established streams cannot be opened. `rng` is used by this call only.
  YamuxConnection(const upgrade::Config& config, const yamux::Limits& limits, Rng& rng, Instant now);
  // Starts with the outcome of a handshake.
  YamuxConnection(Direction direction, upgrade::Upgraded upgraded, const yamux::Limits& limits, Instant now);

  [[nodiscard]] Result<StreamId> open_stream(Instant now) override;
  [[nodiscard]] Result<std::size_t> write(StreamId stream, BytesView bytes) override;
  [[nodiscard]] Result<ReadResult> read(Instant now, StreamId stream, MutableBytes out) override;
  void finish(StreamId stream) override;
  void reset(StreamId stream, std::uint64_t code) override;
  void stop_sending(StreamId stream, std::uint64_t code) override;
  void close(Instant now, Error why) override;
  [[nodiscard]] std::optional<ConnectionEvent> poll_event() override;
  [[nodiscard]] ConnectionStatus snapshot() const override;

  void handle_bytes(Instant now, BytesView bytes) override;
  void handle_eof(Instant now) override;
  void handle_timeout(Instant now) override;
  // Fills `out` with as many Noise frames as fit. Any size makes progress; 256 KiB and more is efficient.
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out) override;
  [[nodiscard]] bool wants_bytes() const override;
  [[nodiscard]] std::optional<Instant> next_timeout() const override;

  // What the muxer counts: for metrics. Nothing before Established.
  [[nodiscard]] std::optional<yamux::Status> muxer_snapshot() const;

 private:
  void take_upgrade(Instant now);
  void start_session(Instant now, upgrade::Upgraded upgraded);
  void end_before_session(Error why, ClosedBy by);
  void handle_ciphertext(Instant now, BytesView bytes);
  [[nodiscard]] BytesView collect_partial(BytesView bytes);
  void open_frame(Instant now, BytesView ciphertext);
  [[nodiscard]] std::size_t seal_frames(Instant now, MutableBytes out);
  [[nodiscard]] std::size_t take_splinter(MutableBytes out);

  Direction direction_;
  yamux::Limits limits_;
  std::optional<upgrade::SecureUpgrade> upgrade_;  // until it is over
  std::optional<noise::Transport> transport_;      // from then on, together with session_
  std::optional<yamux::Session> session_;
  std::optional<Established> established_;  // waits to be polled
  std::optional<Closed> closed_;            // the same, when there never was a session
  bool is_closed_early_ = false;
  Bytes partial_;          // a Noise frame of which the end has not come yet, with its length
  yamux::BlockPtr block_;  // where the next frame is decrypted
  Bytes splinter_;         // a sealed frame larger than the `out` it was meant for
  std::size_t splinter_sent_ = 0;
  std::uint64_t bytes_received_ = 0;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace dig
