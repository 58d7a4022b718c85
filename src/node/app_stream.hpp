// SPDX-License-Identifier: Apache-2.0
// A stream that an application reads and writes through the public API: one read and one write at a time. It takes from
// the connection only what was asked for, so the peer's flow control is the application's pace.
#pragma once

#include <functional>
#include <vector>

#include "node/outputs.hpp"
#include "node/stream_handler.hpp"

namespace dig::node {

class AppStream;

// What is left of a stream that ended before the application had read it all.
struct AppStreamRest {
  Bytes bytes;
  std::size_t read = 0;
  bool has_end = false;  // the peer had finished: after the bytes comes the end
  Error why;             // else this
};

// Where application streams put what they have to tell.
class AppStreamSink : public virtual OutputSink {
 public:
  virtual void keep_rest(AppStream& stream, AppStreamRest rest) = 0;
  virtual void add_app_stream(AppStream& stream) = 0;
  virtual void remove_app_stream(AppStream& stream) = 0;
};

class AppStream final : public StreamHandler {
 public:
  static constexpr std::size_t max_read = std::size_t{1} << 20;

  // Opened by an operation of the API, which hears AppStreamOpened.
  AppStream(AppStreamSink& sink, ConnectionId connection, PeerId peer, OperationId opening)
      : sink_(sink), connection_(connection), peer_(std::move(peer)), opening_(opening) {}
  // Opened by the peer.
  AppStream(AppStreamSink& sink, ConnectionId connection, PeerId peer, std::string protocol)
      : sink_(sink), connection_(connection), peer_(std::move(peer)), protocol_(std::move(protocol)) {}
  ~AppStream() override { sink_.remove_app_stream(*this); }

  [[nodiscard]] ConnectionId connection() const noexcept { return connection_; }
  [[nodiscard]] StreamId stream() const noexcept { return stream_; }
  [[nodiscard]] const PeerId& peer() const noexcept { return peer_; }
  [[nodiscard]] const std::string& protocol() const noexcept { return protocol_; }
  [[nodiscard]] bool is_inbound() const noexcept { return opening_.value == 0; }

  // The owner calls PeerLink::service afterwards.
  void read(std::size_t max_bytes);
  void write(Bytes bytes);
  void finish() noexcept { wants_finish_ = true; }
  // The owner calls PeerLink::stop_sending afterwards.
  void stop_reading();

  void handle_opened(StreamId stream) override;
  void handle_negotiated(Instant now) override;
  [[nodiscard]] MutableBytes receive_space() override;
  void handle_received(Instant now, std::size_t size) override;
  void handle_eof(Instant now) override;
  [[nodiscard]] BytesView output(Instant now) override;
  void handle_written(Instant now, std::size_t size) override;
  [[nodiscard]] bool has_finished_writing() const override { return wants_finish_ && outgoing_.empty(); }
  [[nodiscard]] bool may_end() const override { return (has_told_end_ || has_stopped_) && !is_writing_; }
  [[nodiscard]] bool handle_rest(BytesView bytes, bool is_end) override;
  void handle_closed(Instant now, const Error& why) override;

 private:
  void answer_read(Result<void> result, bool is_end);
  void answer_write(Result<void> result);

  AppStreamSink& sink_;
  ConnectionId connection_;
  StreamId stream_;
  PeerId peer_;
  OperationId opening_;
  std::string protocol_;
  bool is_opening_ = true;
  bool is_reading_ = false;
  Bytes incoming_;
  Bytes rest_;
  bool has_end_ = false;
  bool has_told_end_ = false;
  bool has_stopped_ = false;
  bool is_writing_ = false;
  Bytes outgoing_;
  std::size_t outgoing_sent_ = 0;
  bool wants_finish_ = false;
};

}  // namespace dig::node
