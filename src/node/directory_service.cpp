// SPDX-License-Identifier: Apache-2.0
#include "node/directory_service.hpp"

#include <algorithm>

#include "node/buffered_handler.hpp"
#include "proto/directory/server_stream.hpp"

namespace dig::node {

class DirectoryService::Handler final : public BufferedHandler {
 public:
  Handler(Instant now, DirectoryService& service, std::uint64_t id, const PeerLink& link)
      : service_(service),
        id_(id),
        connection_(link.id()),
        peer_(link.peer()),
        machine_(now, service.server_, id,
                 {.peer = link.peer(), .source = AcceptLimiter::prefix_of(link.path().remote.address)}) {}
  ~Handler() override { service_.streams_.erase(id_); }

  [[nodiscard]] const PeerId& peer() const noexcept { return peer_; }
  void handle_acknowledged(Instant now, const directory::Acknowledged& acknowledged) {
    machine_.handle_acknowledged(now, acknowledged);
    service_.host_.mark_stream_active(connection_, stream_);
  }

  void handle_opened(StreamId stream) override { stream_ = stream; }
  void handle_eof(Instant now) override {
    machine_.handle_eof(now);
    service_.drain(now);
  }
  [[nodiscard]] bool has_finished_writing() const override { return is_finished_; }
  [[nodiscard]] std::optional<Error> failure() const override { return failure_; }
  void handle_closed(Instant /*now*/, const Error& /*why*/) override {}
  void handle_timeout(Instant now) override {
    machine_.handle_timeout(now);
    take_end();
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override { return machine_.next_timeout(); }

 protected:
  [[nodiscard]] std::size_t take(Instant now, BytesView bytes) override {
    if (!machine_.wants_bytes()) return 0;
    machine_.handle_bytes(now, bytes);
    service_.drain(now);
    take_end();
    return bytes.size();
  }
  [[nodiscard]] std::size_t give(Instant now, MutableBytes out) override {
    const std::size_t size = machine_.poll_bytes(now, out);
    take_end();
    return size;
  }

 private:
  void take_end() {
    const auto end = machine_.poll_event();
    if (!end) return;
    if (end->error) {
      failure_ = end->error;
    } else {
      is_finished_ = true;
    }
  }

  DirectoryService& service_;
  std::uint64_t id_;
  ConnectionId connection_;
  PeerId peer_;
  StreamId stream_;
  directory::DirectoryServerStream machine_;
  bool is_finished_ = false;
  std::optional<Error> failure_;
};

DirectoryService::~DirectoryService() = default;

std::unique_ptr<StreamHandler> DirectoryService::make_handler(Instant now, const PeerLink& link) {
  const auto of_peer =
      std::ranges::count_if(streams_, [&](const auto& entry) { return entry.second->peer() == link.peer(); });
  if (streams_.size() >= limits_.max_streams || static_cast<std::size_t>(of_peer) >= limits_.max_streams_per_peer) {
    return nullptr;
  }
  const std::uint64_t id = next_stream_++;
  auto handler = std::make_unique<Handler>(now, *this, id, link);
  streams_.emplace(id, handler.get());
  return handler;
}

void DirectoryService::handle_persisted(Instant now, directory::PersistToken token,
                                        const Result<directory::PersistOutcome>& result) {
  server_.handle_persisted(now, token, result);
  drain(now);
}

Result<void> DirectoryService::load_shared_row(Instant now, const store::DirectoryRow& row) {
  Result<void> loaded = server_.load(now, row, directory::RowOrigin::other_server);
  drain(now);
  return loaded;
}

void DirectoryService::handle_timeout(Instant now) {
  server_.handle_timeout(now);
  drain(now);
}

void DirectoryService::drain(Instant now) {
  while (auto event = server_.poll_event()) {
    if (auto* persist = std::get_if<directory::Persist>(&*event)) {
      host_.put(PersistDirectory{persist->token, std::move(persist->changes)});
    } else {
      const auto& acknowledged = std::get<directory::Acknowledged>(*event);
      const auto stream = streams_.find(acknowledged.registration.stream);
      if (stream != streams_.end()) stream->second->handle_acknowledged(now, acknowledged);
    }
  }
}

}  // namespace dig::node
