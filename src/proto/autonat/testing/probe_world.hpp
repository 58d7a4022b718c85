// SPDX-License-Identifier: Apache-2.0
// A node that asks servers of all habits about its reachability, in virtual time: the prober and the machines of both
// ends are the real ones, only what hostile servers say is made up. Whatever they do, what the prober must never do is
// checked at each step and written down. Test-only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "proto/autonat/dial_request_client.hpp"
#include "proto/autonat/dial_request_server.hpp"
#include "proto/autonat/reachability_prober.hpp"
#include "wire/identity.hpp"

namespace dig::autonat::testing {

enum class Habit : std::uint8_t {
  honest,
  claims,          // a dial-back that it did not make
  wrong_nonce,     // dials back with another nonce
  old_connection,  // says the nonce on a connection that stood before
  other_family,    // dials another address of the node
  denies,          // says that nobody is there, without looking
  late,            // does everything, after its time
  closes,          // ends the stream somewhere
  silent,
  greedy,      // takes all the dial data there is and then rejects
  endless,     // asks for more dial data than there is
  insatiable,  // asks again and again
  garbage,
};

class ProbeWorld {
 public:
  ProbeWorld(std::uint64_t seed, const ReachabilityProber::Limits& limits);
  ~ProbeWorld();

  PeerId add_server(Habit habit, const IpAddress& address);
  void remove_server(const PeerId& server);
  void set_candidates(std::vector<Candidate> candidates);
  void at(Duration delay, std::function<void()> action);
  void run(Duration time);

  [[nodiscard]] Verdict verdict(const Multiaddr& address) const;

  const ReachabilityProber::Limits limits;
  SeededRng rng;  // of the world
  Instant now{1h};
  // Where the node can be reached, and where from it is seen by servers.
  std::set<Multiaddr> reachable;
  Endpoint seen_at;
  std::vector<std::string> violations;
  std::uint64_t probes = 0;
  std::uint64_t dial_data = 0;
  std::uint64_t confirmations = 0;

 private:
  class ServerEnd;
  class HonestEnd;
  class HostileEnd;
  struct Server {
    Habit habit = Habit::honest;
    IpAddress address;
    std::unique_ptr<RequestBook> book = std::make_unique<RequestBook>();
    std::optional<Instant> last_asked;
    std::optional<Instant> lied;  // it claimed what did not come
    bool is_asked = false;
  };
  struct Stream {
    PeerId server;
    Multiaddr address;
    DialRequestClient client;
    std::unique_ptr<ServerEnd> end;
    Instant client_hears{};  // not before: bytes do not overtake each other
    Instant server_hears{};
    std::uint64_t dial_data = 0;
  };
  struct Action {
    Instant at;
    std::uint64_t serial = 0;
    std::function<void()> run;
    bool operator>(const Action& other) const { return std::tie(at, serial) > std::tie(other.at, other.serial); }
  };

  void drain();
  void open(const AskServer& question);
  void pump(ProbeId probe);
  void report(ProbeId probe, const Result<DialResponse>& result);
  // A dial of `address` by `server`, as far as it gets.
  DialBackOutcome dial(const PeerId& server, const Multiaddr& address, std::uint64_t nonce);
  bool arrive(std::uint64_t nonce, const Multiaddr& address, Instant established);
  void check_confirmed(const AddressConfirmed& confirmed);
  void check_budget();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  void handle_timeouts();
  Duration random_delay(Duration most);

  SeededRng prober_rng_;
  SeededRng keys_;
  ReachabilityProber prober_;
  std::map<PeerId, Server> servers_;
  std::map<ProbeId, std::unique_ptr<Stream>> streams_;
  std::priority_queue<Action, std::vector<Action>, std::greater<>> actions_;
  std::uint64_t next_serial_ = 0;
  std::map<Multiaddr, std::set<PeerId>> dialled_;  // who has really reached what
  std::deque<std::pair<Instant, std::uint64_t>> sent_;
};

}  // namespace dig::autonat::testing
