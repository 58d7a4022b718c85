// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/client.hpp"

#include <algorithm>
#include <utility>

#include "wire/signed_statement.hpp"
#include "wire/store_announcement.hpp"

namespace dig::directory {

static_assert(StreamMachine<DirectoryClient>);

namespace {

std::unexpected<Error> lie(std::string_view what) { return fail(Errc::directory_lied, what); }

// Whatever is wrong with what a server passes on as signed: it need not have passed it on.
template <class T>
Result<T> or_lie(Result<T> result) {
  if (!result) return lie(result.error().message());
  return result;
}

bool is_look_up(const DirectoryRequest& request) {
  return !std::holds_alternative<RegisterRequest>(request) && !std::holds_alternative<RemoveRequest>(request);
}

std::uint32_t limit_of(const DirectoryRequest& question) {
  if (const auto* holders = std::get_if<FindHoldersRequest>(&question)) return holders->limit;
  if (const auto* roles = std::get_if<FindRolesRequest>(&question)) return roles->limit;
  return 1;
}

// The page must be the holder's own, name the store, and be one that its record counts.
Result<void> check_holder(const StoreId& store, const NodeRecord& record, const Bytes& announcement) {
  if (announcement.empty()) return lie("a holder without an announcement");
  DIG_TRY(const SignedEnvelope envelope, or_lie(SignedEnvelope::decode(announcement)));
  DIG_TRY(const StoreAnnouncement page, or_lie(read_statement<StoreAnnouncement>(envelope)));
  if (page.peer != record.peer) return lie("an announcement of another peer");
  if (!page.has(store)) return lie("a holder that has not announced the store");
  if (page.page >= record.pages) return lie("an announcement that its holder no longer counts");
  return {};
}

Result<void> check_answers(const DirectoryRequest& question, const NodeRecord& record, const FoundRecord& found) {
  if (const auto* holders = std::get_if<FindHoldersRequest>(&question)) {
    return check_holder(holders->store, record, found.announcement);
  }
  if (const auto* roles = std::get_if<FindRolesRequest>(&question); roles != nullptr) {
    if (!record.roles.has_all(roles->roles)) return lie("a peer without the roles that were asked for");
  }
  if (const auto* peer = std::get_if<FindPeerRequest>(&question); peer != nullptr) {
    if (record.peer != peer->peer) return lie("another peer than was asked for");
  }
  return {};
}

}  // namespace

DirectoryClient::DirectoryClient(Instant now, Limits limits)
    : limits_(limits), frames_(k_max_directory_message), last_byte_(now) {}

// --- requests ----------------------------------------------------------------------------------------------------

Result<DirectoryRequestId> DirectoryClient::register_envelopes(Instant now, std::vector<Bytes> envelopes) {
  return send(now, RegisterRequest{std::move(envelopes)});
}

Result<DirectoryRequestId> DirectoryClient::remove(Instant now, Bytes envelope) {
  return send(now, RemoveRequest{std::move(envelope)});
}

Result<DirectoryRequestId> DirectoryClient::find_holders(Instant now, const StoreId& store,
                                                         const std::optional<DirectoryCursor>& cursor,
                                                         std::uint32_t limit) {
  return send(now, FindHoldersRequest{store, cursor, limit});
}

Result<DirectoryRequestId> DirectoryClient::find_roles(Instant now, NodeRoles roles,
                                                       const std::optional<DirectoryCursor>& cursor,
                                                       std::uint32_t limit) {
  return send(now, FindRolesRequest{roles, cursor, limit});
}

Result<DirectoryRequestId> DirectoryClient::find_peer(Instant now, const PeerId& peer) {
  return send(now, FindPeerRequest{peer});
}

Result<DirectoryRequestId> DirectoryClient::send(Instant now, DirectoryRequest message) {
  if (is_failed_) return fail(Errc::stream_closed);
  if (requests_.size() >= limits_.max_requests) return fail(Errc::limit_reached, "too many requests on one stream");
  const Bytes encoded = encode_directory_request(message);
  if (encoded.size() > k_max_directory_message) return fail(Errc::oversized, "a request to the directory");
  Bytes framed;
  append_frame(framed, encoded);
  output_.append(framed);
  if (requests_.empty()) last_byte_ = now;
  if (!is_look_up(message)) message = RemoveRequest();
  requests_.push_back({{next_id_++}, std::move(message)});
  return requests_.back().id;
}

std::size_t DirectoryClient::poll_bytes(Instant /*now*/, MutableBytes out) {
  const std::size_t size = output_.pop(out);
  if (output_.empty()) output_.clear();
  return size;
}

// --- answers -----------------------------------------------------------------------------------------------------

void DirectoryClient::handle_bytes(Instant now, BytesView bytes) {
  if (!bytes.empty()) last_byte_ = now;
  while (!is_failed_ && !bytes.empty()) {
    if (requests_.empty()) return fail_with(Error(Errc::protocol_violation, "an answer that nobody asked for"));
    const Result<std::size_t> taken = frames_.feed(bytes);
    if (!taken) return fail_with(taken.error());
    bytes = bytes.subspan(*taken);
    const std::optional<Bytes> frame = frames_.take_frame();
    if (!frame) continue;
    if (const Result<void> handled = handle_frame(*frame); !handled) fail_with(handled.error());
  }
}

Result<void> DirectoryClient::handle_frame(BytesView frame) {
  DIG_TRY(const DirectoryResponse response, decode_directory_response(frame));
  const Request request = std::move(requests_.front());
  requests_.pop_front();
  if (response.status != DirectoryStatus::ok) {
    events_.push_back(RequestRefused{request.id, directory_error_of(response.status)});
    return {};
  }
  const bool is_about_records = is_look_up(request.message);
  if (const auto* registered = std::get_if<Registered>(&response.body); registered != nullptr && !is_about_records) {
    events_.push_back(RegistrationDone{request.id, *registered});
    return {};
  }
  if (const auto* found = std::get_if<FoundRecords>(&response.body); found != nullptr && is_about_records) {
    DIG_TRY(std::vector<VerifiedRecord> records, verify(request.message, *found));
    events_.push_back(RecordsFound{request.id, std::move(records), found->cursor});
    return {};
  }
  return fail(Errc::protocol_violation, "an answer of another kind than the request");
}

Result<std::vector<VerifiedRecord>> DirectoryClient::verify(const DirectoryRequest& question,
                                                            const FoundRecords& found) {
  if (found.records.size() > limit_of(question)) return lie("more records than were asked for");
  // A listing without an end would keep its reader asking.
  if (found.cursor && found.records.empty()) return lie("an empty page that is not the last");
  std::vector<VerifiedRecord> records;
  for (const FoundRecord& each : found.records) {
    DIG_TRY(const SignedEnvelope envelope, or_lie(SignedEnvelope::decode(each.record)));
    DIG_TRY(NodeRecord record, or_lie(read_statement<NodeRecord>(envelope)));
    DIG_CHECK(check_answers(question, record, each));
    const bool is_repeated =
        std::ranges::any_of(records, [&](const VerifiedRecord& earlier) { return earlier.record.peer == record.peer; });
    if (is_repeated) return lie("the same peer twice");
    ++records_verified_;
    records.push_back({std::move(record), each.record});
  }
  return records;
}

void DirectoryClient::handle_eof(Instant /*now*/) {
  if (!is_failed_) fail_with(Error(Errc::stream_closed, "the bootstrap server ended the stream"));
}

void DirectoryClient::fail_with(Error error) {
  is_failed_ = true;
  requests_.clear();
  output_.clear();
  events_.push_back(ClientFailed{std::move(error)});
}

std::optional<ClientEvent> DirectoryClient::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

// --- time --------------------------------------------------------------------------------------------------------

std::optional<Instant> DirectoryClient::next_timeout() const {
  if (is_failed_ || requests_.empty()) return std::nullopt;
  return last_byte_ + limits_.silence;
}

void DirectoryClient::handle_timeout(Instant now) {
  const std::optional<Instant> deadline = next_timeout();
  if (deadline && now >= *deadline) fail_with(Error(Errc::peer_silent, "the bootstrap server does not answer"));
}

ClientStatus DirectoryClient::snapshot() const {
  return {.requests_outstanding = requests_.size(), .records_verified = records_verified_, .is_failed = is_failed_};
}

}  // namespace dig::directory
