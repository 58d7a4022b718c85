// SPDX-License-Identifier: Apache-2.0
#include "proto/store_exchange/client.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "store/merkle.hpp"

namespace dig::exchange {

static_assert(StreamMachine<ExchangeClient>);
static_assert(store::k_chunk_size == k_store_chunk_size);

namespace {

Error error_of(StoreStatus status) {
  switch (status) {
    case StoreStatus::not_found:
      return Error(Errc::store_not_found, "the holder does not have it");
    case StoreStatus::busy:
      return Error(Errc::limit_reached, "the holder is busy");
    case StoreStatus::malformed:
      return Error(Errc::holder_refused, "the holder did not understand the request");
    case StoreStatus::ok:
    case StoreStatus::failed:
      break;
  }
  return Error(Errc::holder_refused, "the holder could not answer");
}

std::unexpected<Error> violation(std::string_view what) { return fail(Errc::protocol_violation, what); }

// The number of levels above the leaves: no proof of a chunk is longer.
std::size_t longest_proof(std::uint64_t chunks) { return chunks < 2 ? 0 : std::bit_width(chunks - 1); }

}  // namespace

ExchangeClient::ExchangeClient(Instant now, BufferPool& pool, Limits limits)
    : pool_(pool), limits_(limits), frames_(k_max_store_response), last_byte_(now) {}

// --- requests ----------------------------------------------------------------------------------------------------

Result<RequestId> ExchangeClient::request_have(Instant now, const StoreId& store, const std::optional<RootHash>& root) {
  return send(now, {.kind = Kind::have, .root = root}, HaveRequest{store, root});
}

Result<RequestId> ExchangeClient::request_manifest(Instant now, const StoreId& store,
                                                   const std::optional<RootHash>& root) {
  return send(now, {.kind = Kind::manifest, .root = root}, ManifestRequest{store, root});
}

Result<RequestId> ExchangeClient::request_chunks(Instant now, const ArchiveId& archive, std::uint64_t first,
                                                 std::uint32_t count) {
  const std::uint64_t chunks = store::chunk_count(archive.size);
  if (count == 0 || count > k_max_chunks_per_request || first >= chunks || count > chunks - first) {
    return fail(Errc::invalid_argument, "a range of chunks that cannot be asked for");
  }
  Request request{.kind = Kind::chunks, .root = archive.root, .archive = archive, .next = first, .end = first + count};
  return send(now, std::move(request), ChunksRequest{archive.store, archive.root, first, count});
}

Result<RequestId> ExchangeClient::send(Instant now, Request request, const StoreRequest& message) {
  if (is_failed_) return fail(Errc::stream_closed);
  if (!can_request()) return fail(Errc::limit_reached, "too many requests on one stream");
  if (requests_.empty()) last_byte_ = now;
  request.id = {next_id_++};
  append_frame(output_, encode_store_request(message));
  requests_.push_back(std::move(request));
  return requests_.back().id;
}

std::size_t ExchangeClient::poll_bytes(Instant /*now*/, MutableBytes out) {
  if (is_failed_) return 0;
  const BytesView waiting = BytesView(output_).subspan(output_sent_);
  const std::size_t size = std::min(waiting.size(), out.size());
  std::copy_n(waiting.begin(), size, out.begin());
  output_sent_ += size;
  if (output_sent_ == output_.size()) {
    output_.clear();
    output_sent_ = 0;
  }
  return size;
}

// --- answers -----------------------------------------------------------------------------------------------------

MutableBytes ExchangeClient::receive_space() {
  if (is_failed_) return {};
  if (chunk_) return MutableBytes(chunk_->data).subspan(chunk_filled_);
  return scratch_;
}

void ExchangeClient::handle_received(Instant now, std::size_t size) {
  if (is_failed_ || size == 0) return;
  if (!chunk_) return handle_bytes(now, BytesView(scratch_).first(size));
  note_bytes(now, size);
  add_chunk_bytes(now, size);
}

void ExchangeClient::handle_bytes(Instant now, BytesView bytes) {
  if (is_failed_ || bytes.empty()) return;
  note_bytes(now, bytes.size());
  while (!bytes.empty() && !is_failed_) {
    if (chunk_) {
      const MutableBytes space = receive_space();
      const std::size_t size = std::min(space.size(), bytes.size());
      std::copy_n(bytes.begin(), size, space.begin());
      bytes = bytes.subspan(size);
      add_chunk_bytes(now, size);
    } else {
      bytes = bytes.subspan(consume(bytes));
    }
  }
}

void ExchangeClient::note_bytes(Instant now, std::size_t size) {
  last_byte_ = now;
  status_.bytes_received += size;
}

// Takes bytes up to the end of one message; returns how many.
std::size_t ExchangeClient::consume(BytesView bytes) {
  if (requests_.empty()) {
    fail_with(Error(Errc::protocol_violation, "an answer that nobody asked for"));
    return bytes.size();
  }
  const Result<std::size_t> taken = frames_.feed(bytes);
  if (!taken) {
    fail_with(taken.error());
    return bytes.size();
  }
  if (const std::optional<Bytes> frame = frames_.take_frame()) {
    if (const Result<void> handled = handle_frame(*frame); !handled) fail_with(handled.error());
  }
  return *taken;
}

Result<void> ExchangeClient::handle_frame(BytesView frame) {
  DIG_TRY(StoreResponse response, decode_store_response(frame));
  if (response.status != StoreStatus::ok) {
    handle_refusal(response.status);
    return {};
  }
  const Kind kind = requests_.front().kind;
  if (auto* have = std::get_if<HaveResponse>(&response.body); have != nullptr && kind == Kind::have) {
    return handle_have(std::move(*have));
  }
  if (auto* manifest = std::get_if<ManifestResponse>(&response.body); manifest != nullptr && kind == Kind::manifest) {
    return handle_manifest(*manifest);
  }
  if (auto* chunk = std::get_if<ChunkHeader>(&response.body); chunk != nullptr && kind == Kind::chunks) {
    return handle_chunk_header(std::move(*chunk));
  }
  return violation("an answer of another kind than the request");
}

Result<void> ExchangeClient::handle_have(HaveResponse have) {
  const Request& request = requests_.front();
  if (request.root && *request.root != have.root) return violation("an answer for another version of the store");
  const std::uint64_t chunks = store::chunk_count(have.size);
  if (!have.ranges.empty() && have.ranges.back().first + have.ranges.back().count > chunks) {
    return violation("a holder claims chunks that its store does not have");
  }
  events_.push_back(HaveReceived{request.id, std::move(have)});
  requests_.pop_front();
  return {};
}

Result<void> ExchangeClient::handle_manifest(const ManifestResponse& response) {
  DIG_TRY(SignedManifest manifest, SignedManifest::decode(response.signed_manifest));
  events_.push_back(ManifestReceived{requests_.front().id, std::move(manifest)});
  requests_.pop_front();
  return {};
}

// All that can be said of a chunk before its bytes are here: that it is the next one, and as long as it must be.
Result<void> ExchangeClient::handle_chunk_header(ChunkHeader header) {
  const Request& request = requests_.front();
  if (header.index != request.next) return violation("a chunk that was not asked for, or out of order");
  if (header.size != store::chunk_size_at(request.archive.size, header.index)) {
    return fail(Errc::chunk_mismatch, "a chunk of the wrong size");
  }
  if (header.proof.size() > longest_proof(store::chunk_count(request.archive.size))) {
    return fail(Errc::chunk_mismatch, "a proof longer than the tree is high");
  }
  chunk_ = ChunkReceived{request.id, header.index, pool_.take(header.size), std::move(header.proof)};
  chunk_filled_ = 0;
  return {};
}

void ExchangeClient::handle_refusal(StoreStatus status) {
  const Request& request = requests_.front();
  events_.push_back(RequestRefused{request.id, error_of(status), request.next, request.end - request.next});
  requests_.pop_front();
}

void ExchangeClient::add_chunk_bytes(Instant now, std::size_t size) {
  if (!status_.first_chunk_byte) status_.first_chunk_byte = now;
  chunk_filled_ += std::min(size, chunk_->data.size() - chunk_filled_);
  if (chunk_filled_ < chunk_->data.size()) return;
  events_.push_back(std::move(*chunk_));
  chunk_.reset();
  ++status_.chunks_received;
  Request& request = requests_.front();
  if (++request.next == request.end) requests_.pop_front();
}

void ExchangeClient::handle_eof(Instant /*now*/) {
  if (is_failed_) return;
  const bool is_cut = chunk_ || !frames_.is_idle();
  fail_with(Error(Errc::stream_closed,
                  is_cut ? "the holder ended the stream inside an answer" : "the holder ended the stream"));
}

void ExchangeClient::fail_with(Error error) {
  is_failed_ = true;
  if (chunk_) pool_.give(std::move(chunk_->data));
  chunk_.reset();
  requests_.clear();
  output_ = {};
  output_sent_ = 0;
  events_.push_back(ClientFailed{std::move(error)});
}

std::optional<ClientEvent> ExchangeClient::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

// --- time --------------------------------------------------------------------------------------------------------

std::optional<Instant> ExchangeClient::next_timeout() const {
  if (is_failed_ || requests_.empty()) return std::nullopt;
  return last_byte_ + limits_.silence;
}

void ExchangeClient::handle_timeout(Instant now) {
  const std::optional<Instant> deadline = next_timeout();
  if (deadline && now >= *deadline) fail_with(Error(Errc::peer_silent, "the holder sends nothing"));
}

ClientStatus ExchangeClient::snapshot() const {
  ClientStatus status = status_;
  status.requests_outstanding = requests_.size();
  status.is_failed = is_failed_;
  return status;
}

}  // namespace dig::exchange
