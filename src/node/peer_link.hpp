// SPDX-License-Identifier: Apache-2.0
// One connection and the protocols on its streams: negotiates each stream (multistream-select), gives it a handler and
// moves its bytes. Knows no protocol itself; the host says which are spoken and makes their handlers.
//
// Not thread-safe: owned by NodeCore.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/ids.hpp"
#include "node/link_path.hpp"
#include "node/stream_handler.hpp"
#include "proto/connection/connection.hpp"
#include "proto/multistream/negotiator.hpp"

namespace dig::node {

class PeerLink;

class ProtocolHost {
 public:
  virtual ~ProtocolHost() = default;
  // The protocols that inbound streams may ask for.
  [[nodiscard]] virtual const std::vector<std::string>& supported_protocols() const = 0;
  // A handler for an inbound stream; nullptr refuses it (too many of this protocol).
  [[nodiscard]] virtual std::unique_ptr<StreamHandler> make_handler(Instant now, PeerLink& link,
                                                                    const std::string& protocol) = 0;
  virtual void handle_established(Instant now, PeerLink& link) = 0;
  virtual void handle_link_closed(Instant now, PeerLink& link, const Error& why) = 0;
  // Something other than its transport moved the link: it may have bytes to send and another deadline.
  virtual void handle_link_active(PeerLink& link) = 0;
};

class PeerLink {
 public:
  struct Limits {
    Duration negotiation = 10s;         // of one stream
    std::size_t max_negotiating = 256;  // inbound streams that have not chosen a protocol yet
  };

  PeerLink(ConnectionId id, Direction direction, LinkPath path, std::unique_ptr<ByteStreamConnection> connection,
           ProtocolHost& host, const Limits& limits);
  ~PeerLink();
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  [[nodiscard]] ConnectionId id() const noexcept { return id_; }
  [[nodiscard]] Direction direction() const noexcept { return direction_; }
  [[nodiscard]] const LinkPath& path() const noexcept { return path_; }
  // Empty until established.
  [[nodiscard]] const PeerId& peer() const noexcept { return peer_; }
  [[nodiscard]] bool is_established() const noexcept { return !peer_.empty(); }
  [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }
  [[nodiscard]] ConnectionStatus snapshot() const { return connection_->snapshot(); }

  // The transport side; the shell calls these through NodeCore.
  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] bool wants_bytes() const { return connection_->wants_bytes(); }
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  // Opens a stream and offers one protocol on it. The handler is told by handle_negotiated or handle_closed.
  [[nodiscard]] Result<StreamId> open(Instant now, const std::string& protocol, std::unique_ptr<StreamHandler> handler);
  // The handler has become ready to read or write by something other than its stream.
  void service(Instant now, StreamId stream);
  void reset(Instant now, StreamId stream, std::uint64_t code, const Error& why);
  void stop_sending(Instant now, StreamId stream, std::uint64_t code);
  void close(Instant now, const Error& why);
  // Since when no stream has been open; absent while one is.
  [[nodiscard]] std::optional<Instant> idle_since() const noexcept {
    return streams_.empty() ? std::optional(last_stream_) : std::nullopt;
  }

 private:
  struct Stream;

  [[nodiscard]] static std::optional<Instant> deadline_of(const Stream& stream);
  void drain_events(Instant now);
  void handle_event(Instant now, ConnectionEvent& event);
  void accept_stream(Instant now, StreamId id);
  [[nodiscard]] bool negotiate(Instant now, Stream& stream);
  void flush_negotiation(Stream& stream);
  [[nodiscard]] bool finish_negotiation(Instant now, Stream& stream, const Result<std::string>& result);
  void service_stream(Instant now, StreamId id);
  [[nodiscard]] bool read(Instant now, Stream& stream);
  [[nodiscard]] bool write(Instant now, Stream& stream);
  void hand_over_rest(Instant now, Stream& stream);
  void end_stream(Instant now, StreamId id, const Error& why);

  ConnectionId id_;
  Direction direction_;
  LinkPath path_;
  std::unique_ptr<ByteStreamConnection> connection_;
  ProtocolHost& host_;
  Limits limits_;
  PeerId peer_;
  bool is_closed_ = false;
  std::map<StreamId, std::unique_ptr<Stream>> streams_;
  std::size_t negotiating_inbound_ = 0;
  Instant last_stream_;  // when the last stream ended, or the connection was established
};

}  // namespace dig::node
