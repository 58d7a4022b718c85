// SPDX-License-Identifier: Apache-2.0
// What the node core asks of its shell, and what it tells the API. The shell drains these after every input.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "dignet/events.hpp"
#include "node/ids.hpp"
#include "proto/connection/connection.hpp"
#include "proto/directory/client.hpp"
#include "proto/directory/journal.hpp"
#include "store/chunk_set.hpp"
#include "wire/hash256.hpp"
#include "wire/manifest.hpp"
#include "wire/multiaddr.hpp"
#include "wire/turn_credential_message.hpp"

namespace dig::node {

// --- requests to the shell: transports -----------------------------------------------------------------------------
struct DialTcp {  // answered by handle_dialled or handle_dial_failed
  DialId dial;
  Endpoint remote;
  // What the shell puts around the bytes, and for that what Multiaddr::StreamTarget says.
  Multiaddr::Carrier carrier = Multiaddr::Carrier::plain;
  std::string tls_name{};
  std::string http_host{};
  PeerId peer{};  // who is expected there
  // Otherwise from the listening port where that can be, which helps both ends to be found behind NATs.
  bool is_from_fresh_port = false;
};
struct CancelDial {
  DialId dial;
};
struct ResolveName {  // answered by handle_resolved
  ResolveId resolve;
  std::string name;
  std::optional<IpFamily> family;  // absent: both
};
struct Flush {  // this connection has bytes to send
  ConnectionId connection;
};
struct CloseConnection {
  ConnectionId connection;
  bool is_graceful = true;  // false: abort
};

// --- requests to the shell: disk, answered by handle_disk
// -------------------------------------------------------------
struct FindStore {
  StoreId store;
  std::optional<RootHash> root;  // absent: the newest version
};
struct ReadChunk {
  StoreId store;
  RootHash root;
  std::uint64_t index = 0;
  Bytes buffer;  // of the chunk's size at most; comes back filled
};
struct OpenPartial {
  SignedManifest manifest;
  bool wants_sha256 = false;  // of the whole archive, once it is complete
};
struct WriteChunk {  // verify against the root, then write
  PartialId partial;
  std::uint64_t index = 0;
  Bytes data;
  std::vector<Hash256> proof;
};
struct DiskRequest {
  DiskRequestId id;
  std::variant<FindStore, ReadChunk, OpenPartial, WriteChunk> request;
};

// --- requests to the shell: the directory, answered by handle_persisted ---------------------------------------------
struct PersistDirectory {  // all of it durably, or nothing
  directory::PersistToken token;
  std::vector<store::DirectoryChange> changes;
};

// --- requests to the shell: the TURN server ------------------------------------------------------------------------
struct ServeTurn {  // new allocations are named under these addresses
  std::optional<IpAddress> relay_v4;
  std::optional<IpAddress> relay_v6;
  friend bool operator==(const ServeTurn&, const ServeTurn&) = default;
};

// --- requests to the shell: UDP probes ------------------------------------------------------------------------------
struct OpenUdpProbe {  // a relay port as a client would have it; answered by handle_udp_probe_listening(), later
  UdpProbeId id;
  IpAddress reached;  // where others reach this node
};
struct CloseUdpProbe {
  UdpProbeId id;
};
struct SendUdpProbe {  // one datagram, from a fresh port; answered by handle_udp_probe_sent(), later
  UdpSendId id;
  Endpoint to;
  Bytes datagram;
};

// What this node publishes was signed with this sequence number, and the next life must begin behind it.
struct SequenceUsed {
  std::uint64_t sequence = 0;
};

struct FoundStore {
  RootHash root;
  std::uint64_t size = 0;
  SignedManifest manifest;
};
struct ChunkRead {
  Bytes data;
  std::vector<Hash256> proof;
};
struct PartialOpened {
  PartialId partial;
  store::ChunkSet have;
};
struct ChunkWritten {
  Bytes buffer;  // to be used again
  Result<void> result;
};
using DiskAnswer = std::variant<FoundStore, ChunkRead, PartialOpened, ChunkWritten>;

// --- facts for the API
// --------------------------------------------------------------------------------------------------
struct NodeFact {
  dignet::NodeEvent event;
};
struct AttemptsCompleted {
  OperationId operation;
  std::vector<dignet::Attempt> attempts;
};
struct PathChosen {
  OperationId operation;
  dignet::PathEvent path;
};
struct ConnectSuccess {
  ConnectionId connection;
  dignet::PathEvent path;
};
struct ConnectEnded {
  OperationId operation;
  Result<ConnectSuccess> result;
  std::vector<dignet::Attempt> attempts;
};
struct PingEnded {
  OperationId operation;
  Result<Duration> rtt;
};
struct FetchProgressed {
  OperationId operation;
  dignet::ProgressEvent progress;
};
// Everything wanted so far is on disk: answer with want_chunks() or finish_fetch().
struct FetchWantedComplete {
  OperationId operation;
  PartialId partial;
};
struct FetchSummary {
  PartialId partial;
  Manifest manifest;
  std::uint64_t fetched_bytes = 0;
  std::uint64_t reused_bytes = 0;
  std::uint64_t window_bytes = 0;
  std::optional<Instant> first_chunk;
  PeerId best_holder;  // gave the most
  std::string path;    // to it
};
struct FetchEnded {
  OperationId operation;
  Result<FetchSummary> result;
  std::optional<PartialId> partial;  // open, whatever the result: the shell closes it
  std::vector<dignet::Attempt> attempts;
};
// Holders of a store, as each of them signed it; may come several times.
struct HoldersFound {
  OperationId operation;
  std::vector<directory::VerifiedRecord> records;
  std::vector<Error> errors;  // of bootstrap servers, with the last
  bool is_last = false;
};
struct TurnCredentialsEnded {  // answers ask_turn_credentials()
  OperationId operation;
  Result<TurnCredentials> result;
};
struct AppStreamOpened {  // answers open_stream()
  OperationId operation;
  ConnectionId connection;
  PeerId peer;
  Result<StreamId> result;
};
struct AppStreamAccepted {
  ConnectionId connection;
  StreamId stream;
  std::string protocol;
  PeerId peer;
};
struct AppRead {
  ConnectionId connection;
  StreamId stream;
  Result<void> result;
  Bytes bytes;
  bool is_end = false;
};
struct AppWritten {
  ConnectionId connection;
  StreamId stream;
  Result<void> result;
};

using NodeOutput =
    std::variant<DialTcp, CancelDial, ResolveName, Flush, CloseConnection, DiskRequest, PersistDirectory, SequenceUsed,
                 ServeTurn, OpenUdpProbe, CloseUdpProbe, SendUdpProbe, NodeFact, AttemptsCompleted, PathChosen,
                 ConnectEnded, PingEnded, FetchProgressed, FetchWantedComplete, FetchEnded, HoldersFound,
                 TurnCredentialsEnded, AppStreamOpened, AppStreamAccepted, AppRead, AppWritten>;

// Where the parts of the core put what is to be done and told.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual void put(NodeOutput output) = 0;
};

}  // namespace dig::node
