// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on both sides of the store exchange.
#include "base/testing/stream_machine_contract.hpp"
#include "proto/store_exchange/client.hpp"
#include "proto/store_exchange/server.hpp"
#include "store/merkle.hpp"

namespace dig::testing {
namespace {

using namespace dig::exchange;

constexpr std::uint64_t k_size = 2 * store::k_chunk_size + 77;  // the last of three chunks is small
const ArchiveId k_archive{.store = {{std::byte{1}}}, .root = {{std::byte{2}}}, .size = k_size};

template <class Message>
void append_message(Bytes& out, const Message& message) {
  if constexpr (std::is_same_v<Message, StoreResponse>) {
    append_frame(out, encode_store_response(message));
  } else {
    append_frame(out, encode_store_request(message));
  }
}

BufferPool& pool() {
  static BufferPool shared;
  return shared;
}

class ClientOwner {
 public:
  void handle(ExchangeClient&, Instant, const ClientEvent& event) {
    EXPECT_FALSE(has_failed_) << "ClientFailed is the last event";
    if (const auto* have = std::get_if<HaveReceived>(&event)) tell("have", have->request, have->have.size);
    if (const auto* manifest = std::get_if<ManifestReceived>(&event)) tell("manifest", manifest->request, 0);
    if (const auto* chunk = std::get_if<ChunkReceived>(&event)) tell_chunk(*chunk);
    if (const auto* refused = std::get_if<RequestRefused>(&event)) tell("refused", refused->request, refused->count);
    if (const auto* failed = std::get_if<ClientFailed>(&event)) {
      has_failed_ = true;
      story_ += failed->error.message();
    }
  }
  [[nodiscard]] std::string story() const { return story_; }

 private:
  void tell(std::string_view what, RequestId request, std::uint64_t number) {
    story_ += std::string(what) + " " + std::to_string(request.value) + " " + std::to_string(number) + "\n";
  }
  void tell_chunk(const ChunkReceived& chunk) {
    tell("chunk", chunk.request, chunk.index);
    story_ += as_text(chunk.data);
    EXPECT_EQ(chunk.data.size(), store::chunk_size_at(k_size, chunk.index));
  }

  std::string story_;
  bool has_failed_ = false;
};

struct ClientTraits {
  using Subject = ExchangeClient;
  using Owner = ClientOwner;
  static std::unique_ptr<ExchangeClient> make(Instant now) {
    auto client = std::make_unique<ExchangeClient>(now, pool());
    EXPECT_TRUE(client->request_have(now, k_archive.store, k_archive.root));
    EXPECT_TRUE(client->request_manifest(now, k_archive.store, std::nullopt));
    EXPECT_TRUE(client->request_chunks(now, k_archive, 2, 1));
    EXPECT_TRUE(client->request_chunks(now, k_archive, 0, 3));
    return client;
  }
  static std::vector<Bytes> inputs() { return {answers(), refusals()}; }
  static Bytes flood() { return {}; }

 private:
  static Bytes answers() {
    const Manifest manifest{.store_id = k_archive.store, .root = k_archive.root, .size = k_size};
    const SignedManifest unsigned_manifest{.manifest = manifest.encode(), .signature = {}};
    Bytes out;
    append_message(out, StoreResponse{.body = HaveResponse{k_archive.root, k_size, {{0, 3}}}});
    append_message(out, StoreResponse{.body = ManifestResponse{unsigned_manifest.encode()}});
    append_message(out, StoreResponse{.body = ChunkHeader{2, 77, std::vector<Hash256>(2)}});
    append(out, Bytes(77, std::byte{'x'}));
    append_message(out, StoreResponse{.status = StoreStatus::busy, .body = {}});
    return out;
  }
  static Bytes refusals() {
    Bytes out;
    for (const StoreStatus status : {StoreStatus::not_found, StoreStatus::busy, StoreStatus::malformed}) {
      append_message(out, StoreResponse{.status = status, .body = {}});
    }
    return out;
  }
};

// Has one store, and no chunk of it beyond the first eight.
class ServerOwner {
 public:
  void handle(ExchangeServer& server, Instant now, const ServerEvent& event) {
    EXPECT_FALSE(is_finished_) << "ServerFinished is the last event";
    if (const auto* have = std::get_if<WantHave>(&event)) {
      story_ += "have\n";
      server.answer_have(now, have->token, HaveResponse{k_archive.root, k_size, {{0, 1}}});
    } else if (const auto* manifest = std::get_if<WantManifest>(&event)) {
      story_ += "manifest\n";
      server.answer_manifest(now, manifest->token, to_bytes("signed"));
    } else if (const auto* chunk = std::get_if<WantChunk>(&event)) {
      story_ += "chunk " + std::to_string(chunk->index) + "\n";
      server.answer_chunk(now, chunk->token, chunk_of(chunk->index));
    } else if (const auto* finished = std::get_if<ServerFinished>(&event)) {
      is_finished_ = true;
      story_ += finished->error ? finished->error->message() : "finished";
    }
  }
  [[nodiscard]] std::string story() const { return story_; }

 private:
  static Result<ChunkData> chunk_of(std::uint64_t index) {
    if (index >= 8) return fail(Errc::store_not_found);
    return ChunkData{.data = Bytes(50, std::byte(index)), .proof = {Hash256{}}};
  }

  std::string story_;
  bool is_finished_ = false;
};

struct ServerTraits {
  using Subject = ExchangeServer;
  using Owner = ServerOwner;
  static std::unique_ptr<ExchangeServer> make(Instant now) { return std::make_unique<ExchangeServer>(now, pool()); }
  static std::vector<Bytes> inputs() {
    Bytes questions;
    append_message(questions, StoreRequest(HaveRequest{k_archive.store, std::nullopt}));
    append_message(questions, StoreRequest(ManifestRequest{k_archive.store, k_archive.root}));
    append_message(questions, StoreRequest(ChunksRequest{k_archive.store, k_archive.root, 2, 8}));
    append_message(questions, StoreRequest(HaveRequest{k_archive.store, k_archive.root}));
    return {questions, have_requests(1)};
  }
  static Bytes flood() { return have_requests(40); }

 private:
  static Bytes have_requests(int count) {
    Bytes out;
    for (int i = 0; i < count; ++i) append_message(out, StoreRequest(HaveRequest{k_archive.store, std::nullopt}));
    return out;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(ExchangeClient, StreamMachineContract, ClientTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(ExchangeServer, StreamMachineContract, ServerTraits);

}  // namespace
}  // namespace dig::testing
