// SPDX-License-Identifier: Apache-2.0
// The part that the handlers of small protocols share: a buffer each way between the stream and a machine that takes
// and gives bytes by copy. Bulk protocols do without it.
#pragma once

#include <algorithm>
#include <array>

#include "node/stream_handler.hpp"

namespace dig::node {

class BufferedHandler : public StreamHandler {
 public:
  [[nodiscard]] MutableBytes receive_space() final { return unread_ == 0 ? MutableBytes(inbox_) : MutableBytes(); }
  void handle_received(Instant now, std::size_t size) final {
    unread_ = size;
    feed(now);
  }
  [[nodiscard]] BytesView output(Instant now) final {
    if (sent_ == filled_) {
      sent_ = 0;
      filled_ = give(now, outbox_);
    }
    return BytesView(outbox_).subspan(sent_, filled_ - sent_);
  }
  void handle_written(Instant now, std::size_t size) final {
    sent_ += size;
    if (unread_ > 0) feed(now);
  }

 protected:
  // Returns how many bytes the machine took; the rest is offered again after more was written.
  [[nodiscard]] virtual std::size_t take(Instant now, BytesView bytes) = 0;
  [[nodiscard]] virtual std::size_t give(Instant now, MutableBytes out) = 0;

 private:
  void feed(Instant now) {
    const std::size_t taken = take(now, BytesView(inbox_).first(unread_));
    std::copy(inbox_.begin() + static_cast<std::ptrdiff_t>(taken),
              inbox_.begin() + static_cast<std::ptrdiff_t>(unread_), inbox_.begin());
    unread_ -= taken;
  }

  std::array<std::byte, 1024> inbox_;
  std::size_t unread_ = 0;
  std::array<std::byte, 1024> outbox_;
  std::size_t filled_ = 0;
  std::size_t sent_ = 0;
};

}  // namespace dig::node
