// SPDX-License-Identifier: Apache-2.0
// What a Stream needs of its node, and what is left of the node when the stream outlives it. Application's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dignet/connection.hpp"

namespace dignet::detail {

class StreamOperations {
 public:
  virtual ~StreamOperations() = default;
  virtual void read_stream(std::uint64_t connection, std::uint64_t stream, std::size_t max_bytes,
                           Completion<ReadData> done) = 0;
  virtual void write_stream(std::uint64_t connection, std::uint64_t stream, std::vector<std::byte> bytes,
                            Completion<void> done) = 0;
  virtual void finish_stream(std::uint64_t connection, std::uint64_t stream) = 0;
  virtual void reset_stream(std::uint64_t connection, std::uint64_t stream, std::uint64_t code) = 0;
  virtual void stop_stream(std::uint64_t connection, std::uint64_t stream, std::uint64_t code) = 0;
};

class NodeHandle {
 public:
  explicit NodeHandle(StreamOperations& node) noexcept : node_(&node) {}

  // nullptr once the node is gone.
  [[nodiscard]] StreamOperations* node() const noexcept { return node_; }
  void detach() noexcept { node_ = nullptr; }

 private:
  StreamOperations* node_;
};

}  // namespace dignet::detail
