// SPDX-License-Identifier: Apache-2.0
// The server's side of a dial-request stream of AutoNAT v2 (autonat/autonat-v2.md, AutoNAT V2 Protocol): takes a
// request, picks the first address that it may dial, asks for dial data when the address is not where the client was
// seen (Amplification Attack Prevention), has its owner dial, and says how that went. One stream serves one request.
//
// For the owner:
//   - Not for streams of a relayed connection: nobody was seen there.
//   - WantDialBack is answered by handle_dial_back_result(). dial_back.hpp says how to dial. Where another server
//     helps, ask it first (dial_back_helper.hpp), and dial oneself if it did not try.
//   - When the machine is over (an error, is_done()) before that, end the dial: nobody waits for it any more.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/byte_fifo.hpp"
#include "base/endpoint.hpp"
#include "base/frame_reader.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "proto/autonat/dial_policy.hpp"
#include "proto/autonat/request_book.hpp"
#include "wire/autonat_message.hpp"
#include "wire/dial_back_order.hpp"

namespace dig::autonat {

inline constexpr std::string_view k_dial_request_protocol = "/libp2p/autonat/2/dial-request";

// Dial `address`, which is `remote`, for `peer`, and say the nonce on a dial-back stream.
struct WantDialBack {
  PeerId peer;
  Multiaddr address;
  Endpoint remote;
  std::uint64_t nonce = 0;
  friend bool operator==(const WantDialBack&, const WantDialBack&) = default;
};

struct DialRequestServerStatus {
  std::uint64_t dial_data_asked = 0;
  std::uint64_t dial_data_received = 0;
  bool is_dialling = false;
  std::size_t buffered_bytes = 0;
};

class DialRequestServer {
 public:
  struct Limits {
    Duration stream = 15s;  // all of it
    Duration read = 3s;     // until the request has come, which a client has ready when it opens the stream
    Duration dial = 10s;
    // Before a dial that cost dial data, up to this long and at random, so that many requests do not make many dials of
    // one moment.
    Duration max_wait = 3s;
    // Amplification Attack Prevention: "SHOULD ask for 30k to 100k bytes".
    std::uint64_t min_dial_data = 30'000;
    std::uint64_t max_dial_data = 100'000;
    std::size_t min_piece = 100;  // of dial data, but for the last: each message costs us work
  };

  // `peer` was seen at `observed`. The book and the random generator must outlive the machine.
  DialRequestServer(Instant now, const PeerId& peer, const IpAddress& observed, const DialPolicy& policy,
                    RequestBook& book, Rng& rng, const Limits& limits);
  DialRequestServer(Instant now, const PeerId& peer, const IpAddress& observed, const DialPolicy& policy,
                    RequestBook& book, Rng& rng)
      : DialRequestServer(now, peer, observed, policy, book, rng, Limits()) {}

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  void handle_dial_back_result(DialBackOutcome outcome);
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out);
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  // What the owner is to do, once; or an error, which is the end: reset the stream.
  [[nodiscard]] std::optional<Result<WantDialBack>> take_result() { return std::exchange(result_, std::nullopt); }
  // The response was handed out: finish the write half.
  [[nodiscard]] bool is_done() const noexcept { return state_ == State::responding && output_.empty(); }
  [[nodiscard]] DialRequestServerStatus snapshot() const;

 private:
  enum class State : std::uint8_t { reading_request, reading_data, waiting, dialling, responding, failed };

  [[nodiscard]] bool is_reading() const noexcept {
    return state_ == State::reading_request || state_ == State::reading_data;
  }
  [[nodiscard]] Result<void> handle_frame(Instant now, BytesView frame);
  void handle_request(Instant now, const DialRequest& request);
  [[nodiscard]] Result<void> handle_data(Instant now, const DialDataResponse& response);
  void dial(Instant now);
  void send(const Message& message);
  void respond(const DialResponse& response);
  void fail_with(Error error);

  Limits limits_;
  PeerId peer_;
  IpAddress observed_;
  DialPolicy policy_;
  Rng& rng_;
  State state_ = State::reading_request;
  RequestBook& book_;
  std::optional<RequestBook::Reading> reading_;  // until the request has come
  std::optional<RequestBook::Place> place_;      // once there is something to dial
  FrameReader frames_{k_max_message};
  ByteFifo output_;
  Instant deadline_;
  Instant step_deadline_{};  // of the request, of waiting and of dialling
  std::uint32_t index_ = 0;  // of the address that was picked
  WantDialBack task_;
  DialRequestServerStatus status_;
  std::optional<Result<WantDialBack>> result_;
};

}  // namespace dig::autonat
