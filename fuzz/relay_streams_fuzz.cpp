// SPDX-License-Identifier: Apache-2.0
// What a peer may send on a hop or stop stream. The first byte says to which end of which stream, the second how large
// the pieces are; the rest is what comes.
#include <algorithm>
#include <cstdint>

#include "input.hpp"
#include "proto/relay/requests.hpp"
#include "proto/relay/responders.hpp"

using namespace dig;
using fuzz::require;

namespace {

constexpr std::size_t k_most = circuit::k_max_message_size + 16;

PeerId peer_of(int number) {
  return PeerId::from_public_key(PublicKey::ed25519(Bytes(32, static_cast<std::byte>(number))));
}

// In pieces, until the machine takes no more. Returns what it left.
template <class Machine>
BytesView feed(Machine& machine, BytesView input, std::size_t piece, auto after_each) {
  while (!input.empty()) {
    const BytesView part = input.first(std::min(piece, input.size()));
    const std::size_t taken = machine.handle_bytes({}, part);
    require(taken <= part.size() && machine.snapshot().buffered_bytes <= k_most);
    after_each();
    input = input.subspan(taken);
    if (taken < part.size()) break;
  }
  machine.handle_eof({});
  machine.handle_timeout(Instant{} + 1h);
  require(!machine.next_timeout());
  return input;
}

template <class Client, class Request>
void run_client(Request request, BytesView input, std::size_t piece) {
  Client client({}, std::move(request), 60s);
  Bytes out(500);
  require(client.poll_bytes(out) > 0);
  (void)feed(client, input, piece, [] {});
  require(client.result().has_value());
}

template <class Responder>
void run_responder(BytesView input, std::size_t piece) {
  Responder responder({});
  Bytes out(7);
  (void)feed(responder, input, piece, [&] {
    if (responder.take_request()) responder.answer(Responder::Message::answer(circuit::Status::ok));
    while (responder.poll_bytes(out) > 0) {
    }
  });
  require(responder.result().has_value());
  require(responder.poll_bytes(out) == 0 && !responder.take_request());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in{data, size};
  const std::uint8_t which = in.byte();
  const std::size_t piece = in.byte() + std::size_t{1};
  const BytesView input = in.take(in.size);
  switch (which % 5) {
    case 0:
      run_responder<relay::HopResponder>(input, piece);
      break;
    case 1:
      run_responder<relay::StopResponder>(input, piece);
      break;
    case 2:
      run_client<relay::ReserveClient>(relay::ReserveRequest{peer_of(7), peer_of(8)}, input, piece);
      break;
    case 3:
      run_client<relay::ConnectClient>(relay::ConnectRequest{peer_of(8)}, input, piece);
      break;
    default:
      run_client<relay::StopClient>(relay::StopRequest{peer_of(8), {}}, input, piece);
      break;
  }
  return 0;
}
