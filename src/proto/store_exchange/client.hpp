// SPDX-License-Identifier: Apache-2.0
// The fetching side of /dignet/store/1.0.0 on one stream: writes requests, checks that each answer is one that was
// asked for, in order and of the right size, and hands chunks on in the very buffer they were received into. It does
// not know whether a chunk's content is right: that is for whoever has the root hash and the time to hash (see Fetch).
//
// Bulk data arrives without a copy in here: read the stream into receive_space(), then call handle_received().
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "base/frame_reader.hpp"
#include "base/machine.hpp"
#include "base/result.hpp"
#include "base/strong_id.hpp"
#include "proto/store_exchange/buffer_pool.hpp"
#include "wire/hash256.hpp"
#include "wire/manifest.hpp"
#include "wire/store_message.hpp"

namespace dig::exchange {

using RequestId = StrongId<struct RequestIdTag>;

struct HaveReceived {
  RequestId request;
  HaveResponse have;
};
struct ManifestReceived {
  RequestId request;
  SignedManifest manifest;  // its signature is not checked yet
};
struct ChunkReceived {
  RequestId request;
  std::uint64_t index = 0;
  Bytes data;  // give it back to the pool when done
  std::vector<Hash256> proof;
};
// The holder answered with an error; the request is over. NOT_FOUND is store_not_found, BUSY is limit_reached, anything
// else holder_refused. For a chunks request: the chunks [first, first + count) of it will not come.
struct RequestRefused {
  RequestId request;
  Error error;
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};
// Always the last event: reset the stream.
struct ClientFailed {
  Error error;
};
using ClientEvent = std::variant<HaveReceived, ManifestReceived, ChunkReceived, RequestRefused, ClientFailed>;

// Names the archive whose chunks are asked for.
struct ArchiveId {
  StoreId store;
  RootHash root;
  std::uint64_t size = 0;  // bytes; fixes the number of chunks and the size of the last one
};

struct ClientStatus {
  std::size_t requests_outstanding = 0;
  std::uint64_t chunks_received = 0;
  std::uint64_t bytes_received = 0;         // on the stream
  std::optional<Instant> first_chunk_byte;  // when the first byte of the first chunk came
  bool is_failed = false;
};

class ExchangeClient {
 public:
  using Event = ClientEvent;
  struct Limits {
    std::size_t max_requests = 16;  // outstanding on this stream; as many as a server is sure to queue
    Duration silence = 10s;         // without a byte while requests are outstanding
  };

  // `pool` must outlive the machine.
  ExchangeClient(Instant now, BufferPool& pool, Limits limits);
  ExchangeClient(Instant now, BufferPool& pool) : ExchangeClient(now, pool, Limits{}) {}

  // Fail with limit_reached when too many requests are outstanding, stream_closed after ClientFailed and
  // invalid_argument for a range that is empty, longer than a request may be or outside the archive.
  [[nodiscard]] Result<RequestId> request_have(Instant now, const StoreId& store, const std::optional<RootHash>& root);
  [[nodiscard]] Result<RequestId> request_manifest(Instant now, const StoreId& store,
                                                   const std::optional<RootHash>& root);
  [[nodiscard]] Result<RequestId> request_chunks(Instant now, const ArchiveId& archive, std::uint64_t first,
                                                 std::uint32_t count);
  [[nodiscard]] bool can_request() const { return !is_failed_ && requests_.size() < limits_.max_requests; }

  // Without a copy: where the next bytes of the stream belong, never empty while wants_bytes(); then how many came.
  [[nodiscard]] MutableBytes receive_space();
  void handle_received(Instant now, std::size_t size);
  // The same with a copy.
  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] bool wants_bytes() const { return !is_failed_; }

  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] ClientStatus snapshot() const;

 private:
  enum class Kind : std::uint8_t { have, manifest, chunks };
  struct Request {
    RequestId id;
    Kind kind = Kind::have;
    std::optional<RootHash> root;  // asked for by this root
    ArchiveId archive;             // chunks only
    std::uint64_t next = 0;
    std::uint64_t end = 0;
  };

  [[nodiscard]] Result<RequestId> send(Instant now, Request request, const StoreRequest& message);
  [[nodiscard]] std::size_t consume(BytesView bytes);
  void note_bytes(Instant now, std::size_t size);
  [[nodiscard]] Result<void> handle_frame(BytesView frame);
  [[nodiscard]] Result<void> handle_have(HaveResponse have);
  [[nodiscard]] Result<void> handle_manifest(const ManifestResponse& response);
  [[nodiscard]] Result<void> handle_chunk_header(ChunkHeader header);
  void handle_refusal(StoreStatus status);
  void add_chunk_bytes(Instant now, std::size_t size);
  void fail_with(Error error);

  BufferPool& pool_;
  Limits limits_;
  FrameReader frames_;
  std::array<std::byte, 1024> scratch_{};  // headers are read here; small, so that little of a chunk is copied
  std::deque<Request> requests_;
  std::optional<ChunkReceived> chunk_;  // being received
  std::size_t chunk_filled_ = 0;
  Bytes output_;
  std::size_t output_sent_ = 0;
  std::deque<Event> events_;
  std::uint64_t next_id_ = 0;
  Instant last_byte_;
  bool is_failed_ = false;
  ClientStatus status_;
};

}  // namespace dig::exchange
