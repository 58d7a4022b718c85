// SPDX-License-Identifier: Apache-2.0
// A store client that asked for something, fed with any bytes in pieces of any size. Whatever comes, it hands on only
// chunks it asked for, each once, in order and of the right size.
#include <algorithm>

#include "base/byte_reader.hpp"
#include "input.hpp"
#include "proto/store_exchange/client.hpp"
#include "store/merkle.hpp"

namespace {

using namespace dig;
using namespace dig::exchange;
using fuzz::require;

// The last chunk is small, so that short inputs reach the end of a chunk.
constexpr std::uint64_t k_archive_size = 2 * store::k_chunk_size + 5;

void ask(ExchangeClient& client, Instant now, std::uint8_t questions) {
  const ArchiveId archive{.store = {}, .root = {}, .size = k_archive_size};
  for (int i = 0; i < questions % 4 + 1; ++i) {
    const int kind = (questions >> (2 + 2 * i)) & 3;
    if (kind == 0) require(client.request_have(now, {}, std::nullopt).has_value());
    if (kind == 1) require(client.request_manifest(now, {}, RootHash{}).has_value());
    if (kind == 2) require(client.request_chunks(now, archive, 2, 1).has_value());
    if (kind == 3) require(client.request_chunks(now, archive, 1, 2).has_value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader input(std::as_bytes(std::span(data, size)));
  if (input.remaining() < 2) return 0;
  Instant now{std::chrono::hours(1)};
  BufferPool pool;
  ExchangeClient client(now, pool);
  ask(client, now, *input.u8());
  const std::size_t piece = *input.u8() + std::size_t{1};
  bool has_failed = false;
  std::size_t answers = 0;
  const auto drain = [&] {
    while (auto event = client.poll_event()) {
      require(!has_failed);
      if (const auto* chunk = std::get_if<ChunkReceived>(&*event)) {
        require(chunk->index == 1 || chunk->index == 2);
        require(chunk->data.size() == store::chunk_size_at(k_archive_size, chunk->index));
        require(chunk->proof.size() <= 2);
      }
      has_failed = std::holds_alternative<ClientFailed>(*event);
      if (!has_failed) require(++answers <= 8);
    }
  };
  while (!input.empty()) {
    const MutableBytes space = client.receive_space();
    const std::size_t limit = std::min(piece, input.remaining());
    if (piece % 2 == 0 || space.empty()) {
      client.handle_bytes(now, *input.bytes(limit));
    } else {
      const BytesView bytes = *input.bytes(std::min(limit, space.size()));
      std::copy(bytes.begin(), bytes.end(), space.begin());
      client.handle_received(now, bytes.size());
    }
    drain();
  }
  client.handle_timeout(now + std::chrono::seconds(9));
  client.handle_eof(now);
  drain();
  require(has_failed && !client.next_timeout());
  return 0;
}
