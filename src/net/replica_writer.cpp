// SPDX-License-Identifier: Apache-2.0
#include "net/replica_writer.hpp"

#include <algorithm>
#include <utility>

#include "base/base_encoding.hpp"

namespace dig::net {

std::string random_word(Rng& rng) { return to_hex(rng.array<8>()); }

void ReplicaWriter::put(std::vector<SharedPut> puts, OnPut done) {
  const auto job = std::make_shared<Job>();
  job->done = std::move(done);
  Piece piece{.puts = {}, .bytes = 0, .job = job};
  const auto end_piece = [&] {
    waiting_bytes_ += piece.bytes;
    ++job->pieces;
    pieces_.push_back(std::exchange(piece, {.puts = {}, .bytes = 0, .job = job}));
  };
  for (SharedPut& one : puts) {
    const std::size_t size = one.size();
    if (!piece.puts.empty() && (piece.puts.size() >= k_max_piece || piece.bytes + size > k_max_piece_bytes)) {
      end_piece();
    }
    piece.bytes += size;
    piece.puts.push_back(std::move(one));
  }
  end_piece();
  send();
}

void ReplicaWriter::send() {
  while (in_flight_ < k_max_in_flight && !pieces_.empty()) {
    Piece piece = std::move(pieces_.front());
    pieces_.pop_front();
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
  Job& job = *piece.job;
  if (read) {
    watcher_.handle_epoch(read->epoch);
    take(piece, *read);
  } else {
    job.outcome.is_all_there = false;
    if (read.error().code() != Errc::redis_down) watcher_.handle_trouble(read.error());
  }
  if (--job.pieces == 0) job.done(job.outcome);
}

void ReplicaWriter::take(const Piece& piece, const PutReply& reply) {
  Outcome& outcome = piece.job->outcome;
  bool is_missing = false;
  for (std::size_t i = 0; i < piece.puts.size(); ++i) {
    switch (reply.outcomes[i]) {
      case PutOutcome::written:
      case PutOutcome::same:
      case PutOutcome::superseded:
        outcome.there.push_back(piece.puts[i].name);
        break;
      case PutOutcome::without_record:
        is_missing = true;
        outcome.is_all_there = false;
        break;
      case PutOutcome::conflict:
        outcome.is_all_there = false;
        break;
    }
  }
  if (is_missing) watcher_.handle_missing();
}

}  // namespace dig::net
