// SPDX-License-Identifier: Apache-2.0
// A store server fed with any bytes, answers in any order, and a peer that takes output as it likes.
#include <algorithm>
#include <vector>

#include "base/byte_reader.hpp"
#include "input.hpp"
#include "proto/store_exchange/server.hpp"

namespace {

using namespace dig;
using namespace dig::exchange;
using fuzz::require;

class Run {
 public:
  explicit Run(BytesView input) : input_(input) {}

  void all() {
    while (!input_.empty()) {
      step(*input_.u8());
      drain();
      const ServerStatus status = server_.snapshot();
      require(status.requests_queued <= 16 && status.answers_in_flight <= 4);
      require(!status.is_finished || (server_.output().empty() && !server_.next_timeout() && !server_.wants_bytes()));
    }
  }

 private:
  void step(std::uint8_t operation) {
    switch (operation % 8) {
      case 0:
      case 1: {
        const std::size_t wanted = input_.u8().value_or(0);
        const std::size_t size = std::min(wanted, input_.remaining());
        return server_.handle_bytes(now_, *input_.bytes(size));
      }
      case 2:
        return answer(0, true);
      case 3:
        return answer(operation / 8U, operation % 16 < 8);
      case 4:
      case 5: {
        Bytes out((operation / 8U) * 37U + 1U);
        require(server_.poll_bytes(now_, out) <= out.size());
        return;
      }
      case 6:
        now_ = now_ + std::chrono::seconds(operation / 8);
        return server_.handle_timeout(now_);
      default:
        if (operation > 200) server_.handle_eof(now_);
    }
  }
  void drain() {
    while (auto event = server_.poll_event()) {
      require(!is_finished_);
      if (std::holds_alternative<ServerFinished>(*event)) {
        is_finished_ = true;
      } else {
        wants_.push_back(std::move(*event));
      }
    }
  }
  void answer(std::size_t which, bool is_good) {
    if (wants_.empty()) return;
    which %= wants_.size();
    const ServerEvent want = wants_[which];
    wants_.erase(wants_.begin() + static_cast<std::ptrdiff_t>(which));
    if (const auto* have = std::get_if<WantHave>(&want)) {
      is_good ? server_.answer_have(now_, have->token, HaveResponse{.root = {}, .size = 9, .ranges = {{0, 1}}})
              : server_.answer_have(now_, have->token, fail(Errc::store_not_found));
    } else if (const auto* manifest = std::get_if<WantManifest>(&want)) {
      is_good ? server_.answer_manifest(now_, manifest->token, Bytes(20))
              : server_.answer_manifest(now_, manifest->token, fail(Errc::limit_reached));
    } else if (const auto* chunk = std::get_if<WantChunk>(&want)) {
      is_good ? server_.answer_chunk(now_, chunk->token, ChunkData{pool_.take(50), {}})
              : server_.answer_chunk(now_, chunk->token, fail(Errc::io_failed));
    }
  }

  ByteReader input_;
  Instant now_{std::chrono::hours(1)};
  BufferPool pool_;
  ExchangeServer server_{now_, pool_};
  std::vector<ServerEvent> wants_;
  bool is_finished_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Run(std::as_bytes(std::span(data, size))).all();
  return 0;
}
