// SPDX-License-Identifier: Apache-2.0
// A whole secure upgrade. First byte: role, and whether the input is what the peer sends (raw) or how the bytes between
// two honest ends are edited: pairs of (distance, mask), with a mask of 0 for a cut and 0xff for a pause until a
// deadline.
#include <algorithm>
#include <cstdlib>

#include "proto/upgrade/secure_upgrade.hpp"

namespace {

using namespace dig;
using upgrade::SecureUpgrade;

struct Ends {
  SeededRng rng{1};
  Identity dialler = Identity::generate(rng);
  Identity listener = Identity::generate(rng);
};

void check(SecureUpgrade& side, bool is_edited) {
  const auto result = side.take_result();
  if (result && *result && is_edited && !(**result).leftover_plaintext.empty()) std::abort();
  if (side.snapshot().buffered_bytes > (1u << 20) + 65536) std::abort();
}

class Editor {
 public:
  explicit Editor(BytesView script) : script_(script) { next(); }
  [[nodiscard]] bool has_cut() const { return has_cut_; }
  [[nodiscard]] bool take_pause() { return std::exchange(has_pause_, false); }

  void edit(Bytes& bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (distance_-- > 0) continue;
      if (mask_ == std::byte{0}) {
        has_cut_ = true;
        bytes.resize(i);
        return;
      }
      if (mask_ == std::byte{0xff}) {
        has_pause_ = true;
      } else {
        bytes[i] ^= mask_;
      }
      next();
    }
  }

 private:
  void next() {
    if (script_.size() < 2) {
      distance_ = 1 << 30;
      return;
    }
    distance_ = std::to_integer<int>(script_[0]);
    mask_ = script_[1];
    script_ = script_.subspan(2);
  }

  BytesView script_;
  int distance_ = 0;
  std::byte mask_{};
  bool has_cut_ = false;
  bool has_pause_ = false;
};

void run_edited(Ends& ends, BytesView script, std::size_t piece) {
  SeededRng rng(2);
  Instant now{};
  SecureUpgrade dialler(upgrade::Config{.direction = Direction::outbound, .identity = ends.dialler}, rng, now);
  SecureUpgrade listener(upgrade::Config{.direction = Direction::inbound, .identity = ends.listener}, rng, now);
  Editor editor(script);
  for (bool is_moving = true; is_moving && !editor.has_cut();) {
    is_moving = false;
    for (const auto& [from, to] : {std::pair{&dialler, &listener}, std::pair{&listener, &dialler}}) {
      Bytes bytes(piece);
      bytes.resize(from->poll_bytes(now, bytes));
      is_moving = is_moving || !bytes.empty();
      editor.edit(bytes);
      to->handle_bytes(now, bytes);
      if (editor.take_pause() && to->next_timeout()) {
        now = *to->next_timeout();
        to->handle_timeout(now);
        from->handle_timeout(now);
      }
    }
  }
  dialler.handle_eof(now);
  listener.handle_eof(now);
  check(dialler, true);
  check(listener, true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static Ends ends;
  BytesView input = std::as_bytes(std::span(data, size)).subspan(1);
  const std::size_t piece = (data[0] >> 2) + 1u;
  if ((data[0] & 2) != 0) {
    run_edited(ends, input, piece * 8);
    return 0;
  }
  SeededRng rng(2);
  const bool is_dialler = (data[0] & 1) != 0;
  SecureUpgrade side(upgrade::Config{.direction = is_dialler ? Direction::outbound : Direction::inbound,
                                     .identity = is_dialler ? ends.dialler : ends.listener},
                     rng, Instant{});
  Bytes out(256);
  while (!input.empty()) {
    const BytesView part = input.first(std::min(piece, input.size()));
    side.handle_bytes(Instant{}, part);
    input = input.subspan(part.size());
    while (side.poll_bytes(Instant{}, out) > 0) {
    }
  }
  side.handle_eof(Instant{});
  const auto result = side.take_result();
  if (!result || *result) std::abort();  // the input holds no identity key
  return 0;
}
