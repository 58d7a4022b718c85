// SPDX-License-Identifier: Apache-2.0
// The sides of AutoNAT v2 that dial: fed with any bytes, answered at any time. What they give back is that they dial
// nothing that is private, nothing elsewhere that was not paid for, and that their places are free when they are over.
#include "base/address_class.hpp"
#include "input.hpp"
#include "proto/autonat/dial_back_helper.hpp"
#include "proto/autonat/dial_request_server.hpp"

namespace {

using namespace dig;
using namespace dig::autonat;
using fuzz::require;

const IpAddress k_seen_at = IpAddress::v4({8, 8, 8, 8});

// The identity multihash of an Ed25519 key of zeros.
PeerId some_peer() { return PeerId::from_public_key(PublicKey::ed25519(Bytes(32))); }

template <class Machine>
class Run {
 public:
  Run(fuzz::Input input, Machine& machine, RequestBook& book) : input_(input), machine_(machine), book_(book) {}

  void all() {
    while (input_.size > 0) {
      step(input_.byte());
      drain();
      const bool is_over = has_failed_ || machine_.is_done();
      const RequestBook::Status held = book_.snapshot();
      require(!is_over || (!machine_.next_timeout() && held.running == 0 && held.reading == 0));
    }
  }

 private:
  void step(std::uint8_t operation) {
    switch (operation % 8) {
      case 0:
      case 1:
      case 2:
        return machine_.handle_bytes(now_, input_.take(input_.byte()));
      case 3: {  // a piece of dial data
        Bytes framed;
        append_frame(framed, encode_message(DialDataResponse{Bytes(operation * 16U)}));
        return machine_.handle_bytes(now_, framed);
      }
      case 4:
        return machine_.handle_dial_back_result(static_cast<DialBackOutcome>(operation / 8 % 4));
      case 5: {
        Bytes out(operation);
        require(machine_.poll_bytes(out) <= out.size());
        return;
      }
      case 6:
        now_ = now_ + std::chrono::milliseconds(operation * 10);
        return machine_.handle_timeout(now_);
      default:
        if (operation > 200) machine_.handle_eof(now_);
    }
  }
  void drain() {
    auto task = machine_.take_result();
    if (!task) return;
    require(!has_failed_);
    has_failed_ = !*task;
    if (has_failed_) return;
    require(!has_dialled_ && (*task)->remote.port != 0);
    require(is_global((*task)->remote.address) || (*task)->remote.address == k_seen_at);
    has_dialled_ = true;
    if constexpr (std::is_same_v<Machine, DialRequestServer>) {
      const DialRequestServerStatus status = machine_.snapshot();
      require((*task)->remote.address == k_seen_at ||
              (status.dial_data_asked >= 30'000 && status.dial_data_received >= status.dial_data_asked));
    }
  }

  fuzz::Input input_;
  Machine& machine_;
  RequestBook& book_;
  Instant now_{1h};
  bool has_dialled_ = false;
  bool has_failed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input{data, size};
  if (input.byte() % 2 == 0) {
    RequestBook book;
    SeededRng rng(1);
    DialRequestServer server(Instant{1h}, some_peer(), k_seen_at, {}, book, rng);
    Run(input, server, book).all();
  } else {
    RequestBook book(HelperConfig::k_limits);
    DialBackOrderServer server(Instant{1h}, some_peer(), k_seen_at, {.partners = {some_peer()}, .policy = {}}, book);
    Run(input, server, book).all();
  }
  return 0;
}
