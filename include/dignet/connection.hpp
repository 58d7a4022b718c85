// SPDX-License-Identifier: Apache-2.0
// An authenticated, encrypted connection to a peer and the streams on it.
//
// A Connection or Stream is a light handle; the connection itself belongs to its node. Handles may be moved between
// threads but used from one thread at a time; completions run inside Node::process().
// Sizes are bytes. Every completion is called exactly once, also when the node is destroyed (Errc::cancelled).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dignet/error.hpp"
#include "dignet/events.hpp"

namespace dignet {

template <class T>
using Completion = std::move_only_function<void(Result<T>)>;

namespace detail {
class NodeHandle;
}

struct ReadData {
  std::vector<std::byte> bytes;  // may be empty only at the end
  bool is_end = false;           // the peer finished its half and everything was read
};

class Stream {
 public:
  Stream(std::shared_ptr<detail::NodeHandle> node, std::uint64_t connection, std::uint64_t stream, std::string protocol,
         std::string peer_id);
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  // After finish(): what was written still goes out, nothing more is read. Otherwise the stream is reset.
  ~Stream();

  [[nodiscard]] const std::string& protocol() const noexcept { return protocol_; }
  [[nodiscard]] const std::string& peer_id() const noexcept { return peer_id_; }

  // Completes as soon as at least one byte, or the end, is there. One read at a time (Errc::invalid_argument
  // otherwise). Errors: stream_reset, connection_closed.
  void read(std::size_t max_bytes, Completion<ReadData> done);
  // Completes when the connection has taken all bytes (not: when the peer has read them). One write at a time.
  void write(std::vector<std::byte> bytes, Completion<void> done);
  // Ends the write half after what was written.
  void finish();
  // Ends both halves at once.
  void reset(std::uint64_t code = 0);
  // Tells the peer that nothing more will be read.
  void stop_sending(std::uint64_t code = 0);

 private:
  std::shared_ptr<detail::NodeHandle> node_;
  std::uint64_t connection_ = 0;
  std::uint64_t stream_ = 0;
  bool has_finished_ = false;
  std::string protocol_;
  std::string peer_id_;
};

// What connect() brought about.
struct ConnectReport {
  std::uint64_t connection = 0;  // for Node::open_stream
  std::string peer_id;
  int tier = 0;
  std::string tier_name;
  std::string method;
  std::string path;
  double seconds = 0;
  std::vector<Attempt> attempts;
};

}  // namespace dignet
