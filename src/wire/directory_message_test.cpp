// SPDX-License-Identifier: Apache-2.0
#include "wire/directory_message.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "directory.pb.h"
#include "wire/identity.hpp"
#include "wire/protobuf.hpp"
#include "wire/signed_envelope.hpp"
#include "wire/store_announcement.hpp"

namespace dig {
namespace {

PeerId a_peer() {
  SeededRng rng(1);
  return Identity::generate(rng).peer_id();
}
const StoreId k_store{{std::byte{7}}};

Errc refusal(const pb::DirectoryRequest& message) {
  const auto request = decode_directory_request(serialise_protobuf(message));
  EXPECT_FALSE(request);
  return request ? Errc::internal : request.error().code();
}
Errc refusal(const pb::DirectoryResponse& message) {
  const auto response = decode_directory_response(serialise_protobuf(message));
  EXPECT_FALSE(response);
  return response ? Errc::internal : response.error().code();
}

TEST(DirectoryMessage, RequestsSurviveEncoding) {
  const std::vector<DirectoryRequest> all = {
      RegisterRequest{{to_bytes("a"), to_bytes("b")}},
      RemoveRequest{to_bytes("c")},
      FindHoldersRequest{k_store, std::nullopt, 1},
      FindHoldersRequest{k_store, DirectoryCursor{0x0102030405060708, 9}, 64},
      FindPeerRequest{a_peer()},
      FindRolesRequest{{5}, DirectoryCursor{UINT64_MAX, 0}, 3},
  };
  for (const DirectoryRequest& request : all) {
    const auto again = decode_directory_request(encode_directory_request(request));
    ASSERT_TRUE(again) << request.index();
    EXPECT_EQ(*again, request) << request.index();
  }
}

TEST(DirectoryMessage, ResponsesSurviveEncoding) {
  const std::vector<DirectoryResponse> all = {
      {DirectoryStatus::ok, Registered{std::chrono::hours(2), true}},
      {DirectoryStatus::ok, Registered{}},
      {DirectoryStatus::ok, FoundRecords{}},
      {DirectoryStatus::ok, FoundRecords{{{to_bytes("r"), {}}, {to_bytes("r"), to_bytes("a")}}, DirectoryCursor{1, 2}}},
      {DirectoryStatus::full, {}},
      {DirectoryStatus::oversized, {}},
  };
  for (const DirectoryResponse& response : all) {
    const auto again = decode_directory_response(encode_directory_response(response));
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, response);
  }
}

TEST(DirectoryMessage, ALimitIsAtMostAPage) {
  pb::DirectoryRequest message;
  message.mutable_find_holders()->set_store_id(to_field(k_store.bytes));
  for (const auto& [asked, given] :
       {std::pair(0u, 64u), std::pair(65u, 64u), std::pair(UINT32_MAX, 64u), std::pair(9u, 9u)}) {
    message.mutable_find_holders()->set_limit(asked);
    const auto request = decode_directory_request(serialise_protobuf(message));
    ASSERT_TRUE(request);
    EXPECT_EQ(std::get<FindHoldersRequest>(*request).limit, given);
  }
}

TEST(DirectoryMessage, RequestsHaveBounds) {
  pb::DirectoryRequest message;
  EXPECT_EQ(refusal(message), Errc::unsupported);
  message.mutable_register_();
  EXPECT_EQ(refusal(message), Errc::malformed);
  message.mutable_register_()->add_envelopes("");
  EXPECT_EQ(refusal(message), Errc::malformed);
  message.mutable_register_()->set_envelopes(0, std::string(SignedEnvelope::max_encoded_size + 1, 'x'));
  EXPECT_EQ(refusal(message), Errc::oversized);
  message.mutable_register_()->clear_envelopes();
  for (std::size_t i = 0; i <= k_max_registered_envelopes; ++i) message.mutable_register_()->add_envelopes("x");
  EXPECT_EQ(refusal(message), Errc::oversized);
  message.mutable_remove();
  EXPECT_EQ(refusal(message), Errc::malformed);
  message.mutable_find_holders()->set_store_id("short");
  EXPECT_EQ(refusal(message), Errc::malformed);
  message.mutable_find_holders()->set_store_id(to_field(k_store.bytes));
  message.mutable_find_holders()->set_cursor("short");
  EXPECT_EQ(refusal(message), Errc::malformed);
  message.mutable_find_peer()->set_peer_id("x");
  EXPECT_EQ(refusal(message), Errc::bad_peer_id);
  message.mutable_find_roles()->set_limit(3);
  EXPECT_EQ(refusal(message), Errc::malformed);
  EXPECT_EQ(decode_directory_request(Bytes(k_max_directory_message + 1)).error().code(), Errc::oversized);
}

TEST(DirectoryMessage, ResponsesHaveBounds) {
  pb::DirectoryResponse message;
  message.mutable_registered();
  EXPECT_EQ(refusal(message), Errc::malformed) << "no status";
  message.set_status(pb::DirectoryResponse::OK);
  message.mutable_registered()->set_expires_in(7201);
  EXPECT_EQ(refusal(message), Errc::malformed);
  message.clear_kind();
  EXPECT_EQ(refusal(message), Errc::malformed);
  message.mutable_found()->add_records();
  EXPECT_EQ(refusal(message), Errc::malformed) << "an empty envelope";
  for (std::size_t i = 0; i <= k_max_found_records; ++i) message.mutable_found()->add_records()->set_record("x");
  EXPECT_EQ(refusal(message), Errc::oversized);
  message.mutable_found()->clear_records();
  message.mutable_found()->set_cursor(std::string(17, 'x'));
  EXPECT_EQ(refusal(message), Errc::malformed);
  // An unknown status is not OK.
  EXPECT_EQ(decode_directory_response(from_hex("08631200").value()).error().code(), Errc::malformed);
}

// What a server fills a page by is never less than what the message takes.
TEST(DirectoryMessage, TheOverheadOfAPageIsWhatItIsTakenFor) {
  FoundRecords found;
  found.cursor = DirectoryCursor{UINT64_MAX, UINT64_MAX};
  std::size_t expected = k_directory_message_overhead;
  for (std::size_t i = 0; i < k_max_found_records; ++i) {
    found.records.push_back({Bytes(3'900), Bytes(i == 0 ? 10'000 : 60)});
    expected += k_found_record_overhead + found.records.back().record.size() + found.records.back().announcement.size();
  }
  const std::size_t size = encode_directory_response({DirectoryStatus::ok, found}).size();
  EXPECT_LE(size, expected);
  EXPECT_GT(size + k_max_found_records * k_found_record_overhead, expected - k_directory_message_overhead);
}

}  // namespace
}  // namespace dig
