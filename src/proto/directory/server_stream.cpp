// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/server_stream.hpp"

#include <algorithm>
#include <utility>

namespace dig::directory {

static_assert(StreamMachine<DirectoryServerStream>);

namespace {

DirectoryResponse response_of(Result<Registered> result) {
  if (!result) return {directory_status_of(result.error().code()), {}};
  return {DirectoryStatus::ok, *result};
}

}  // namespace

DirectoryServerStream::DirectoryServerStream(Instant now, DirectoryServer& server, std::uint64_t id,
                                             Registrant registrant, Limits limits)
    : server_(server),
      id_(id),
      registrant_(std::move(registrant)),
      limits_(limits),
      frames_(k_max_directory_message),
      last_activity_(now) {}

// --- input -------------------------------------------------------------------------------------------------------

void DirectoryServerStream::handle_bytes(Instant now, BytesView bytes) {
  if (is_finished_ || is_eof_ || input_error_ || bytes.empty()) return;
  append(unread_, bytes);
  advance(now);
  if (unread_.size() > limits_.max_unread) end(Error(Errc::flood, "more requests than a stream may queue"));
}

void DirectoryServerStream::handle_eof(Instant now) {
  if (is_finished_ || is_eof_) return;
  is_eof_ = true;
  advance(now);
}

// Whether anything was read.
bool DirectoryServerStream::read_requests(Instant now) {
  std::size_t taken = 0;
  while (taken < unread_.size() && !input_error_ && slots_.size() < limits_.max_requests) {
    const Result<std::size_t> fed = frames_.feed(BytesView(unread_).subspan(taken));
    if (!fed) {
      refuse_input(fed.error());
      break;
    }
    taken += *fed;
    const std::optional<Bytes> frame = frames_.take_frame();
    if (!frame) continue;
    Result<DirectoryRequest> request = decode_directory_request(*frame);
    if (request) {
      accept(now, *std::move(request));
    } else {
      refuse_input(request.error());
    }
  }
  unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(taken));
  if (input_error_ || unread_.empty()) unread_ = {};
  return taken > 0;
}

// Answers what was asked before, then says why this was not, then ends.
void DirectoryServerStream::refuse_input(const Error& error) {
  input_error_ = error;
  slots_.push_back({.number = next_number_++,
                    .look_up = std::nullopt,
                    .response = DirectoryResponse{directory_status_of(error.code()), {}}});
}

void DirectoryServerStream::accept(Instant now, DirectoryRequest request) {
  last_activity_ = now;
  Slot& slot = slots_.emplace_back();
  slot.number = next_number_++;
  const RegistrationId id{id_, slot.number};
  Result<void> result;
  if (const auto* registration = std::get_if<RegisterRequest>(&request)) {
    result = register_envelopes(now, id, registration->envelopes);
  } else if (const auto* removal = std::get_if<RemoveRequest>(&request)) {
    result = envelopes_.take(now, limits_.envelopes, 1) ? server_.remove(now, id, registrant_, removal->envelope)
                                                        : fail(Errc::limit_reached);
  } else {
    slot.look_up = std::move(request);
  }
  if (!result) slot.response = response_of(std::unexpected(result.error()));
}

Result<void> DirectoryServerStream::register_envelopes(Instant now, RegistrationId id,
                                                       std::span<const Bytes> envelopes) {
  if (!envelopes_.take(now, limits_.envelopes, envelopes.size())) return fail(Errc::limit_reached);
  return server_.register_envelopes(now, id, registrant_, envelopes);
}

void DirectoryServerStream::handle_acknowledged(Instant now, const Acknowledged& acknowledged) {
  if (is_finished_ || acknowledged.registration.stream != id_) return;
  const auto slot = std::ranges::find(slots_, acknowledged.registration.request, &Slot::number);
  if (slot == slots_.end() || slot->look_up || slot->response) return;
  slot->response = response_of(acknowledged.result);
  last_activity_ = now;
  advance(now);
}

// --- output ------------------------------------------------------------------------------------------------------

FoundRecords DirectoryServerStream::look_up(const DirectoryRequest& request) {
  if (const auto* holders = std::get_if<FindHoldersRequest>(&request)) {
    return server_.find_holders(holders->store, holders->cursor, holders->limit);
  }
  if (const auto* roles = std::get_if<FindRolesRequest>(&request)) {
    return server_.find_roles(roles->roles, roles->cursor, roles->limit);
  }
  if (const auto* peer = std::get_if<FindPeerRequest>(&request)) return server_.find_peer(peer->peer);
  return {};
}

// Whether anything was answered.
bool DirectoryServerStream::write_answers() {
  bool has_written = false;
  while (!slots_.empty() && output_.size() < limits_.max_output) {
    Slot& slot = slots_.front();
    if (slot.look_up) slot.response = DirectoryResponse{DirectoryStatus::ok, look_up(*slot.look_up)};
    if (!slot.response) break;
    Bytes framed;
    append_frame(framed, encode_directory_response(*slot.response));
    output_.append(framed);
    slots_.pop_front();
    ++requests_served_;
    has_written = true;
  }
  return has_written;
}

std::size_t DirectoryServerStream::poll_bytes(Instant now, MutableBytes out) {
  const std::size_t size = output_.pop(out);
  if (size == 0) return 0;
  last_activity_ = now;
  period_bytes_ += size;
  if (period_bytes_ >= limits_.min_progress) period_start_.reset();
  if (output_.empty()) output_.clear();
  advance(now);
  return size;
}

// Everything that follows from a change: reads and answers what now has room, and sees whether it ends.
void DirectoryServerStream::advance(Instant now) {
  if (is_finished_) return;
  while (read_requests(now) || write_answers()) {
  }
  if (output_.empty()) {
    period_start_.reset();
  } else if (!period_start_) {
    period_start_ = now;
    period_bytes_ = 0;
  }
  if (has_work()) return;
  if (input_error_) return end(input_error_);
  if (!is_eof_) return;
  if (frames_.is_idle()) return end(std::nullopt);
  end(Error(Errc::truncated, "the stream ended inside a request"));
}

void DirectoryServerStream::end(std::optional<Error> error) {
  is_finished_ = true;
  slots_.clear();
  output_.clear();
  unread_ = {};
  period_start_.reset();
  event_ = ServerStreamFinished{std::move(error)};
}

bool DirectoryServerStream::wants_bytes() const {
  return !is_finished_ && !is_eof_ && !input_error_ && slots_.size() < limits_.max_requests;
}

std::optional<ServerStreamFinished> DirectoryServerStream::poll_event() { return std::exchange(event_, std::nullopt); }

// --- time --------------------------------------------------------------------------------------------------------

// While the disk works on an answer there is no deadline: that is its own affair.
std::optional<Instant> DirectoryServerStream::next_timeout() const {
  if (is_finished_) return std::nullopt;
  if (period_start_) return *period_start_ + limits_.progress_period;
  if (slots_.empty()) return last_activity_ + limits_.idle;
  return std::nullopt;
}

void DirectoryServerStream::handle_timeout(Instant now) {
  const std::optional<Instant> deadline = next_timeout();
  if (!deadline || now < *deadline) return;
  if (period_start_) return end(Error(Errc::peer_silent, "the peer hardly takes what it asked for"));
  end(Error(Errc::phase_timeout, "no request on a directory stream"));
}

ServerStreamStatus DirectoryServerStream::snapshot() const {
  return {.requests_waiting = slots_.size(),
          .output_bytes = output_.size(),
          .requests_served = requests_served_,
          .is_finished = is_finished_};
}

}  // namespace dig::directory
