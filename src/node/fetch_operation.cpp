// SPDX-License-Identifier: Apache-2.0
#include "node/fetch_operation.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "node/store_service.hpp"
#include "store/merkle.hpp"

namespace dig::node {
namespace {

// What a circuit allows besides handshakes, framing and proofs.
std::optional<std::uint64_t> allowance_of(const LinkPath& path) {
  constexpr std::uint64_t k_handshakes = 8 * 1024;
  if (!path.is_relayed || path.limit.data == 0) return std::nullopt;
  const std::uint64_t content = path.limit.data - path.limit.data / 16;
  return content > k_handshakes ? content - k_handshakes : 0;
}

std::uint64_t bytes_of(const Manifest& manifest, std::uint64_t first, std::uint64_t count) {
  const std::uint64_t begin = std::min(store::chunk_offset(first), manifest.size);
  return std::min(count * store::k_chunk_size, manifest.size - begin);
}

}  // namespace

// The fetching side of one store stream. Keeps what came until the operation drains it.
class FetchOperation::Client final : public StreamHandler {
 public:
  Client(Instant now, FetchOperation& operation, exchange::HolderId holder)
      : operation_(&operation), holder_(holder), machine_(now, operation.pool_) {}

  [[nodiscard]] exchange::ExchangeClient& machine() noexcept { return machine_; }
  void detach() noexcept { operation_ = nullptr; }

  void handle_opened(StreamId stream) override { operation_->holders_.at(holder_).stream = stream; }
  void handle_negotiated(Instant now) override {
    if (operation_ == nullptr) return;
    operation_->handle_ready(now, holder_);
  }
  [[nodiscard]] MutableBytes receive_space() override {
    return machine_.wants_bytes() ? machine_.receive_space() : MutableBytes();
  }
  void handle_received(Instant now, std::size_t size) override {
    machine_.handle_received(now, size);
    wake();
  }
  void handle_eof(Instant now) override {
    machine_.handle_eof(now);
    wake();
  }
  [[nodiscard]] BytesView output(Instant now) override {
    if (sent_ == outgoing_.size()) {
      outgoing_.resize(1024);
      outgoing_.resize(machine_.poll_bytes(now, outgoing_));
      sent_ = 0;
    }
    return BytesView(outgoing_).subspan(sent_);
  }
  void handle_written(Instant /*now*/, std::size_t size) override { sent_ += size; }
  [[nodiscard]] bool has_finished_writing() const override { return operation_ == nullptr; }
  void handle_closed(Instant now, const Error& why) override {
    if (operation_ == nullptr) return;
    std::exchange(operation_, nullptr)->lose(now, holder_, why);
  }
  void handle_timeout(Instant now) override {
    machine_.handle_timeout(now);
    wake();
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override { return machine_.next_timeout(); }

 private:
  void wake() {
    if (operation_ != nullptr) operation_->host_.mark_active(operation_->id_);
  }

  FetchOperation* operation_;
  exchange::HolderId holder_;
  exchange::ExchangeClient machine_;
  Bytes outgoing_;
  std::size_t sent_ = 0;
};

FetchOperation::FetchOperation(Instant now, OperationId id, FetchSpec spec, exchange::BufferPool& pool, FetchHost& host,
                               const Limits& limits)
    : id_(id),
      spec_(std::move(spec)),
      host_(host),
      limits_(limits),
      pool_(pool),
      log_(now),
      fetch_(spec_.target, pool) {}

FetchOperation::~FetchOperation() {
  for (auto& [id, holder] : holders_) {
    if (holder.client != nullptr) holder.client->detach();
  }
}

void FetchOperation::start(Instant now) {
  const auto usable = log_.plan(now, spec_.tiers);
  fetch_.start(now);
  const auto taken = take_holders(std::exchange(spec_.holders, {}));
  tell_attempts();
  host_.mark_active(id_);
  if (usable.empty()) {
    fetch_.cancel(now);
    end(now, fail(Errc::all_tiers_failed, "no tier that --tiers allows can be used"));
    return;
  }
  for (const exchange::HolderId id : taken) dial(now, id);
  tell_no_more_holders(now);
}

void FetchOperation::add_holders(Instant now, std::vector<HolderSpec> holders, bool more_come) {
  if (is_over_) return;
  spec_.more_holders_come = more_come;
  for (const exchange::HolderId id : take_holders(std::move(holders))) dial(now, id);
  tell_no_more_holders(now);
  host_.mark_active(id_);
}

// All of them dial from now on: one that fails at once must not be taken for the last.
std::vector<exchange::HolderId> FetchOperation::take_holders(std::vector<HolderSpec> specs) {
  std::vector<exchange::HolderId> taken;
  for (HolderSpec& spec : specs) {
    const bool is_known =
        std::ranges::any_of(holders_, [&](const auto& entry) { return entry.second.spec.peer == spec.peer; });
    if (is_known || holders_.size() == limits_.max_holders) continue;
    const exchange::HolderId id{holders_.size() + 1};
    holders_[id].spec = std::move(spec);
    holders_[id].is_dialling = true;
    taken.push_back(id);
  }
  return taken;
}

void FetchOperation::dial(Instant now, exchange::HolderId id) {
  Holder& holder = holders_.at(id);
  holder.redial_at.reset();
  if (PeerLink* link = host_.find_link(holder.spec.peer, holder.silent)) {
    holder.is_dialling = false;
    open_stream(now, id, *link);
    return;
  }
  holder.is_dialling = true;
  host_.dial_holder(now, id_, id, holder.spec, spec_.tiers, log_);
}

void FetchOperation::handle_connected(Instant now, exchange::HolderId id, const Result<ConnectionId>& result,
                                      bool was_answered) {
  if (is_over_) return;
  Holder& holder = holders_.at(id);
  holder.is_dialling = false;
  holder.was_reached = holder.was_reached || was_answered;
  tell_attempts();
  PeerLink* link = result ? host_.find_link(*result) : nullptr;
  if (link != nullptr) {
    open_stream(now, id, *link);
  } else {
    lose(now, id, result ? Error(Errc::connection_closed) : result.error());
  }
  host_.mark_active(id_);
}

void FetchOperation::open_stream(Instant now, exchange::HolderId id, PeerLink& link) {
  Holder& holder = holders_.at(id);
  auto client = std::make_unique<Client>(now, *this, id);
  Client* const raw = client.get();
  holder.connection = link.id();
  holder.path = link.path().address.to_string();
  holder.is_relayed = link.path().is_relayed;
  holder.allowance = allowance_of(link.path());
  holder.client = raw;
  holder.is_ready = false;
  holder.was_reached = true;
  const auto stream = link.open(now, std::string(k_store_protocol), std::move(client));
  if (!stream) {
    holder.client = nullptr;
    lose(now, id, stream.error());
  }
}

// Several holders give at the same time; one path is told as that of the fetch, until its holder is lost.
void FetchOperation::choose_path() {
  const auto is_usable = [](const Holder& holder) { return holder.client != nullptr && holder.is_ready; };
  if (path_holder_ && is_usable(holders_.at(*path_holder_))) return;
  path_holder_.reset();
  const auto next = std::ranges::find_if(holders_, [&](const auto& entry) { return is_usable(entry.second); });
  if (next == holders_.end()) return;
  path_holder_ = next->first;
  const Holder& holder = next->second;
  if (holder.path == current_path_) return;
  const auto& row = method_row_of(holder.is_relayed);
  host_.put(PathChosen{id_, ladder::path_event(row, std::exchange(current_path_, holder.path), holder.path,
                                               holder.spec.peer.to_string())});
}

// The holder speaks the protocol: the coordinator may use it.
void FetchOperation::handle_ready(Instant now, exchange::HolderId id) {
  holders_.at(id).is_ready = true;
  has_reached_any_ = true;
  choose_path();
  fetch_.holder_added(now, id);
  tell_no_more_holders(now);
  host_.mark_active(id_);
}

// The holder's stream or its dialling came to nothing. What broke by chance is tried again; what the holder said or
// proved is not.
void FetchOperation::lose(Instant now, exchange::HolderId id, const Error& why) {
  Holder& holder = holders_.at(id);
  holder.client = nullptr;
  if (is_over_) return;
  choose_path();
  if (holder.is_dropped) return;
  if (!holder.is_ready && (!unreachable_ || why.info().kind == ErrorKind::integrity)) unreachable_ = why;
  const bool is_by_chance = why.info().kind != ErrorKind::integrity && why.code() != Errc::protocol_not_supported &&
                            why.code() != Errc::dialled_self && why.code() != Errc::circuit_limit_reached;
  // The connection may be dead without anybody having noticed yet.
  if (why.code() == Errc::phase_timeout || why.code() == Errc::peer_silent) holder.silent = holder.connection;
  if (holder.was_reached && is_by_chance && holder.redials < limits_.max_redials) {
    holder.redial_at = now + limits_.redial_delay * (1U << holder.redials);
    ++holder.redials;
    fetch_.expect_holders();  // before it hears that this one is gone, which may be the last it has
  }
  fetch_.holder_removed(now, id, why);
  tell_no_more_holders(now);
  host_.mark_active(id_);
}

void FetchOperation::tell_no_more_holders(Instant now) {
  const bool may_come = std::ranges::any_of(holders_, [](const auto& entry) {
    const Holder& holder = entry.second;
    return holder.is_dialling || holder.redial_at || (holder.client != nullptr && !holder.is_ready);
  });
  if (may_come || spec_.more_holders_come) {
    fetch_.expect_holders();
  } else {
    fetch_.no_more_holders(now);
  }
}

void FetchOperation::handle_timeout(Instant now) {
  fetch_.handle_timeout(now);
  for (auto& [id, holder] : holders_) {
    if (holder.redial_at && *holder.redial_at <= now) dial(now, id);
  }
  host_.mark_active(id_);
}

std::optional<Instant> FetchOperation::next_timeout() const {
  if (is_over_) return std::nullopt;
  std::optional<Instant> next = fetch_.next_timeout();
  for (const auto& [id, holder] : holders_) next = earliest(next, holder.redial_at);
  return next;
}

void FetchOperation::drain(Instant now) {
  for (bool has_moved = true; has_moved && !is_over_;) {
    has_moved = false;
    for (auto& [id, holder] : holders_) has_moved = drain_client(now, id) || has_moved;
    has_moved = drain_fetch(now) || has_moved;
  }
}

bool FetchOperation::drain_client(Instant now, exchange::HolderId id) {
  Holder& holder = holders_.at(id);
  bool has_moved = false;
  while (holder.client != nullptr) {
    auto event = holder.client->machine().poll_event();
    if (!event) break;
    has_moved = true;
    handle_client_event(now, id, *event);
  }
  return has_moved;
}

void FetchOperation::handle_client_event(Instant now, exchange::HolderId id, exchange::ClientEvent& event) {
  Holder& holder = holders_.at(id);
  if (auto* have = std::get_if<exchange::HaveReceived>(&event)) {
    fetch_.handle_have(now, id, std::move(have->have));
  } else if (auto* manifest = std::get_if<exchange::ManifestReceived>(&event)) {
    fetch_.handle_manifest(now, id, std::move(manifest->manifest));
  } else if (auto* chunk = std::get_if<exchange::ChunkReceived>(&event)) {
    holder.redials = 0;
    holder.received += chunk->data.size();
    fetch_.handle_chunk(now, id, chunk->index, std::move(chunk->data), std::move(chunk->proof));
  } else if (auto* refused = std::get_if<exchange::RequestRefused>(&event)) {
    handle_refusal(now, id, *refused);
  } else if (auto* failed = std::get_if<exchange::ClientFailed>(&event)) {
    const Error why = failed->error;
    if (PeerLink* link = host_.find_link(holder.connection)) link->reset(now, holder.stream, 0, why);
  }
}

void FetchOperation::handle_refusal(Instant now, exchange::HolderId id, exchange::RequestRefused& refused) {
  Holder& holder = holders_.at(id);
  if (refused.request == holder.have_request) {
    fetch_.handle_have(now, id, std::unexpected(std::move(refused.error)));
  } else if (refused.request == holder.manifest_request) {
    fetch_.handle_manifest(now, id, std::unexpected(std::move(refused.error)));
  } else {
    fetch_.handle_refused(now, id, refused.first, refused.count, std::move(refused.error));
  }
}

bool FetchOperation::drain_fetch(Instant now) {
  bool has_moved = false;
  while (!is_over_) {
    auto event = fetch_.poll_event();
    if (!event) break;
    has_moved = true;
    handle_fetch_event(now, *event);
  }
  return has_moved;
}

void FetchOperation::handle_fetch_event(Instant now, exchange::FetchEvent& event) {
  if (const auto* have = std::get_if<exchange::AskHave>(&event)) {
    ask(now, have->holder, [&](Holder& holder, exchange::ExchangeClient& client) -> Result<void> {
      DIG_TRY(holder.have_request, client.request_have(now, spec_.target.store, have->root));
      return {};
    });
  } else if (const auto* manifest = std::get_if<exchange::AskManifest>(&event)) {
    ask(now, manifest->holder, [&](Holder& holder, exchange::ExchangeClient& client) -> Result<void> {
      DIG_TRY(holder.manifest_request, client.request_manifest(now, spec_.target.store, manifest->root));
      return {};
    });
  } else if (const auto* chunks = std::get_if<exchange::AskChunks>(&event)) {
    // Before OpenPartial it is a probe: one chunk that has to prove what an unsigned manifest claims.
    const std::optional<Manifest> chosen = manifest_ ? manifest_ : fetch_.snapshot().manifest;
    if (!chosen) return;
    const exchange::ArchiveId archive{spec_.target.store, chosen->root, chosen->size};
    if (!take_allowance(now, chunks->holder, bytes_of(*chosen, chunks->first, chunks->count))) return;
    ask(now, chunks->holder, [&](Holder& /*holder*/, exchange::ExchangeClient& client) -> Result<void> {
      DIG_CHECK(client.request_chunks(now, archive, chunks->first, chunks->count));
      return {};
    });
  } else if (const auto* dropped = std::get_if<exchange::DropHolder>(&event)) {
    drop(now, *dropped);
  } else if (auto* open = std::get_if<exchange::OpenPartial>(&event)) {
    manifest_ = open->manifest;
    opening_ = host_.ask_disk(id_, OpenPartial{std::move(open->signed_manifest), spec_.wants_sha256});
  } else if (auto* write = std::get_if<exchange::WriteChunk>(&event)) {
    const DiskRequestId id =
        host_.ask_disk(id_, WriteChunk{*partial_, write->index, std::move(write->data), std::move(write->proof)});
    writes_.emplace(id, write->index);
  } else if (std::holds_alternative<exchange::Progress>(event)) {
    const exchange::FetchStatus status = fetch_.snapshot();
    host_.put(FetchProgressed{id_, {status.bytes, status.total, status.fetched_bytes, status.reused_bytes, window()}});
  } else if (std::holds_alternative<exchange::WantedComplete>(event)) {
    host_.put(FetchWantedComplete{id_, *partial_});
  } else if (std::holds_alternative<exchange::FetchDone>(event)) {
    end(now, {});
  } else if (auto* failed = std::get_if<exchange::FetchFailed>(&event)) {
    end(now, std::unexpected(std::move(failed->error)));
  }
}

// circuit-v2 spec: a relay ends a circuit that exceeds its limit, so nothing is begun that would not fit.
bool FetchOperation::take_allowance(Instant now, exchange::HolderId id, std::uint64_t bytes) {
  Holder& holder = holders_.at(id);
  if (!holder.allowance) return true;
  if (*holder.allowance >= bytes) {
    *holder.allowance -= bytes;
    return true;
  }
  const Error why(Errc::circuit_limit_reached, "the relay allows " + std::to_string(*holder.allowance) +
                                                   " more bytes of content, " + std::to_string(bytes) +
                                                   " were to come");
  log_.end(log_.begin(now, method_row_of(true), holder.path), now, dignet::Outcome::failed, why);
  tell_attempts();
  if (PeerLink* link = host_.find_link(holder.connection)) link->reset(now, holder.stream, 0, why);
  return false;
}

template <class Request>
void FetchOperation::ask(Instant now, exchange::HolderId id, Request request) {
  Holder& holder = holders_.at(id);
  PeerLink* link = host_.find_link(holder.connection);
  if (holder.client == nullptr || link == nullptr) return;  // lost meanwhile: the coordinator was told
  const Result<void> asked = request(holder, holder.client->machine());
  if (asked) {
    link->service(now, holder.stream);
  } else {
    link->reset(now, holder.stream, 0, asked.error());
  }
}

void FetchOperation::drop(Instant now, const exchange::DropHolder& dropped) {
  Holder& holder = holders_.at(dropped.holder);
  holder.is_dropped = true;
  holder.redial_at.reset();
  if (PeerLink* link = host_.find_link(holder.connection); link != nullptr && holder.client != nullptr) {
    // Who sends wrong content is not trusted with anything else either.
    if (dropped.error.info().kind == ErrorKind::integrity) {
      link->close(now, dropped.error);
    } else {
      link->reset(now, holder.stream, 0, dropped.error);
    }
  }
  tell_no_more_holders(now);
}

void FetchOperation::handle_disk(Instant now, DiskRequestId id, Result<DiskAnswer> answer) {
  if (opening_ == id) {
    opening_.reset();
    if (auto* opened = answer ? std::get_if<PartialOpened>(&*answer) : nullptr) {
      partial_ = opened->partial;
      fetch_.handle_partial_opened(now, std::move(opened->have));
    } else {
      fetch_.handle_partial_opened(now, std::unexpected(answer ? Error(Errc::internal) : std::move(answer).error()));
    }
  } else if (const auto write = writes_.extract(id); !write.empty()) {
    Result<void> result = fail(Errc::internal);
    if (auto* written = answer ? std::get_if<ChunkWritten>(&*answer) : nullptr) {
      pool_.give(std::move(written->buffer));
      result = std::move(written->result);
    } else if (!answer) {
      result = std::unexpected(std::move(answer).error());
    }
    fetch_.handle_chunk_written(now, write.mapped(), std::move(result));
  }
  host_.mark_active(id_);
}

Result<void> FetchOperation::want(Instant now, std::uint64_t first, std::uint64_t count) {
  host_.mark_active(id_);
  return fetch_.want(now, first, count);
}

void FetchOperation::finish(Instant now) {
  fetch_.finish(now);
  host_.mark_active(id_);
}

void FetchOperation::cancel(Instant now) {
  fetch_.cancel(now);
  host_.mark_active(id_);
}

void FetchOperation::end(Instant now, Result<void> result) {
  is_over_ = true;
  // The coordinator knows only holders that were reached and speak the protocol: that none was is another failure than
  // that none has the store.
  const bool is_unreachable = !result && result.error().code() == Errc::no_holder && !has_reached_any_;
  if (is_unreachable && unreachable_) result = std::unexpected(*unreachable_);
  host_.cancel_dials(now, id_);
  for (auto& [id, holder] : holders_) {
    if (holder.client == nullptr) continue;
    std::exchange(holder.client, nullptr)->detach();
    if (PeerLink* link = host_.find_link(holder.connection)) {
      if (result) {
        link->service(now, holder.stream);  // finishes: a detached client has nothing more to write
        link->stop_sending(now, holder.stream, 0);
      } else {
        link->reset(now, holder.stream, 0, result.error());
      }
    }
  }
  log_.cancel_open(now);
  tell_attempts();
  FetchEnded ended{id_, summary(), partial_, log_.attempts()};
  if (!result) ended.result = std::unexpected(std::move(result).error());
  host_.put(std::move(ended));
}

// The bound that holds, also when this run has less left to ask for: what a kill may cost is measured by it.
std::uint64_t FetchOperation::window() const {
  return std::max(fetch_.snapshot().window_bytes, exchange::Fetch::Limits{}.window);
}

FetchSummary FetchOperation::summary() const {
  const exchange::FetchStatus status = fetch_.snapshot();
  FetchSummary summary;
  summary.partial = partial_.value_or(PartialId{});
  if (manifest_) summary.manifest = *manifest_;
  summary.fetched_bytes = status.fetched_bytes;
  summary.reused_bytes = status.reused_bytes;
  summary.window_bytes = window();
  summary.first_chunk = status.first_chunk;
  const auto received = [](const auto& entry) { return entry.second.received; };
  if (const auto best = std::ranges::max_element(holders_, {}, received); best != holders_.end()) {
    summary.best_holder = best->second.spec.peer;
    summary.path = best->second.path;
  }
  return summary;
}

void FetchOperation::tell_attempts() {
  if (auto completed = log_.take_completed(); !completed.empty()) {
    host_.put(AttemptsCompleted{id_, std::move(completed)});
  }
}

}  // namespace dig::node
