// SPDX-License-Identifier: Apache-2.0
// A TURN server and its model, side by side, with the shell around them. An input is told to the model first (model()),
// then given to the server here; what the server does is compared with what the model expects. Test-only.
#pragma once

#include "proto/turn_server/testing/schedule_request.hpp"
#include "proto/turn_server/testing/server_schedule.hpp"

namespace dig::turn::testing {

struct ClientSpec {
  std::string_view remote;
  StunTransport transport;
  std::string_view user;
  Habit habit;
};
// The first two are one source, and so are the last two.
inline constexpr std::array<ClientSpec, 6> k_clients{{
    {"192.0.2.10:5000", StunTransport::udp, "user", {}},
    {"192.0.2.10:5001", StunTransport::udp, "user", {}},
    {"198.51.100.20:5000", StunTransport::udp, "other", {.uses_sha256 = true}},
    {"192.0.2.11:5000", StunTransport::tcp, "user", {.uses_sha256 = true, .uses_userhash = true}},
    {"[2001:db8:0:1::5]:5000", StunTransport::udp, "other", {}},
    {"[2001:db8:0:2::6]:5000", StunTransport::tls, "other", {}},
}};

class ServerPair final : Sink {
 public:
  ServerPair(const ServerConfig& config, const QuotaBook::Limits& quotas);

  [[nodiscard]] ServerModel& model() noexcept { return model_; }
  [[nodiscard]] Instant now() const noexcept { return now_; }
  [[nodiscard]] const ClientPath& path(std::size_t client) const { return paths_[client]; }
  // The last nonce that the client was given, and when; empty: none yet.
  [[nodiscard]] const std::string& nonce(std::size_t client) const { return nonces_[client]; }
  [[nodiscard]] Instant nonce_made(std::size_t client) const { return nonces_made_[client]; }

  void begin_step() { ++step_; }
  [[nodiscard]] std::size_t step() const noexcept { return step_; }
  [[nodiscard]] const ScheduleResult& result() const noexcept { return result_; }

  // --- inputs of the server ---------------------------------------------------------------------------------------
  void route(std::size_t client, BytesView bytes, std::uint16_t segment = 0);
  // Bytes that nobody can have authenticated and of which the model knows nothing: no more than one small answer may
  // come of them, and nothing may change.
  void route_stranger(std::size_t client, BytesView bytes);
  void route_peer(RelayId relay, const Endpoint& from, BytesView data, std::uint16_t segment);
  // Time passes; the timer comes when it is due, or not yet.
  void pass(Duration duration, bool has_timer);
  void close(std::size_t client);
  void drain(const std::optional<Endpoint>& alternate);
  // What the next opening of a port comes to, unless it works; and of one that took its time. False: there is none.
  enum class Opening : std::uint8_t { works, takes_time, port_in_use, fails };
  void plan_opening(Opening how);
  [[nodiscard]] bool answer_held(Opening how);
  // When all is over everything is given back.
  void finish();

  // How large the next answer to a stranger is to be.
  void expect_size(std::size_t size) { expected_size_ = size; }

 private:
  void to_client(const ClientPath& path, BytesView head, BytesView payload, std::size_t padding) override;
  void to_peer(RelayId relay, const Endpoint& peer, BytesView payload, bool dont_fragment) override;
  void see_answer(std::size_t client, const stun::Message& message);
  [[nodiscard]] std::string details(std::size_t client, const stun::Message& message);

  void settle();
  [[nodiscard]] bool answer_opening();
  void opened(RelayId relay, Opening how);
  void see(const OpenRelay& open);
  void see(const CloseRelay& closed);
  void see(const CloseClient& closed);
  void see(const AllocationMade& made);
  void see(const AllocationEnded& ended);

  void fail(std::string why);
  void compare_lines(std::string_view what, const ServerModel::Lines& expected, const ServerModel::Lines& seen);
  void compare_numbers(std::string_view what, std::size_t expected, std::size_t seen);
  void compare(std::string_view what);

  Duration max_lifetime_;
  SeededRng rng_{1};
  StaticUsers users_{std::string(k_schedule_realm)};
  Quotas quotas_;
  Server server_;
  ServerModel model_;
  Instant now_{1000s};
  std::array<ClientPath, k_clients.size()> paths_;
  std::array<std::string, k_clients.size()> nonces_;
  std::array<Instant, k_clients.size()> nonces_made_{};
  std::deque<Opening> openings_;  // what the next ones come to; when it is empty they work
  std::deque<RelayId> asked_;     // openings to be answered at once
  std::deque<RelayId> held_;      // and later
  std::size_t step_ = 0;
  std::size_t ports_ = 0;  // free at the start
  std::optional<std::size_t> expected_size_;
  std::size_t answer_size_ = 0;
  ServerModel::Lines outputs_;
  ServerModel::Lines events_;
  ScheduleResult result_;
};

}  // namespace dig::turn::testing
