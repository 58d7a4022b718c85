// SPDX-License-Identifier: Apache-2.0
#include "proto/store_exchange/server.hpp"

#include <algorithm>
#include <utility>

namespace dig::exchange {

static_assert(StreamMachine<ExchangeServer>);

namespace {

StoreStatus status_of(const Error& error) {
  switch (error.code()) {
    case Errc::store_not_found:
      return StoreStatus::not_found;
    case Errc::limit_reached:
      return StoreStatus::busy;
    default:
      return StoreStatus::failed;
  }
}

Bytes framed(const StoreResponse& response) {
  Bytes out;
  append_frame(out, encode_store_response(response));
  return out;
}

}  // namespace

ExchangeServer::ExchangeServer(Instant now, BufferPool& pool, Limits limits)
    : pool_(pool), limits_(limits), frames_(k_max_store_request), last_activity_(now) {}

// --- input -------------------------------------------------------------------------------------------------------

void ExchangeServer::handle_bytes(Instant now, BytesView bytes) {
  if (status_.is_finished || !is_reading_ || is_eof_) return;
  const std::size_t taken = backlog_.empty() ? parse(now, bytes) : 0;
  if (is_reading_) keep(bytes.subspan(taken));
  advance(now);
}

// Takes requests until enough are queued; returns how many bytes they were.
std::size_t ExchangeServer::parse(Instant now, BytesView bytes) {
  std::size_t parsed = 0;
  while (parsed < bytes.size() && is_reading_ && open_requests_ < limits_.max_requests) {
    const Result<std::size_t> taken = frames_.feed(bytes.subspan(parsed));
    if (!taken) {
      refuse_input(taken.error());
      break;
    }
    parsed += *taken;
    const std::optional<Bytes> frame = frames_.take_frame();
    if (!frame) continue;
    Result<StoreRequest> request = decode_store_request(*frame);
    if (request) {
      accept(now, std::move(*request));
    } else {
      refuse_input(request.error());
    }
  }
  return parsed;
}

void ExchangeServer::keep(BytesView bytes) {
  if (bytes.empty()) return;
  backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(backlog_start_));
  backlog_start_ = 0;
  if (backlog_.size() + bytes.size() > limits_.max_unread) {
    return end(Error(Errc::flood, "more requests than a stream may queue"));
  }
  append(backlog_, bytes);
}

void ExchangeServer::read_backlog(Instant now) {
  if (backlog_.empty()) return;
  backlog_start_ += parse(now, BytesView(backlog_).subspan(backlog_start_));
  if (backlog_start_ < backlog_.size() && is_reading_) return;
  backlog_.clear();
  backlog_start_ = 0;
}

void ExchangeServer::accept(Instant now, StoreRequest request) {
  Request queued{.serial = next_serial_++, .message = std::move(request)};
  if (const auto* chunks = std::get_if<ChunksRequest>(&queued.message)) {
    queued.next = chunks->first;
    queued.left = chunks->count;
  }
  requests_.push_back(std::move(queued));
  ++open_requests_;
  last_activity_ = now;
}

// Answers what was asked before, then says that this was not understood, then ends.
void ExchangeServer::refuse_input(Error error) {
  is_reading_ = false;
  final_error_ = std::move(error);
  requests_.push_back({.serial = next_serial_++, .message = {}, .is_malformed = true});
  ++open_requests_;
}

void ExchangeServer::handle_eof(Instant now) {
  if (status_.is_finished || is_eof_) return;
  is_eof_ = true;
  advance(now);
}

// --- answers -----------------------------------------------------------------------------------------------------

void ExchangeServer::issue_answers() {
  while (!requests_.empty() && answers_.size() < limits_.max_answers_ahead) {
    Request& request = requests_.front();
    issue_one(request);
    if (--request.left == 0) requests_.pop_front();
  }
}

void ExchangeServer::issue_one(Request& request) {
  Answer& answer = answers_.emplace_back();
  answer.token = {next_token_++};
  answer.request = request.serial;
  answer.is_last = request.left == 1;
  if (request.is_malformed) {
    answer_with(answer, {.status = StoreStatus::malformed, .body = {}});
  } else if (const auto* have = std::get_if<HaveRequest>(&request.message)) {
    events_.push_back(WantHave{answer.token, have->store_id, have->root});
  } else if (const auto* manifest = std::get_if<ManifestRequest>(&request.message)) {
    events_.push_back(WantManifest{answer.token, manifest->store_id, manifest->root});
  } else if (const auto* chunks = std::get_if<ChunksRequest>(&request.message)) {
    answer.index = request.next++;
    events_.push_back(WantChunk{answer.token, chunks->store_id, chunks->root, answer.index});
  }
}

ExchangeServer::Answer* ExchangeServer::find_answer(ServerToken token) {
  const auto found = std::find_if(answers_.begin(), answers_.end(),
                                  [&](const Answer& answer) { return answer.token == token && !answer.is_ready; });
  return found == answers_.end() ? nullptr : &*found;
}

void ExchangeServer::answer_with(Answer& answer, const StoreResponse& response) {
  answer.head = framed(response);
  answer.is_ready = true;
}

// An error ends its request: chunks of it that were asked ahead are not sent, the others are not asked for.
void ExchangeServer::answer_error(Answer& answer, const Error& error) {
  answer_with(answer, {.status = status_of(error), .body = {}});
  bool is_later = false;
  Answer* last = &answer;
  for (Answer& other : answers_) {
    if (is_later && other.request == answer.request) {
      other.is_discarded = true;
      last = &other;
    }
    is_later = is_later || &other == &answer;
  }
  if (!requests_.empty() && requests_.front().serial == answer.request) {
    requests_.pop_front();
    last->is_last = true;
  }
}

void ExchangeServer::answer_have(Instant now, ServerToken token, Result<HaveResponse> answer) {
  Answer* const waiting = find_answer(token);
  if (waiting == nullptr) return;
  if (answer) {
    answer_with(*waiting, {.status = StoreStatus::ok, .body = std::move(*answer)});
  } else {
    answer_error(*waiting, answer.error());
  }
  advance(now);
}

void ExchangeServer::answer_manifest(Instant now, ServerToken token, Result<Bytes> answer) {
  Answer* const waiting = find_answer(token);
  if (waiting == nullptr) return;
  if (answer) {
    answer_with(*waiting, {.status = StoreStatus::ok, .body = ManifestResponse{std::move(*answer)}});
  } else {
    answer_error(*waiting, answer.error());
  }
  advance(now);
}

void ExchangeServer::answer_chunk(Instant now, ServerToken token, Result<ChunkData> answer) {
  Answer* const waiting = find_answer(token);
  if (waiting == nullptr) {
    if (answer) pool_.give(std::move(answer->data));
    return;
  }
  if (answer && (answer->data.size() > k_store_chunk_size || answer->proof.size() > k_max_proof_hashes)) {
    answer = fail(Errc::internal, "a chunk larger than the protocol allows");
  }
  if (answer) {
    ChunkHeader header{.index = waiting->index,
                       .size = static_cast<std::uint32_t>(answer->data.size()),
                       .proof = std::move(answer->proof)};
    answer_with(*waiting, {.status = StoreStatus::ok, .body = std::move(header)});
    waiting->data = std::move(answer->data);
  } else {
    answer_error(*waiting, answer.error());
  }
  advance(now);
}

// --- output ------------------------------------------------------------------------------------------------------

bool ExchangeServer::has_output() const {
  return !status_.is_finished && !answers_.empty() && answers_.front().is_ready && !answers_.front().is_discarded;
}

BytesView ExchangeServer::output() const {
  if (!has_output()) return {};
  const Answer& answer = answers_.front();
  if (sent_ < answer.head.size()) return BytesView(answer.head).subspan(sent_);
  return BytesView(answer.data).subspan(sent_ - answer.head.size());
}

void ExchangeServer::handle_written(Instant now, std::size_t size) {
  if (size == 0 || !has_output()) return;
  sent_ += size;
  status_.bytes_sent += size;
  last_activity_ = now;
  period_bytes_ += size;
  if (period_bytes_ >= limits_.min_progress) period_start_.reset();
  advance(now);
}

std::size_t ExchangeServer::poll_bytes(Instant now, MutableBytes out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const BytesView next = output();
    if (next.empty()) break;
    const std::size_t size = std::min(next.size(), out.size() - filled);
    std::copy_n(next.begin(), size, out.begin() + static_cast<std::ptrdiff_t>(filled));
    filled += size;
    handle_written(now, size);
  }
  return filled;
}

bool ExchangeServer::drop_finished_answers() {
  bool has_dropped = false;
  while (!answers_.empty() && answers_.front().is_ready) {
    Answer& answer = answers_.front();
    if (!answer.is_discarded && sent_ < answer.head.size() + answer.data.size()) break;
    if (!answer.is_discarded && !answer.data.empty()) ++status_.chunks_served;
    if (answer.is_last) {
      --open_requests_;
      ++status_.requests_served;
    }
    pool_.give(std::move(answer.data));
    answers_.pop_front();
    sent_ = 0;
    has_dropped = true;
  }
  return has_dropped;
}

void ExchangeServer::advance(Instant now) {
  if (status_.is_finished) return;
  do {
    read_backlog(now);
    issue_answers();
  } while (drop_finished_answers());
  if (!has_output()) {
    period_start_.reset();
  } else if (!period_start_) {
    period_start_ = now;
    period_bytes_ = 0;
  }
  if (open_requests_ != 0) return;
  if (!is_reading_) return end(final_error_);
  if (!is_eof_) return;
  if (frames_.is_idle()) return end(std::nullopt);
  end(Error(Errc::truncated, "the stream ended inside a request"));
}

void ExchangeServer::end(std::optional<Error> error) {
  status_.is_finished = true;
  requests_.clear();
  for (Answer& answer : answers_) pool_.give(std::move(answer.data));
  answers_.clear();
  backlog_ = {};
  backlog_start_ = 0;
  open_requests_ = 0;
  events_.clear();  // nobody needs the answers any more
  events_.push_back(ServerFinished{std::move(error)});
}

bool ExchangeServer::wants_bytes() const {
  return !status_.is_finished && is_reading_ && !is_eof_ && open_requests_ < limits_.max_requests;
}

std::optional<ServerEvent> ExchangeServer::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

// --- time --------------------------------------------------------------------------------------------------------

// While the owner works on an answer there is no deadline: that is its own affair.
std::optional<Instant> ExchangeServer::next_timeout() const {
  if (status_.is_finished) return std::nullopt;
  if (period_start_) return *period_start_ + limits_.progress_period;
  if (open_requests_ == 0) return last_activity_ + limits_.idle;
  return std::nullopt;
}

void ExchangeServer::handle_timeout(Instant now) {
  const std::optional<Instant> deadline = next_timeout();
  if (!deadline || now < *deadline) return;
  if (period_start_) return end(Error(Errc::peer_silent, "the peer hardly takes what it asked for"));
  end(Error(Errc::phase_timeout, "no request on a store stream"));
}

ServerStatus ExchangeServer::snapshot() const {
  ServerStatus status = status_;
  status.requests_queued = open_requests_;
  status.answers_in_flight = answers_.size();
  return status;
}

}  // namespace dig::exchange
