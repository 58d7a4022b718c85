// SPDX-License-Identifier: Apache-2.0
#include "node/link_carrier.hpp"

namespace dig::node {
namespace {

class LinkCarrier final : public StreamHandler {
 public:
  LinkCarrier(CarriedLinks& links, ConnectionId link) : links_(links), link_(link) {}

  [[nodiscard]] MutableBytes receive_space() override {
    return links_.wants_carried(link_) ? MutableBytes(inbox_) : MutableBytes();
  }
  void handle_received(Instant now, std::size_t size) override {
    links_.handle_carried_bytes(now, link_, BytesView(inbox_).first(size));
  }
  void handle_eof(Instant now) override { links_.handle_carried_eof(now, link_); }
  [[nodiscard]] BytesView output(Instant now) override {
    if (sent_ == filled_) {
      sent_ = 0;
      filled_ = links_.poll_carried(now, link_, outbox_);
    }
    return BytesView(outbox_).subspan(sent_, filled_ - sent_);
  }
  void handle_written(Instant /*now*/, std::size_t size) override { sent_ += size; }
  [[nodiscard]] bool has_finished_writing() const override { return sent_ == filled_ && links_.is_carried_over(link_); }
  void handle_closed(Instant now, const Error& why) override { links_.handle_carrier_lost(now, link_, why); }

 private:
  CarriedLinks& links_;
  ConnectionId link_;
  std::array<std::byte, 16384> inbox_;
  std::array<std::byte, 16384> outbox_;
  std::size_t filled_ = 0;
  std::size_t sent_ = 0;
};

}  // namespace

std::unique_ptr<StreamHandler> make_link_carrier(CarriedLinks& links, ConnectionId link) {
  return std::make_unique<LinkCarrier>(links, link);
}

}  // namespace dig::node
