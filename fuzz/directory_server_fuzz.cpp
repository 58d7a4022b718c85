// SPDX-License-Identifier: Apache-2.0
// A directory server fed with any bytes on two streams, one of a peer whose signed records are in the corpus; a disk
// that lags and fails; and peers that take output as they like.
#include <algorithm>
#include <optional>

#include "base/byte_reader.hpp"
#include "input.hpp"
#include "proto/directory/server_stream.hpp"
#include "wire/identity.hpp"

namespace {

using namespace dig;
using namespace dig::directory;
using fuzz::require;

constexpr UnixTime k_wall{1'800'000'000};

PeerId peer_of(std::uint64_t seed) {
  SeededRng rng(seed);
  return Identity::generate(rng).peer_id();
}

class Run {
 public:
  explicit Run(BytesView input) : input_(input) {}

  void all() {
    while (!input_.empty()) {
      step(*input_.u8());
      drain();
      for (std::size_t i = 0; i < 2; ++i) {
        const ServerStreamStatus status = streams_[i].snapshot();
        require(status.requests_waiting <= 9 && status.output_bytes <= 64 * 1024 + k_max_directory_message + 4);
        require(!status.is_finished || (!streams_[i].next_timeout() && !streams_[i].wants_bytes()));
      }
      const ServerStatus status = server_.snapshot();
      require(status.live <= 2 && status.ended <= 1);
      require((status.live == 0) == (status.bytes == 0));
    }
  }

 private:
  void step(std::uint8_t operation) {
    DirectoryServerStream& stream = streams_[(operation >> 3U) % 2];
    switch (operation % 8) {
      case 0:
      case 1:
      case 2: {
        const std::size_t wanted = input_.u16().value_or(0);
        const std::size_t size = std::min(wanted, input_.remaining());
        return stream.handle_bytes(now_, *input_.bytes(size));
      }
      case 3:
        return persist(operation < 128);
      case 4:
      case 5: {
        Bytes out(operation * 37U + 1U);
        require(stream.poll_bytes(now_, out) <= out.size());
        return;
      }
      case 6:
        now_ = now_ + std::chrono::seconds((operation / 16) * (operation / 16) * 60);
        server_.handle_timeout(now_);
        require(!server_.next_timeout() || *server_.next_timeout() > now_);
        return stream.handle_timeout(now_);
      default:
        if (operation > 200) stream.handle_eof(now_);
    }
  }
  void persist(bool is_good) {
    if (!batch_) return;
    const PersistToken token = batch_->token;
    batch_.reset();
    if (is_good) return server_.handle_persisted(now_, token, PersistOutcome{});
    server_.handle_persisted(now_, token, fail(Errc::disk_full));
  }
  void drain() {
    while (auto event = server_.poll_event()) {
      if (auto* persist = std::get_if<Persist>(&*event)) {
        require(!batch_);
        batch_ = std::move(*persist);
      } else if (const auto* done = std::get_if<Acknowledged>(&*event)) {
        streams_[done->registration.stream].handle_acknowledged(now_, *done);
      }
    }
    for (std::size_t i = 0; i < 2; ++i) {
      if (!streams_[i].poll_event()) continue;
      require(!is_finished_[i]);
      is_finished_[i] = true;
    }
  }

  ByteReader input_;
  SeededRng rng_{1};
  Instant now_{1h};
  DirectoryServer server_{now_, k_wall, rng_, {.max_ended = 1}};
  DirectoryServerStream streams_[2] = {{now_, server_, 0, {peer_of(1), 1}}, {now_, server_, 1, {peer_of(2), 1}}};
  bool is_finished_[2] = {};
  std::optional<Persist> batch_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Run(std::as_bytes(std::span(data, size))).all();
  return 0;
}
