// SPDX-License-Identifier: Apache-2.0
#include "net/replica_writer.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/base_encoding.hpp"

namespace dig::net {
namespace {

// The row, or something newer.
bool is_there(PutOutcome outcome) {
  return outcome == PutOutcome::written || outcome == PutOutcome::same || outcome == PutOutcome::superseded;
}

}  // namespace

std::string random_word(Rng& rng) { return to_hex(rng.array<8>()); }

void ReplicaWriter::put(std::vector<SharedPut> puts, OnPut done) {
  const auto job = std::make_shared<Job>();
  job->done = std::move(done);
  job->rows = puts.size();
  for (SharedPut& put : puts) {
    waiting_bytes_ += put.size();
    waiting_.push_back({std::move(put), job});
  }
  send();
}

ReplicaWriter::Piece ReplicaWriter::take_piece() {
  Piece piece;
  while (!waiting_.empty() && piece.puts.size() < k_max_piece) {
    Waiting& next = waiting_.front();
    const std::size_t size = next.put.size();
    if (!piece.puts.empty() && piece.bytes + size > k_max_piece_bytes) break;
    piece.bytes += size;
    piece.puts.push_back(std::move(next.put));
    piece.jobs.push_back(std::move(next.job));
    waiting_.pop_front();
  }
  return piece;
}

void ReplicaWriter::send() {
  while (in_flight_ < k_max_in_flight && !waiting_.empty()) {
    Piece piece = take_piece();
    ++in_flight_;
    const std::vector<std::string> words = directory_.put(piece.puts, random_word(rng_));
    client_.command(words, [this, piece = std::move(piece)](const Result<RedisReply>& reply) {
      --in_flight_;
      waiting_bytes_ -= piece.bytes;
      handle_reply(piece, reply);
      send();
    });
  }
}

void ReplicaWriter::handle_reply(const Piece& piece, const Result<RedisReply>& reply) {
  Result<PutReply> read = fail(Errc::redis_down);
  if (reply) {
    read = RedisDirectory::read_put(*reply, piece.puts.size());
  } else {
    read = std::unexpected(reply.error());
  }
  if (read) {
    watcher_.handle_epoch(read->epoch);
  } else if (read.error().code() != Errc::redis_down) {
    watcher_.handle_trouble(read.error());
  }
  if (read && std::ranges::find(read->outcomes, PutOutcome::without_record) != read->outcomes.end()) {
    watcher_.handle_missing();
  }
  for (std::size_t i = 0; i < piece.puts.size(); ++i) {
    Job& job = *piece.jobs[i];
    const auto outcome = read ? std::optional(read->outcomes[i]) : std::nullopt;
    if (outcome && is_there(*outcome)) {
      job.outcome.there.push_back(piece.puts[i].name);
    } else {
      job.outcome.is_all_there = false;
    }
    if (--job.rows == 0) job.done(job.outcome);
  }
}

}  // namespace dig::net
