// SPDX-License-Identifier: Apache-2.0
// What a Noise + yamux connection costs beyond its encryption: two connections in memory move 1 GiB over one stream
// through buffers of 256 KiB, as a shell would, and the same bytes are sealed and opened without any of it.
// usage: connection_bench [MiB] [streams]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

#include "crypto/aead.hpp"
#include "proto/connection/yamux_connection.hpp"

namespace dig {
namespace {

constexpr std::size_t k_buffer = 256 * 1024;

Instant wall_now() {
  return Instant{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct End {
  End(Direction direction, Rng& rng)
      : identity(Identity::generate(rng)),
        connection({.direction = direction, .identity = identity, .expected_peer = std::nullopt}, {}, rng, wall_now()) {
  }

  Identity identity;
  YamuxConnection connection;
};

struct World {
  SeededRng rng{1};
  End sender{Direction::outbound, rng};
  End receiver{Direction::inbound, rng};
  Bytes wire = Bytes(k_buffer);

  bool carry(End& from, End& to) {
    const std::size_t size = from.connection.poll_bytes(wall_now(), wire);
    if (size > 0) to.connection.handle_bytes(wall_now(), BytesView(wire).first(size));
    return size > 0;
  }
  void drop_events() {
    while (sender.connection.poll_event()) {
    }
    while (receiver.connection.poll_event()) {
    }
  }
  bool establish() {
    while (carry(sender, receiver) || carry(receiver, sender)) {
    }
    drop_events();
    return sender.connection.snapshot().is_established && receiver.connection.snapshot().is_established;
  }
};

// CPU seconds to move `total` bytes; negative when it did not work.
double move_over_connection(std::size_t total, std::size_t streams) {
  const auto world = std::make_unique<World>();
  if (!world->establish()) return -1;
  std::vector<StreamId> ids;
  for (std::size_t i = 0; i < streams; ++i) {
    const auto id = world->sender.connection.open_stream(wall_now());
    if (!id) return -1;
    ids.push_back(*id);
  }
  const Bytes source(k_buffer, std::byte{0x5A});
  Bytes sink(k_buffer);
  std::size_t received = 0;
  const double start = cpu_seconds();
  while (received < total) {
    for (const StreamId id : ids) {
      if (!world->sender.connection.write(id, source)) return -1;
    }
    if (!world->carry(world->sender, world->receiver)) return -1;
    for (const StreamId id : ids) {  // yamux ids are the same on both sides
      const auto read = world->receiver.connection.read(wall_now(), id, sink);
      received += read ? read->size : 0;
    }
    (void)world->carry(world->receiver, world->sender);
    world->drop_events();
  }
  const double used = cpu_seconds() - start;
  const auto status = world->receiver.connection.muxer_snapshot();
  std::printf("  window at the end: %llu KiB\n",
              static_cast<unsigned long long>(status->receive_windows / streams / 1024));
  return used;
}

double move_over_aead(std::size_t total) {
  crypto::Secret<32> key;
  key.mutable_view()[0] = std::byte{1};
  crypto::Aead seal(key);
  crypto::Aead open(key);
  constexpr std::size_t k_plaintext = 65519;
  Bytes frame(k_plaintext + crypto::Aead::tag_size);
  Bytes out(k_plaintext);
  const double start = cpu_seconds();
  std::uint64_t nonce = 0;
  for (std::size_t moved = 0; moved < total; moved += k_plaintext, ++nonce) {
    seal.seal_in_place(frame, k_plaintext, nonce, {});
    if (!open.open(frame, out, nonce, {})) return -1;
  }
  return cpu_seconds() - start;
}

int run(std::size_t total, std::size_t streams) {
  const double gigabytes = static_cast<double>(total) / 1e9;
  std::vector<double> overheads;
  for (int round = 0; round < 5; ++round) {  // interleaved: the machine drifts
    const double aead = move_over_aead(total);
    const double connection = move_over_connection(total, streams);
    if (aead < 0 || connection < 0) {
      std::fprintf(stderr, "the transfer failed\n");
      return 1;
    }
    overheads.push_back((connection - aead) / gigabytes);
    std::printf("round %d: AEAD %.3f CPU s/GB, connection %.3f CPU s/GB (%.2f GB/s), beyond AEAD %.3f\n", round,
                aead / gigabytes, connection / gigabytes, gigabytes / connection, overheads.back());
  }
  std::sort(overheads.begin(), overheads.end());
  std::printf("median beyond AEAD, both ends: %.3f CPU s/GB\n", overheads[overheads.size() / 2]);
  return 0;
}

}  // namespace
}  // namespace dig

int main(int argc, char** argv) {
  const unsigned long long mebibytes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1024;
  const unsigned long long streams = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  return dig::run(static_cast<std::size_t>(std::max(mebibytes, 1ULL)) << 20U,
                  static_cast<std::size_t>(std::max(streams, 1ULL)));
}
