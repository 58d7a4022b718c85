// SPDX-License-Identifier: Apache-2.0
#include "node/store_service.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/accept_limiter.hpp"
#include "store/merkle.hpp"

namespace dig::node {
namespace {

// The shell answers each request with the alternative that belongs to it; anything else is a fault of this program.
template <class T>
Result<T> expect_answer(Result<DiskAnswer> answer) {
  if (!answer) return std::unexpected(std::move(answer).error());
  if (auto* value = std::get_if<T>(&*answer)) return std::move(*value);
  return fail(Errc::internal, "the disk gave another answer than was asked for");
}

Result<HaveResponse> have_of(Result<DiskAnswer> answer) {
  DIG_TRY(const FoundStore found, expect_answer<FoundStore>(std::move(answer)));
  HaveResponse have{found.root, found.size, {}};
  if (found.size > 0) have.ranges.push_back({0, store::chunk_count(found.size)});
  return have;
}

Result<Bytes> manifest_of(Result<DiskAnswer> answer) {
  DIG_TRY(const FoundStore found, expect_answer<FoundStore>(std::move(answer)));
  return found.manifest.encode();
}

Result<exchange::ChunkData> chunk_of(Result<DiskAnswer> answer) {
  DIG_TRY(ChunkRead read, expect_answer<ChunkRead>(std::move(answer)));
  return exchange::ChunkData{std::move(read.data), std::move(read.proof)};
}

}  // namespace

class StoreService::Handler final : public StreamHandler {
 public:
  Handler(Instant now, StoreService& service, std::uint64_t id, const PeerLink& link)
      : service_(service),
        id_(id),
        connection_(link.id()),
        peer_(link.peer()),
        source_(AcceptLimiter::prefix_of(link.path().remote.address)),
        server_(now, service.pool_) {}
  ~Handler() override { service_.servers_.erase(id_); }

  void handle_opened(StreamId stream) override { stream_ = stream; }
  [[nodiscard]] MutableBytes receive_space() override {
    return server_.wants_bytes() && !is_over_ ? MutableBytes(inbox_) : MutableBytes();
  }
  void handle_received(Instant now, std::size_t size) override {
    server_.handle_bytes(now, std::span(inbox_).first(size));
    drain();
  }
  void handle_eof(Instant now) override {
    server_.handle_eof(now);
    drain();
  }
  [[nodiscard]] BytesView output(Instant /*now*/) override { return server_.output(); }
  void handle_written(Instant now, std::size_t size) override {
    server_.handle_written(now, size);
    drain();
  }
  [[nodiscard]] bool has_finished_writing() const override { return is_over_; }
  [[nodiscard]] std::optional<Error> failure() const override {
    // What is still to be sent (an answer that says why) goes out before the reset.
    return server_.output().empty() ? failure_ : std::nullopt;
  }
  void handle_closed(Instant /*now*/, const Error& /*why*/) override {}
  void handle_timeout(Instant now) override {
    server_.handle_timeout(now);
    drain();
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override { return server_.next_timeout(); }

  void answer(Instant now, const Waiting& waiting, Result<DiskAnswer> answer);
  [[nodiscard]] Ready ready() const { return {connection_, stream_}; }
  [[nodiscard]] const PeerId& peer() const noexcept { return peer_; }
  [[nodiscard]] const AcceptLimiter::Prefix& source() const noexcept { return source_; }
  // Since when the peer has asked for nothing; absent while something is to be answered.
  [[nodiscard]] std::optional<Instant> idle_since() const { return server_.idle_since(); }

 private:
  void drain() {
    while (auto event = server_.poll_event()) {
      if (const auto* finished = std::get_if<exchange::ServerFinished>(&*event)) {
        is_over_ = true;
        failure_ = finished->error;
      } else {
        service_.ask(id_, *event);
      }
    }
  }

  StoreService& service_;
  std::uint64_t id_;
  ConnectionId connection_;
  StreamId stream_;
  PeerId peer_;
  AcceptLimiter::Prefix source_;
  exchange::ExchangeServer server_;
  std::array<std::byte, 2048> inbox_;
  bool is_over_ = false;
  std::optional<Error> failure_;
};

void StoreService::Handler::answer(Instant now, const Waiting& waiting, Result<DiskAnswer> answer) {
  switch (waiting.purpose) {
    case Purpose::have:
      server_.answer_have(now, waiting.token, have_of(std::move(answer)));
      break;
    case Purpose::manifest:
      server_.answer_manifest(now, waiting.token, manifest_of(std::move(answer)));
      break;
    case Purpose::chunk:
      server_.answer_chunk(now, waiting.token, chunk_of(std::move(answer)));
      break;
  }
  drain();
}

StoreService::~StoreService() = default;

std::unique_ptr<StreamHandler> StoreService::make_handler(Instant now, const PeerLink& link) {
  const auto count = [&](auto predicate) {
    return static_cast<std::size_t>(
        std::ranges::count_if(servers_, predicate, [](const auto& entry) -> const Handler& { return *entry.second; }));
  };
  const auto source = AcceptLimiter::prefix_of(link.path().remote.address);
  if (count([&](const Handler& handler) { return handler.peer() == link.peer(); }) >= limits_.max_streams_per_peer ||
      count([&](const Handler& handler) { return handler.source() == source; }) >= limits_.max_streams_per_source ||
      (servers_.size() >= limits_.max_streams && !evict_idle())) {
    return nullptr;
  }
  const std::uint64_t id = next_server_++;
  auto handler = std::make_unique<Handler>(now, *this, id, link);
  servers_.emplace(id, handler.get());
  return handler;
}

// Its place is free at once; the stream itself is reset when the core asks whom it concerns.
bool StoreService::evict_idle() {
  auto longest = servers_.end();
  for (auto entry = servers_.begin(); entry != servers_.end(); ++entry) {
    const auto since = entry->second->idle_since();
    if (since && (longest == servers_.end() || *since < *longest->second->idle_since())) longest = entry;
  }
  if (longest == servers_.end()) return false;
  evicted_.push_back(longest->second->ready());
  servers_.erase(longest);
  return true;
}

void StoreService::ask(std::uint64_t server, exchange::ServerEvent& event) {
  if (const auto* have = std::get_if<exchange::WantHave>(&event)) {
    pending_.push_back({{server, have->token, Purpose::have}, FindStore{have->store, have->root}});
  } else if (const auto* manifest = std::get_if<exchange::WantManifest>(&event)) {
    pending_.push_back({{server, manifest->token, Purpose::manifest}, FindStore{manifest->store, manifest->root}});
  } else if (const auto* chunk = std::get_if<exchange::WantChunk>(&event)) {
    pending_.push_back({{server, chunk->token, Purpose::chunk},
                        ReadChunk{chunk->store, chunk->root, chunk->index, pool_.take(store::k_chunk_size)}});
  }
}

std::vector<DiskRequest> StoreService::take_requests(std::uint64_t& next_request_id) {
  std::vector<DiskRequest> taken;
  taken.reserve(pending_.size());
  for (Pending& pending : pending_) {
    const DiskRequestId id{next_request_id++};
    waiting_.emplace(id, pending.waiting);
    taken.push_back({id, std::move(pending.request)});
  }
  pending_.clear();
  return taken;
}

std::optional<StoreService::Ready> StoreService::handle_disk(Instant now, DiskRequestId id, Result<DiskAnswer> answer) {
  const auto waiting = waiting_.extract(id);
  if (waiting.empty()) return std::nullopt;
  const auto server = servers_.find(waiting.mapped().server);
  if (server == servers_.end()) {
    if (auto* chunk = answer ? std::get_if<ChunkRead>(&*answer) : nullptr) pool_.give(std::move(chunk->data));
    return std::nullopt;
  }
  server->second->answer(now, waiting.mapped(), std::move(answer));
  return server->second->ready();
}

}  // namespace dig::node
