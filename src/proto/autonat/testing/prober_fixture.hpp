// SPDX-License-Identifier: Apache-2.0
// A ReachabilityProber with a clock and servers that its tests play.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "proto/autonat/reachability_prober.hpp"
#include "wire/identity.hpp"

namespace dig::autonat {

inline const Multiaddr k_mapped = Multiaddr::parse("/ip4/8.8.8.8/tcp/4001").value();
inline const Multiaddr k_v6 = Multiaddr::parse("/ip6/2a00::8/tcp/4001").value();
inline const DialResponse k_dialled{ResponseStatus::ok, 0, DialStatus::ok};
inline const DialResponse k_failed{ResponseStatus::ok, 0, DialStatus::dial_error};

class ReachabilityProberTest : public ::testing::Test {
 protected:
  PeerId add_server(const std::string& address) {
    const PeerId peer = Identity::generate(keys).peer_id();
    prober.add_server(now, peer, IpAddress::parse(address).value());
    drain();
    return peer;
  }
  // 1.0.0.1, 1.0.0.2, …
  void add_servers(int count) {
    for (int i = 1; i <= count; ++i) add_server("1.0.0." + std::to_string(i));
  }
  void set(std::vector<Candidate> candidates) {
    prober.set_candidates(now, candidates);
    drain();
  }
  void set_one() { set({{k_mapped, CandidateSource::mapped}}); }
  void drain() {
    while (auto event = prober.poll_event()) {
      if (auto* question = std::get_if<AskServer>(&*event)) asked.push_back(std::move(*question));
      if (const auto* confirmed = std::get_if<AddressConfirmed>(&*event)) {
        story.push_back(confirmed->address.to_string() + " confirmed by " + text(confirmed->confidence));
      }
      if (const auto* refuted = std::get_if<AddressRefuted>(&*event)) {
        story.push_back(refuted->address.to_string() + " refuted by " + text(refuted->confidence));
      }
      if (const auto* changed = std::get_if<ReachabilityChanged>(&*event)) {
        story.push_back(std::string(changed->family == IpFamily::v4 ? "v4 " : "v6 ") +
                        (changed->reachability == Verdict::reachable     ? "reachable"
                         : changed->reachability == Verdict::unreachable ? "unreachable"
                                                                         : "unknown"));
      }
    }
  }
  static std::string text(const Confidence& confidence) {
    return std::to_string(confidence.servers) + (confidence.has_stranger ? " and a stranger" : "");
  }
  std::vector<std::string> told() { return std::exchange(story, {}); }
  AskServer take() {
    EXPECT_FALSE(asked.empty());
    AskServer question = asked.front();
    asked.erase(asked.begin());
    return question;
  }
  DialBackArrival arrival(const AskServer& question) const {
    const bool is_v6 = question.request.addresses.front() == k_v6;
    return {.nonce = question.request.nonce,
            .local = Endpoint::parse(is_v6 ? "[2a00::8]:4001" : "192.168.1.2:4001").value(),
            .established = now};
  }
  bool dial_back(const DialBackArrival& what) {
    const bool is_awaited = prober.handle_dial_back(now, what);
    drain();
    return is_awaited;
  }
  void respond(const AskServer& question, const Result<DialResponse>& response, std::uint64_t dial_data = 0) {
    prober.handle_result(now, question.probe, response, dial_data);
    drain();
  }
  void succeed(const AskServer& question) {
    EXPECT_TRUE(dial_back(arrival(question)));
    respond(question, k_dialled);
  }
  void pass(Duration time) {
    const Instant end = now + time;
    while (prober.next_timeout() && *prober.next_timeout() <= end) {
      ASSERT_GE(*prober.next_timeout(), now);
      now = *prober.next_timeout();
      prober.handle_timeout(now);
      ASSERT_TRUE(!prober.next_timeout() || *prober.next_timeout() > now) << "the loop would spin";
      drain();
    }
    now = end;
  }

  SeededRng keys{7};
  SeededRng rng{1};
  Instant now{1h};
  ReachabilityProber prober{rng};
  std::vector<AskServer> asked;
  std::vector<std::string> story;
};

}  // namespace dig::autonat
