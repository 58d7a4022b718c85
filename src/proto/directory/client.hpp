// SPDX-License-Identifier: Apache-2.0
// The asking side of /dignet/directory/1.0.0 on one stream. Nothing that a server says about a peer is handed on unless
// that peer signed it and it answers the question: a server that swaps keys, answers with strangers or makes up holders
// ends the stream as DN-DIR-006, and nothing of that answer is used.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/byte_fifo.hpp"
#include "base/frame_reader.hpp"
#include "base/machine.hpp"
#include "base/result.hpp"
#include "base/strong_id.hpp"
#include "wire/directory_message.hpp"
#include "wire/node_record.hpp"

namespace dig::directory {

using DirectoryRequestId = StrongId<struct DirectoryRequestIdTag>;

// Signed by the peer that it describes.
struct VerifiedRecord {
  NodeRecord record;
  Bytes envelope;  // to be kept, or handed to somebody who wants to check it too
  friend bool operator==(const VerifiedRecord&, const VerifiedRecord&) = default;
};

struct RegistrationDone {
  DirectoryRequestId request;
  Registered registered;
};
struct RecordsFound {
  DirectoryRequestId request;
  std::vector<VerifiedRecord> records;    // all of other peers
  std::optional<DirectoryCursor> cursor;  // absent: there are no more
};
// The server refused the request, by the code that it gave as the reason.
struct RequestRefused {
  DirectoryRequestId request;
  Error error;
};
// Always the last event: reset the stream.
struct ClientFailed {
  Error error;
};
using ClientEvent = std::variant<RegistrationDone, RecordsFound, RequestRefused, ClientFailed>;

struct ClientStatus {
  std::size_t requests_outstanding = 0;
  std::uint64_t records_verified = 0;
  bool is_failed = false;
};

class DirectoryClient {
 public:
  using Event = ClientEvent;
  struct Limits {
    std::size_t max_requests = 8;  // outstanding on this stream; as many as a server is sure to queue
    Duration silence = 10s;        // without a byte while requests are outstanding
  };

  DirectoryClient(Instant now, Limits limits);
  explicit DirectoryClient(Instant now) : DirectoryClient(now, Limits{}) {}

  // Fail with limit_reached when too many requests are outstanding, stream_closed after ClientFailed, oversized when
  // the envelopes do not fit one request.
  [[nodiscard]] Result<DirectoryRequestId> register_envelopes(Instant now, std::vector<Bytes> envelopes);
  [[nodiscard]] Result<DirectoryRequestId> remove(Instant now, Bytes envelope);
  [[nodiscard]] Result<DirectoryRequestId> find_holders(Instant now, const StoreId& store,
                                                        const std::optional<DirectoryCursor>& cursor,
                                                        std::uint32_t limit);
  [[nodiscard]] Result<DirectoryRequestId> find_roles(Instant now, NodeRoles roles,
                                                      const std::optional<DirectoryCursor>& cursor,
                                                      std::uint32_t limit);
  [[nodiscard]] Result<DirectoryRequestId> find_peer(Instant now, const PeerId& peer);

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] bool wants_bytes() const { return !is_failed_; }

  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] ClientStatus snapshot() const;

 private:
  struct Request {
    DirectoryRequestId id;
    DirectoryRequest message;  // look-ups; what is registered is not kept
  };

  [[nodiscard]] Result<DirectoryRequestId> send(Instant now, DirectoryRequest message);
  [[nodiscard]] Result<void> handle_frame(BytesView frame);
  [[nodiscard]] Result<std::vector<VerifiedRecord>> verify(const DirectoryRequest& question, const FoundRecords& found);
  void fail_with(Error error);

  Limits limits_;
  FrameReader frames_;
  std::deque<Request> requests_;
  ByteFifo output_;
  std::deque<Event> events_;
  std::uint64_t next_id_ = 0;
  Instant last_byte_;
  bool is_failed_ = false;
  std::uint64_t records_verified_ = 0;
};

}  // namespace dig::directory
