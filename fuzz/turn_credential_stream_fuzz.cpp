// SPDX-License-Identifier: Apache-2.0
// Both ends of /dignet/turn-credentials/1.0.0 with a peer that sends anything: the input is a list of operations, one
// byte that says which and how long, and the bytes that come in.
#include "input.hpp"
#include "proto/turn_credentials/requester.hpp"
#include "proto/turn_credentials/responder.hpp"

using namespace dig;
using namespace dig::turn_credentials;

namespace {

const TurnCredentialResponse k_busy{TurnCredentialStatus::busy, {}};

struct World {
  Instant now{1000s};
  Requester requester{now, PeerId()};
  Responder responder{now};
  bool had_result = false;
  bool is_asked = false;
  bool is_finished = false;
  std::size_t sent = 0;

  void check() {
    fuzz::require(!had_result || requester.result());
    had_result = requester.result().has_value();
    fuzz::require(requester.snapshot().buffered_bytes <= TurnCredentialResponse::max_encoded_size + 16);
    fuzz::require(responder.snapshot().buffered_bytes <= TurnCredentialRequest::max_encoded_size + 32);
    while (auto event = responder.poll_event()) {
      fuzz::require(!is_finished);
      if (const auto* wanted = std::get_if<CredentialsWanted>(&*event)) {
        fuzz::require(!is_asked && !wanted->target.empty());
        is_asked = true;
      } else {
        is_finished = true;
      }
    }
    fuzz::require(is_finished == !responder.next_timeout());
    fuzz::require(had_result == !requester.next_timeout());
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input{data, size};
  World world;
  while (input.size > 0) {
    const std::uint8_t operation = input.byte();
    const std::size_t length = operation / 8U;
    std::array<std::byte, 32> out;
    switch (operation % 8) {
      case 0:
        world.requester.handle_bytes(world.now, input.take(length));
        break;
      case 1:
        world.responder.handle_bytes(world.now, input.take(length));
        break;
      case 2:  // as much as there is, in one piece
        world.requester.handle_bytes(world.now, input.take(input.size));
        break;
      case 3:
        world.responder.answer(k_busy);
        break;
      case 4:
        world.sent += world.responder.poll_bytes(world.now, MutableBytes(out).first(length));
        break;
      case 5:
        (void)world.requester.poll_bytes(MutableBytes(out).first(length));
        break;
      case 6:
        world.now = world.now + std::chrono::seconds(length);
        world.requester.handle_timeout(world.now);
        world.responder.handle_timeout(world.now);
        break;
      default:
        length % 2 == 0 ? world.requester.handle_eof(world.now) : world.responder.handle_eof(world.now);
        break;
    }
    world.check();
  }
  fuzz::require(world.sent <= 8);  // one small response
  world.requester.handle_timeout(world.now + 1h);
  world.responder.handle_timeout(world.now + 1h);
  world.check();
  fuzz::require(world.had_result && world.is_finished);
  return 0;
}
