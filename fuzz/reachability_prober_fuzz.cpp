// SPDX-License-Identifier: Apache-2.0
// The prober under any order of answers, dial-backs and changes: it confirms what was reached and nothing else, its
// timers never stand still, and its budget holds.
#include "proto/autonat/reachability_prober.hpp"

#include <set>

#include "input.hpp"

namespace {

using namespace dig;
using namespace dig::autonat;
using fuzz::require;

class Run {
 public:
  explicit Run(fuzz::Input input) : input_(input) {}

  void all() {
    while (input_.size > 0) {
      step(input_.byte());
      drain();
      const ProberStatus status = prober_.snapshot();
      require(status.probes <= 3 && status.servers <= 4 && status.candidates.size() <= 3);
      require(status.dial_data <= limits().dial_data_per_hour);
      require(!prober_.next_timeout() || *prober_.next_timeout() >= now_);
    }
  }

 private:
  static ReachabilityProber::Limits limits() {
    ReachabilityProber::Limits limits;
    limits.max_candidates = 3;
    limits.max_servers = 4;
    limits.dial_data_per_hour = 300'000;
    return limits;
  }
  static PeerId peer(std::uint8_t number) {
    return PeerId::from_public_key(PublicKey::ed25519(Bytes(32, std::byte{number})));
  }
  static Multiaddr address(std::uint8_t number) { return Multiaddr::tcp({IpAddress::v4({8, 8, 8, number}), 4001}); }

  void step(std::uint8_t operation) {
    const std::uint8_t what = input_.byte();
    switch (operation % 8) {
      case 0:
        return prober_.add_server(now_, peer(what % 8), IpAddress::v4({1, 0, 0, static_cast<std::uint8_t>(what / 32)}));
      case 1:
        return prober_.remove_server(now_, peer(what % 8));
      case 2: {
        std::vector<Candidate> candidates;
        for (std::uint8_t i = 0; i < 8; ++i) {
          if ((what >> i) % 2 == 1) candidates.push_back({address(i), CandidateSource::mapped});
        }
        return prober_.set_candidates(now_, candidates);
      }
      case 3:
        now_ = now_ + std::chrono::seconds(what) * (operation > 128 ? 60 : 1);
        prober_.handle_timeout(now_);
        return require(!prober_.next_timeout() || *prober_.next_timeout() > now_);
      case 4:
        return respond(what);
      case 5:
        return dial_back(what);
      default:
        if (what < 8) prober_.handle_network_changed(now_);
    }
  }
  void respond(std::uint8_t what) {
    if (questions_.empty()) return;
    const AskServer question = questions_[what % questions_.size()];
    Result<DialResponse> response = fail(Errc::timed_out);
    if (what < 128) response = DialResponse{ResponseStatus::ok, 0, DialStatus::ok};
    if (what < 64) response = DialResponse{ResponseStatus::ok, 0, DialStatus::dial_error};
    if (what < 32) response = DialResponse{ResponseStatus::request_rejected, 0, DialStatus::unused};
    if (what < 16) response = DialResponse{ResponseStatus::dial_refused, 0, DialStatus::unused};
    prober_.handle_result(now_, question.probe, response, question.max_dial_data * (what % 5) / 4);
  }
  void dial_back(std::uint8_t what) {
    if (questions_.empty()) return;
    const AskServer& question = questions_[what % questions_.size()];
    DialBackArrival arrival{.nonce = question.request.nonce,
                            .local = {IpAddress::v4({192, 168, 1, 2}), 4001},
                            .remote = {IpAddress::v4({1, 0, 0, 1}), 50'000},
                            .established = now_,
                            .is_stranger = what % 3 == 0};
    const bool is_false = what >= 128;
    if (what >= 192) {
      arrival.nonce += what;
    } else if (is_false) {
      arrival.local.address = IpAddress::loopback(IpFamily::v6);
    }
    const bool is_taken = prober_.handle_dial_back(now_, arrival);
    require(!is_taken || !is_false);
    if (is_taken) reached_.insert(question.request.addresses.front());
  }
  void drain() {
    while (auto event = prober_.poll_event()) {
      if (auto* question = std::get_if<AskServer>(&*event)) {
        require(question->request.addresses.size() == 1);
        questions_.push_back(std::move(*question));
        if (questions_.size() > 16) questions_.erase(questions_.begin());
      }
      if (const auto* confirmed = std::get_if<AddressConfirmed>(&*event)) {
        require(reached_.contains(confirmed->address) && confirmed->confidence.servers > 0);
      }
      if (const auto* refuted = std::get_if<AddressRefuted>(&*event)) require(refuted->confidence.servers > 0);
    }
  }

  fuzz::Input input_;
  Instant now_{1h};
  SeededRng rng_{1};
  ReachabilityProber prober_{rng_, limits()};
  std::vector<AskServer> questions_;
  std::set<Multiaddr> reached_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Run(fuzz::Input{data, size}).all();
  return 0;
}
