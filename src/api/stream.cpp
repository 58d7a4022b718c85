// SPDX-License-Identifier: Apache-2.0
#include "api/node_handle.hpp"
#include "dignet/connection.hpp"

namespace dignet {

Stream::Stream(std::shared_ptr<detail::NodeHandle> node, std::uint64_t connection, std::uint64_t stream,
               std::string protocol, std::string peer_id)
    : node_(std::move(node)),
      connection_(connection),
      stream_(stream),
      protocol_(std::move(protocol)),
      peer_id_(std::move(peer_id)) {}

Stream::Stream(Stream&&) noexcept = default;

Stream& Stream::operator=(Stream&& other) noexcept {
  Stream taken(std::move(other));
  std::swap(node_, taken.node_);
  std::swap(connection_, taken.connection_);
  std::swap(stream_, taken.stream_);
  std::swap(has_finished_, taken.has_finished_);
  std::swap(protocol_, taken.protocol_);
  std::swap(peer_id_, taken.peer_id_);
  return *this;
}

Stream::~Stream() {
  if (node_ == nullptr || node_->node() == nullptr) return;
  if (has_finished_) {
    node_->node()->stop_stream(connection_, stream_, 0);  // what was written still goes out
  } else {
    node_->node()->reset_stream(connection_, stream_, 0);
  }
}

void Stream::read(std::size_t max_bytes, Completion<ReadData> done) {
  if (node_ != nullptr && node_->node() != nullptr) {
    node_->node()->read_stream(connection_, stream_, max_bytes, std::move(done));
  } else if (done) {
    done(dig::fail(Errc::cancelled));
  }
}

void Stream::write(std::vector<std::byte> bytes, Completion<void> done) {
  if (node_ != nullptr && node_->node() != nullptr) {
    node_->node()->write_stream(connection_, stream_, std::move(bytes), std::move(done));
  } else if (done) {
    done(dig::fail(Errc::cancelled));
  }
}

void Stream::finish() {
  has_finished_ = true;
  if (node_ != nullptr && node_->node() != nullptr) node_->node()->finish_stream(connection_, stream_);
}

void Stream::reset(std::uint64_t code) {
  if (node_ != nullptr && node_->node() != nullptr) node_->node()->reset_stream(connection_, stream_, code);
}

void Stream::stop_sending(std::uint64_t code) {
  if (node_ != nullptr && node_->node() != nullptr) node_->node()->stop_stream(connection_, stream_, code);
}

}  // namespace dignet
