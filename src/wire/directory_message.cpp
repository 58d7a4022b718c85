// SPDX-License-Identifier: Apache-2.0
#include "wire/directory_message.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "directory.pb.h"
#include "wire/protobuf.hpp"
#include "wire/signed_envelope.hpp"

namespace dig {
namespace {

template <class Message>
Result<std::optional<DirectoryCursor>> decode_cursor(const Message& message) {
  if (!message.has_cursor()) return std::optional<DirectoryCursor>();
  if (message.cursor().size() != DirectoryCursor::size) return fail(Errc::malformed, "an impossible cursor");
  ByteReader reader(as_bytes(message.cursor()));
  DIG_TRY(const std::uint64_t start, reader.u64());
  DIG_TRY(const std::uint64_t last, reader.u64());
  return std::optional(DirectoryCursor{start, last});
}

std::string cursor_field(const DirectoryCursor& cursor) {
  Bytes out;
  ByteWriter writer(out);
  writer.u64(cursor.start);
  writer.u64(cursor.last);
  return to_field(out);
}

// More than a page has is what a page has: a client that asks for everything gets what there is for it.
std::uint32_t decode_limit(std::uint32_t limit) {
  return limit == 0 || limit > k_max_found_records ? std::uint32_t{k_max_found_records} : limit;
}

Result<Bytes> decode_envelope(const std::string& field) {
  if (field.empty()) return fail(Errc::malformed, "an empty envelope");
  if (field.size() > SignedEnvelope::max_encoded_size)
    return fail(Errc::oversized, "an envelope longer than its limit");
  return to_bytes(field);
}

Result<DirectoryRequest> decode_register(const pb::RegisterRequest& message) {
  if (message.envelopes().empty()) return fail(Errc::malformed, "nothing to register");
  if (message.envelopes_size() > static_cast<int>(k_max_registered_envelopes)) {
    return fail(Errc::oversized, "too many envelopes in one request");
  }
  RegisterRequest request;
  for (const std::string& field : message.envelopes()) {
    DIG_TRY(Bytes envelope, decode_envelope(field));
    request.envelopes.push_back(std::move(envelope));
  }
  return request;
}

Result<DirectoryRequest> decode_find_holders(const pb::FindHoldersRequest& message) {
  DIG_TRY(const StoreId store, StoreId::from_bytes(as_bytes(message.store_id())));
  DIG_TRY(const std::optional<DirectoryCursor> cursor, decode_cursor(message));
  return FindHoldersRequest{store, cursor, decode_limit(message.limit())};
}

Result<DirectoryRequest> decode_find_roles(const pb::FindRolesRequest& message) {
  if (message.roles() == 0) return fail(Errc::malformed, "no role to look for");
  DIG_TRY(const std::optional<DirectoryCursor> cursor, decode_cursor(message));
  return FindRolesRequest{{message.roles()}, cursor, decode_limit(message.limit())};
}

Result<Registered> decode_registered(const pb::Registered& message) {
  const std::chrono::seconds expires_in(message.expires_in());
  if (expires_in > NodeRecord::max_lifetime) return fail(Errc::malformed, "an impossible lifetime");
  return Registered{expires_in, message.replicated()};
}

Result<FoundRecords> decode_found(const pb::FoundRecords& message) {
  if (message.records_size() > static_cast<int>(k_max_found_records)) {
    return fail(Errc::oversized, "too many records in one answer");
  }
  FoundRecords found;
  for (const pb::FoundRecord& record : message.records()) {
    FoundRecord added;
    DIG_TRY(added.record, decode_envelope(record.record()));
    if (record.has_announcement()) {
      DIG_TRY(added.announcement, decode_envelope(record.announcement()));
    }
    found.records.push_back(std::move(added));
  }
  DIG_TRY(found.cursor, decode_cursor(message));
  return found;
}

void fill(pb::DirectoryRequest& out, const RegisterRequest& request) {
  for (const Bytes& envelope : request.envelopes) out.mutable_register_()->add_envelopes(to_field(envelope));
}
void fill(pb::DirectoryRequest& out, const RemoveRequest& request) {
  out.mutable_remove()->set_envelope(to_field(request.envelope));
}
void fill(pb::DirectoryRequest& out, const FindHoldersRequest& request) {
  pb::FindHoldersRequest& find = *out.mutable_find_holders();
  find.set_store_id(to_field(request.store.bytes));
  if (request.cursor) find.set_cursor(cursor_field(*request.cursor));
  find.set_limit(request.limit);
}
void fill(pb::DirectoryRequest& out, const FindPeerRequest& request) {
  out.mutable_find_peer()->set_peer_id(to_field(request.peer.bytes()));
}
void fill(pb::DirectoryRequest& out, const FindRolesRequest& request) {
  pb::FindRolesRequest& find = *out.mutable_find_roles();
  find.set_roles(request.roles.bits);
  if (request.cursor) find.set_cursor(cursor_field(*request.cursor));
  find.set_limit(request.limit);
}

void fill(pb::DirectoryResponse&, std::monostate) {}
void fill(pb::DirectoryResponse& out, const Registered& registered) {
  out.mutable_registered()->set_expires_in(static_cast<std::uint32_t>(registered.expires_in.count()));
  out.mutable_registered()->set_replicated(registered.is_replicated);
}
void fill(pb::DirectoryResponse& out, const FoundRecords& found) {
  pb::FoundRecords& records = *out.mutable_found();
  for (const FoundRecord& record : found.records) {
    pb::FoundRecord& added = *records.add_records();
    added.set_record(to_field(record.record));
    if (!record.announcement.empty()) added.set_announcement(to_field(record.announcement));
  }
  if (found.cursor) records.set_cursor(cursor_field(*found.cursor));
}

}  // namespace

Result<DirectoryRequest> decode_directory_request(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::DirectoryRequest>(bytes, k_max_directory_message));
  switch (message.kind_case()) {
    case pb::DirectoryRequest::kRegister:
      return decode_register(message.register_());
    case pb::DirectoryRequest::kRemove: {
      DIG_TRY(Bytes envelope, decode_envelope(message.remove().envelope()));
      return RemoveRequest{std::move(envelope)};
    }
    case pb::DirectoryRequest::kFindHolders:
      return decode_find_holders(message.find_holders());
    case pb::DirectoryRequest::kFindPeer: {
      DIG_TRY(PeerId peer, PeerId::from_bytes(as_bytes(message.find_peer().peer_id())));
      return FindPeerRequest{std::move(peer)};
    }
    case pb::DirectoryRequest::kFindRoles:
      return decode_find_roles(message.find_roles());
    case pb::DirectoryRequest::KIND_NOT_SET:
      break;
  }
  return fail(Errc::unsupported, "a directory request of an unknown kind");
}

Result<DirectoryResponse> decode_directory_response(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::DirectoryResponse>(bytes, k_max_directory_message));
  // An unknown status reads as absent in proto2, and absent must not read as OK.
  if (!message.has_status()) return fail(Errc::malformed, "a directory response without a known status");
  DirectoryResponse response{static_cast<DirectoryStatus>(message.status()), {}};
  if (response.status != DirectoryStatus::ok) return response;
  switch (message.kind_case()) {
    case pb::DirectoryResponse::kRegistered: {
      DIG_TRY(response.body, decode_registered(message.registered()));
      return response;
    }
    case pb::DirectoryResponse::kFound: {
      DIG_TRY(response.body, decode_found(message.found()));
      return response;
    }
    case pb::DirectoryResponse::KIND_NOT_SET:
      break;
  }
  return fail(Errc::malformed, "a directory response without content");
}

Bytes encode_directory_request(const DirectoryRequest& request) {
  pb::DirectoryRequest message;
  std::visit([&](const auto& kind) { fill(message, kind); }, request);
  return serialise_protobuf(message);
}

Bytes encode_directory_response(const DirectoryResponse& response) {
  pb::DirectoryResponse message;
  message.set_status(static_cast<pb::DirectoryResponse::Status>(response.status));
  std::visit([&](const auto& body) { fill(message, body); }, response.body);
  return serialise_protobuf(message);
}

DirectoryStatus directory_status_of(Errc code) {
  switch (code) {
    case Errc::malformed:
    case Errc::unsupported:
    case Errc::bad_peer_id:
    case Errc::truncated:
      return DirectoryStatus::malformed;
    case Errc::limit_reached:
      return DirectoryStatus::busy;
    case Errc::record_from_future:
      return DirectoryStatus::from_future;
    case Errc::record_outdated:
      return DirectoryStatus::outdated;
    case Errc::record_of_another_peer:
      return DirectoryStatus::another_peer;
    case Errc::directory_full:
      return DirectoryStatus::full;
    case Errc::record_expired:
      return DirectoryStatus::expired;
    case Errc::bad_signature:
    case Errc::bad_public_key:
      return DirectoryStatus::bad_signature;
    case Errc::oversized:
      return DirectoryStatus::oversized;
    default:
      return DirectoryStatus::failed;
  }
}

Error directory_error_of(DirectoryStatus status) {
  constexpr std::string_view k_who = "says the bootstrap server";
  switch (status) {
    case DirectoryStatus::malformed:
      return Error(Errc::malformed, k_who);
    case DirectoryStatus::busy:
      return Error(Errc::limit_reached, k_who);
    case DirectoryStatus::from_future:
      return Error(Errc::record_from_future, k_who);
    case DirectoryStatus::outdated:
      return Error(Errc::record_outdated, k_who);
    case DirectoryStatus::another_peer:
      return Error(Errc::record_of_another_peer, k_who);
    case DirectoryStatus::full:
      return Error(Errc::directory_full, k_who);
    case DirectoryStatus::expired:
      return Error(Errc::record_expired, k_who);
    case DirectoryStatus::bad_signature:
      return Error(Errc::bad_signature, k_who);
    case DirectoryStatus::oversized:
      return Error(Errc::oversized, k_who);
    case DirectoryStatus::ok:
    case DirectoryStatus::failed:
      break;
  }
  return Error(Errc::directory_failed, k_who);
}

}  // namespace dig
