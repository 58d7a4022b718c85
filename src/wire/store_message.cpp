// SPDX-License-Identifier: Apache-2.0
#include "wire/store_message.hpp"

#include "store_exchange.pb.h"
#include "wire/manifest.hpp"
#include "wire/protobuf.hpp"

namespace dig {
namespace {

template <class Message>
Result<std::optional<RootHash>> optional_root(const Message& message) {
  if (!message.has_root()) return std::optional<RootHash>();
  DIG_TRY(const RootHash root, RootHash::from_bytes(as_bytes(message.root())));
  return std::optional(root);
}

Result<ChunksRequest> decode_chunks(const pb::ChunksRequest& message) {
  ChunksRequest request;
  DIG_TRY(request.store_id, StoreId::from_bytes(as_bytes(message.store_id())));
  DIG_TRY(request.root, RootHash::from_bytes(as_bytes(message.root())));
  request.first = message.first();
  request.count = message.count();
  if (request.count == 0 || request.count > k_max_chunks_per_request) {
    return fail(Errc::malformed, "an impossible number of chunks");
  }
  if (request.first > k_max_chunk_index - request.count) return fail(Errc::malformed, "an impossible chunk index");
  return request;
}

Result<HaveResponse> decode_have(const pb::HaveResponse& message) {
  HaveResponse have;
  DIG_TRY(have.root, RootHash::from_bytes(as_bytes(message.root())));
  have.size = message.size();
  if (!message.has_size() || have.size > k_max_archive_size) return fail(Errc::malformed, "an impossible store size");
  if (message.ranges_size() > static_cast<int>(k_max_have_ranges)) return fail(Errc::oversized, "too many ranges");
  std::uint64_t end = 0;
  for (const pb::ChunkRange& range : message.ranges()) {
    if (range.count() == 0 || range.first() < end) return fail(Errc::malformed, "chunk ranges that do not rise");
    if (range.first() > k_max_chunk_index || range.count() > k_max_chunk_index - range.first()) {
      return fail(Errc::malformed, "an impossible chunk index");
    }
    end = range.first() + range.count();
    have.ranges.push_back({range.first(), range.count()});
  }
  return have;
}

Result<ChunkHeader> decode_chunk(const pb::ChunkHeader& message) {
  if (!message.has_index() || !message.has_size()) return fail(Errc::malformed, "a chunk without index or size");
  if (message.index() >= k_max_chunk_index) return fail(Errc::malformed, "an impossible chunk index");
  if (message.size() > k_store_chunk_size) return fail(Errc::oversized, "a chunk longer than its limit");
  if (message.proof_size() > static_cast<int>(k_max_proof_hashes)) return fail(Errc::oversized, "a proof too long");
  ChunkHeader chunk{message.index(), message.size(), {}};
  chunk.proof.reserve(static_cast<std::size_t>(message.proof_size()));
  for (const std::string& sibling : message.proof()) {
    DIG_TRY(const Hash256 hash, Hash256::from_bytes(as_bytes(sibling)));
    chunk.proof.push_back(hash);
  }
  return chunk;
}

void fill(pb::StoreRequest& out, const HaveRequest& request) {
  out.mutable_have()->set_store_id(to_field(request.store_id.bytes));
  if (request.root) out.mutable_have()->set_root(to_field(request.root->bytes));
}
void fill(pb::StoreRequest& out, const ManifestRequest& request) {
  out.mutable_manifest()->set_store_id(to_field(request.store_id.bytes));
  if (request.root) out.mutable_manifest()->set_root(to_field(request.root->bytes));
}
void fill(pb::StoreRequest& out, const ChunksRequest& request) {
  pb::ChunksRequest& chunks = *out.mutable_chunks();
  chunks.set_store_id(to_field(request.store_id.bytes));
  chunks.set_root(to_field(request.root.bytes));
  chunks.set_first(request.first);
  chunks.set_count(request.count);
}

void fill(pb::StoreResponse&, std::monostate) {}
void fill(pb::StoreResponse& out, const HaveResponse& response) {
  pb::HaveResponse& have = *out.mutable_have();
  have.set_root(to_field(response.root.bytes));
  have.set_size(response.size);
  for (const ChunkRange& range : response.ranges) {
    pb::ChunkRange& added = *have.add_ranges();
    added.set_first(range.first);
    added.set_count(range.count);
  }
}
void fill(pb::StoreResponse& out, const ManifestResponse& response) {
  out.mutable_manifest()->set_signed_manifest(to_field(response.signed_manifest));
}
void fill(pb::StoreResponse& out, const ChunkHeader& response) {
  pb::ChunkHeader& chunk = *out.mutable_chunk();
  chunk.set_index(response.index);
  chunk.set_size(response.size);
  for (const Hash256& hash : response.proof) chunk.add_proof(to_field(hash.bytes));
}

}  // namespace

Result<StoreRequest> decode_store_request(BytesView bytes) {
  DIG_TRY(const pb::StoreRequest message, parse_protobuf<pb::StoreRequest>(bytes, k_max_store_request));
  switch (message.kind_case()) {
    case pb::StoreRequest::kHave: {
      DIG_TRY(const StoreId store_id, StoreId::from_bytes(as_bytes(message.have().store_id())));
      DIG_TRY(const std::optional<RootHash> root, optional_root(message.have()));
      return HaveRequest{store_id, root};
    }
    case pb::StoreRequest::kManifest: {
      DIG_TRY(const StoreId store_id, StoreId::from_bytes(as_bytes(message.manifest().store_id())));
      DIG_TRY(const std::optional<RootHash> root, optional_root(message.manifest()));
      return ManifestRequest{store_id, root};
    }
    case pb::StoreRequest::kChunks: {
      DIG_TRY(const ChunksRequest chunks, decode_chunks(message.chunks()));
      return chunks;
    }
    case pb::StoreRequest::KIND_NOT_SET:
      break;
  }
  return fail(Errc::unsupported, "a store request of an unknown kind");
}

Result<StoreResponse> decode_store_response(BytesView bytes) {
  DIG_TRY(const pb::StoreResponse message, parse_protobuf<pb::StoreResponse>(bytes, k_max_store_response));
  // An unknown status reads as absent in proto2, and absent must not read as OK.
  if (!message.has_status()) return fail(Errc::malformed, "a store response without a known status");
  StoreResponse response{static_cast<StoreStatus>(message.status()), {}};
  if (response.status != StoreStatus::ok) return response;
  switch (message.kind_case()) {
    case pb::StoreResponse::kHave: {
      DIG_TRY(response.body, decode_have(message.have()));
      return response;
    }
    case pb::StoreResponse::kManifest:
      response.body = ManifestResponse{to_bytes(message.manifest().signed_manifest())};
      return response;
    case pb::StoreResponse::kChunk: {
      DIG_TRY(response.body, decode_chunk(message.chunk()));
      return response;
    }
    case pb::StoreResponse::KIND_NOT_SET:
      break;
  }
  return fail(Errc::malformed, "a store response without content");
}

Bytes encode_store_request(const StoreRequest& request) {
  pb::StoreRequest message;
  std::visit([&](const auto& kind) { fill(message, kind); }, request);
  return serialise_protobuf(message);
}

Bytes encode_store_response(const StoreResponse& response) {
  pb::StoreResponse message;
  message.set_status(static_cast<pb::StoreResponse::Status>(response.status));
  std::visit([&](const auto& body) { fill(message, body); }, response.body);
  return serialise_protobuf(message);
}

}  // namespace dig
