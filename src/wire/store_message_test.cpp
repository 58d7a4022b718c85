// SPDX-License-Identifier: Apache-2.0
#include "wire/store_message.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "store_exchange.pb.h"
#include "wire/manifest.hpp"
#include "wire/protobuf.hpp"

namespace dig {
namespace {

StoreId some_store() { return StoreId::from_hex(std::string(64, 'a')).value(); }
RootHash some_root() { return RootHash::from_hex(std::string(64, 'b')).value(); }

StoreResponse have_response(std::vector<ChunkRange> ranges) {
  return {StoreStatus::ok, HaveResponse{some_root(), 1 << 20, std::move(ranges)}};
}
StoreResponse chunk_response(std::uint32_t size, std::size_t proof) {
  return {StoreStatus::ok, ChunkHeader{3, size, std::vector<Hash256>(proof)}};
}

Errc request_error(const StoreRequest& request) {
  const auto decoded = decode_store_request(encode_store_request(request));
  EXPECT_FALSE(decoded);
  return decoded ? Errc::internal : decoded.error().code();
}
Errc response_error(const StoreResponse& response) {
  const auto decoded = decode_store_response(encode_store_response(response));
  EXPECT_FALSE(decoded);
  return decoded ? Errc::internal : decoded.error().code();
}

TEST(StoreRequest, RoundTripsEachKind) {
  const StoreRequest requests[] = {
      HaveRequest{some_store(), std::nullopt},
      HaveRequest{some_store(), some_root()},
      ManifestRequest{some_store(), std::nullopt},
      ManifestRequest{some_store(), some_root()},
      ChunksRequest{some_store(), some_root(), 0, 1},
      ChunksRequest{some_store(), some_root(), k_max_chunk_index - k_max_chunks_per_request, k_max_chunks_per_request}};
  for (const StoreRequest& request : requests) {
    EXPECT_EQ(decode_store_request(encode_store_request(request)).value(), request);
  }
}

TEST(StoreRequest, BoundsWhatAChunksRequestAsksFor) {
  const auto chunks = [](std::uint64_t first, std::uint32_t count) {
    return ChunksRequest{some_store(), some_root(), first, count};
  };
  EXPECT_EQ(request_error(chunks(0, 0)), Errc::malformed);
  EXPECT_EQ(request_error(chunks(0, k_max_chunks_per_request + 1)), Errc::malformed);
  EXPECT_EQ(request_error(chunks(0, 0xFFFFFFFF)), Errc::malformed);
  EXPECT_EQ(request_error(chunks(k_max_chunk_index, 1)), Errc::malformed);
  EXPECT_EQ(request_error(chunks(~0ULL, 1)), Errc::malformed);
}

TEST(StoreRequest, RefusesHashesOfOtherSizesOrNone) {
  pb::StoreRequest message;
  message.mutable_have();
  EXPECT_EQ(decode_store_request(serialise_protobuf(message)).error().code(), Errc::malformed);
  for (const std::size_t size : {0U, 31U, 33U, 64U}) {
    message.mutable_have()->set_store_id(std::string(size, 'x'));
    EXPECT_EQ(decode_store_request(serialise_protobuf(message)).error().code(), Errc::malformed);
  }
  message.mutable_manifest()->set_store_id(to_field(some_store().bytes));
  message.mutable_manifest()->set_root("");
  EXPECT_EQ(decode_store_request(serialise_protobuf(message)).error().code(), Errc::malformed);
  message.mutable_chunks()->set_store_id(to_field(some_store().bytes));
  message.mutable_chunks()->set_count(1);
  EXPECT_EQ(decode_store_request(serialise_protobuf(message)).error().code(), Errc::malformed) << "chunks need a root";
}

TEST(StoreRequest, RefusesUnknownKindsGarbageAndOversizedMessages) {
  EXPECT_EQ(decode_store_request({}).error().code(), Errc::unsupported);
  EXPECT_EQ(decode_store_request(to_bytes("\x22\x01x")).error().code(), Errc::unsupported);  // field 4
  EXPECT_EQ(decode_store_request(to_bytes("garbage")).error().code(), Errc::malformed);
  EXPECT_EQ(decode_store_request(Bytes(k_max_store_request + 1)).error().code(), Errc::oversized);
}

TEST(StoreRequest, SurvivesEveryCut) {
  const StoreRequest request = ChunksRequest{some_store(), some_root(), 5, 16};
  const Bytes encoded = encode_store_request(request);
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(decode_store_request(BytesView(encoded).first(size))) << size;
  }
}

TEST(StoreResponse, RoundTripsEachKind) {
  const StoreResponse responses[] = {have_response({}),
                                     have_response({{0, 3}, {3, 1}, {10, 5}}),
                                     {StoreStatus::ok, ManifestResponse{to_bytes("signed")}},
                                     chunk_response(0, 0),
                                     chunk_response(k_store_chunk_size, k_max_proof_hashes),
                                     {StoreStatus::not_found, {}},
                                     {StoreStatus::busy, {}},
                                     {StoreStatus::malformed, {}},
                                     {StoreStatus::failed, {}}};
  for (const StoreResponse& response : responses) {
    EXPECT_EQ(decode_store_response(encode_store_response(response)).value(), response);
  }
}

TEST(StoreResponse, CarriesNoBodyWithAnError) {
  StoreResponse response = have_response({{0, 1}});
  response.status = StoreStatus::busy;
  EXPECT_EQ(decode_store_response(encode_store_response(response)).value(), (StoreResponse{StoreStatus::busy, {}}));
}

TEST(StoreResponse, NeverTakesAMissingOrUnknownStatusForOk) {
  pb::StoreResponse message;
  message.mutable_manifest()->set_signed_manifest("x");
  EXPECT_EQ(decode_store_response(serialise_protobuf(message)).error().code(), Errc::malformed);
  Bytes unknown = serialise_protobuf(message);
  append(unknown, to_bytes("\x08\x63"));  // status 99
  EXPECT_EQ(decode_store_response(unknown).error().code(), Errc::malformed);
  EXPECT_EQ(response_error({StoreStatus::ok, {}}), Errc::malformed);
}

TEST(StoreResponse, RefusesRangesThatDoNotRise) {
  EXPECT_EQ(response_error(have_response({{0, 0}})), Errc::malformed);
  EXPECT_EQ(response_error(have_response({{5, 2}, {6, 2}})), Errc::malformed);
  EXPECT_EQ(response_error(have_response({{5, 2}, {0, 2}})), Errc::malformed);
  EXPECT_EQ(response_error(have_response({{1, ~0ULL}})), Errc::malformed);
  EXPECT_EQ(response_error(have_response({{~0ULL, 1}})), Errc::malformed);
}

TEST(StoreResponse, BoundsTheNumberOfRangesAndAlwaysFitsThatMany) {
  std::vector<ChunkRange> ranges;
  for (std::uint64_t i = 0; i < k_max_have_ranges; ++i) ranges.push_back({k_max_chunk_index - 2 * (600 - i), 1});
  const Bytes encoded = encode_store_response(have_response(ranges));
  EXPECT_LE(encoded.size(), k_max_store_response);
  EXPECT_TRUE(decode_store_response(encoded));
  ranges.push_back({k_max_chunk_index - 2, 1});
  EXPECT_EQ(response_error(have_response(ranges)), Errc::oversized);
}

TEST(StoreResponse, BoundsStoresChunksAndProofs) {
  EXPECT_EQ(response_error({StoreStatus::ok, HaveResponse{some_root(), k_max_archive_size + 1, {}}}), Errc::malformed);
  EXPECT_EQ(response_error(chunk_response(k_store_chunk_size + 1, 0)), Errc::oversized);
  EXPECT_EQ(response_error(chunk_response(1, k_max_proof_hashes + 1)), Errc::oversized);
  EXPECT_EQ(response_error({StoreStatus::ok, ChunkHeader{k_max_chunk_index, 1, {}}}), Errc::malformed);
}

TEST(StoreResponse, RefusesBrokenChunkHeaders) {
  const auto decode = [](const std::function<void(pb::ChunkHeader&)>& change) {
    pb::StoreResponse message;
    message.set_status(pb::StoreResponse::OK);
    message.mutable_chunk()->set_index(1);
    message.mutable_chunk()->set_size(1);
    change(*message.mutable_chunk());
    return decode_store_response(serialise_protobuf(message));
  };
  EXPECT_TRUE(decode([](pb::ChunkHeader&) {}));
  EXPECT_FALSE(decode([](pb::ChunkHeader& chunk) { chunk.clear_index(); }));
  EXPECT_FALSE(decode([](pb::ChunkHeader& chunk) { chunk.clear_size(); }));
  EXPECT_FALSE(decode([](pb::ChunkHeader& chunk) { chunk.add_proof(std::string(31, 'x')); }));
  EXPECT_FALSE(decode([](pb::ChunkHeader& chunk) { chunk.add_proof(""); }));
}

TEST(StoreResponse, RefusesBombsBeforeParsingThem) {
  // A million empty list entries would be 2 MB: the cap on the message stops them.
  EXPECT_EQ(decode_store_response(Bytes(k_max_store_response + 1)).error().code(), Errc::oversized);
  pb::StoreResponse message;
  message.set_status(pb::StoreResponse::OK);
  for (int i = 0; i < 8000; ++i) message.mutable_have()->add_ranges();
  message.mutable_have()->set_root(std::string(32, 'r'));
  message.mutable_have()->set_size(1);
  EXPECT_EQ(decode_store_response(serialise_protobuf(message)).error().code(), Errc::oversized);
}

}  // namespace
}  // namespace dig
