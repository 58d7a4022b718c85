// SPDX-License-Identifier: Apache-2.0
// What a server may say to the client of AutoNAT v2, on both of its streams. It never sends more dial data than it may,
// and keeps no more than one message.
#include "input.hpp"
#include "proto/autonat/dial_back.hpp"
#include "proto/autonat/dial_request_client.hpp"

namespace {

using namespace dig;
using namespace dig::autonat;
using fuzz::require;

constexpr std::uint64_t k_allowed = 20'000;

void run_request(fuzz::Input input) {
  Instant now{1h};
  DialRequestClient client(now, {{Multiaddr::tcp({IpAddress::v4({8, 8, 8, 8}), 4001})}, 77}, k_allowed);
  while (input.size > 0) {
    const std::uint8_t operation = input.byte();
    if (operation < 128) client.handle_bytes(now, input.take(operation));
    if (operation >= 128 && operation < 200) {
      Bytes out((operation - 127U) * 64U);
      require(client.poll_bytes(out) <= out.size());
    }
    if (operation >= 200) {
      now = now + std::chrono::milliseconds((operation - 200) * 100);
      client.handle_timeout(now);
    }
    if (operation == 255) client.handle_eof(now);
    const DialRequestClientStatus status = client.snapshot();
    require(status.dial_data_sent <= k_allowed);
    require(status.buffered_bytes <= 2 * k_max_message + 16);
    require(!client.result() || !client.next_timeout());
    if (client.result() && *client.result() && (*client.result())->status == ResponseStatus::ok) {
      require((*client.result())->address_index == 0 && (*client.result())->dial_status != DialStatus::unused);
    }
  }
}

void run_dial_back(fuzz::Input input) {
  const Instant now{1h};
  DialBackReceiver receiver(now, k_dial_back_timeout);
  DialBackSender sender(now, DialBack{77}, k_dial_back_timeout);
  std::size_t results = 0;
  while (input.size > 0) {
    const BytesView piece = input.take(input.byte());
    receiver.handle_bytes(now, piece);
    sender.handle_bytes(now, piece);
    results += receiver.take_result() ? 1u : 0u;
  }
  receiver.handle_eof(now);
  sender.handle_eof(now);
  results += receiver.take_result() ? 1u : 0u;
  require(results == 1 && sender.result());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input{data, size};
  input.byte() % 2 == 0 ? run_request(input) : run_dial_back(input);
  return 0;
}
