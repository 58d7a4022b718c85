// SPDX-License-Identifier: Apache-2.0
// Peers of bench/sharing_bench.py, each with an identity and connections of its own; ten of them share an address
// 127.x.y.z.
//
//   directory_load feed SEED COUNT AT_ONCE SERVER…
//     Registers the peers 0 to COUNT-1, each with a record and a page, at the servers in turn, so many at a time, and
//     has each leave when it is acknowledged. What is refused for the moment is tried again. Prints {"registered",
//     "replicated", "retried"}.
//   directory_load probe SEED COUNT LOOK-UPS REGISTRATIONS SERVER…
//     Asks each server so many times a second for one of these peers, and registers so many times a second one of a few
//     peers that are not among them. Prints a line for each answer: {"at", "kind", "server", "ms", "ok"}, with "found"
//     or "replicated"; "at" is the monotonic clock, in seconds, when it was asked. Ends with the end of stdin.
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/decimal.hpp"
#include "net/clock.hpp"
#include "net/testing/directory_peer.hpp"

namespace {

using namespace dig;
using namespace std::chrono_literals;
using net::testing::DirectoryPeer;
using net::testing::numbered_identity;
namespace json = boost::json;

constexpr std::uint64_t k_peers_per_address = 10;
constexpr std::uint64_t k_networks = 50;  // of 65,536 addresses
constexpr std::uint64_t k_probes = 32;
constexpr std::uint64_t k_first_probe = 10'000'000;
constexpr Duration k_try_again = 200ms;

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << "directory_load: " << why << '\n';
  std::exit(1);
}

std::uint64_t number_of(const char* text) {
  const auto number = parse_decimal(text, UINT32_MAX);
  if (!number) give_up("no number: " + std::string(text));
  return *number;
}

IpAddress address_of(std::uint64_t peer) {
  const std::uint64_t number = peer / k_peers_per_address;
  const std::uint64_t host = number / k_networks;
  return IpAddress::v4({127, static_cast<std::uint8_t>(10 + number % k_networks), static_cast<std::uint8_t>(host / 250),
                        static_cast<std::uint8_t>(1 + host % 250)});
}

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

class Feeder {
 public:
  Feeder(net::Loop& loop, std::uint64_t seed, std::uint64_t count, std::vector<Multiaddr> servers)
      : loop_(loop), seed_(seed), count_(count), servers_(std::move(servers)) {}

  void run(std::uint64_t at_once) {
    for (std::uint64_t i = 0; i < at_once; ++i) start_next();
    loop_.run();
    std::cout << json::serialize(
                     json::object{{"registered", registered_}, {"replicated", replicated_}, {"retried", retried_}})
              << std::endl;
  }

 private:
  struct Peer {
    std::uint64_t number;
    std::unique_ptr<DirectoryPeer> peer;
    std::unique_ptr<net::Timer> again;
  };

  void start_next() {
    if (next_ == count_) return;
    const std::uint64_t number = next_++;
    auto one = std::make_shared<Peer>();
    one->number = number;
    one->peer = std::make_unique<DirectoryPeer>(loop_, numbered_identity(seed_, number), address_of(number));
    one->again = std::make_unique<net::Timer>(loop_, [this, peer = one.get()](Instant) { try_it(*peer); });
    peers_.push_back(one);
    try_it(*one);
  }

  void try_it(Peer& one) {
    one.peer->register_at(servers_[one.number % servers_.size()], one.peer->next_sequence(),
                          [this, &one](Result<directory::ClientEvent> answer) { handle_answer(one, answer); });
  }

  void handle_answer(Peer& one, const Result<directory::ClientEvent>& answer) {
    const auto* const done = answer ? std::get_if<directory::RegistrationDone>(&*answer) : nullptr;
    if (done == nullptr) {
      if (++retried_ > count_) give_up(answer ? "too much is refused" : answer.error().message());
      return one.again->set(net::monotonic_now() + k_try_again);
    }
    ++registered_;
    if (done->registered.is_replicated) ++replicated_;
    loop_.post([this, &one] {  // not inside of its own answer
      std::erase_if(peers_, [&](const auto& peer) { return peer.get() == &one; });
      start_next();
      if (registered_ == count_) loop_.stop();
    });
  }

  net::Loop& loop_;
  std::uint64_t seed_;
  std::uint64_t count_;
  std::vector<Multiaddr> servers_;
  std::vector<std::shared_ptr<Peer>> peers_;
  std::uint64_t next_ = 0;
  std::uint64_t registered_ = 0;
  std::uint64_t replicated_ = 0;
  std::uint64_t retried_ = 0;
};

class Prober {
 public:
  Prober(net::Loop& loop, std::uint64_t seed, std::uint64_t count, std::vector<Multiaddr> servers)
      : loop_(loop), seed_(seed), count_(count), random_(seed), servers_(std::move(servers)) {
    for (std::uint64_t i = 0; i < k_probes; ++i) {
      const std::uint64_t number = k_first_probe + i;
      probes_.push_back(
          std::make_unique<DirectoryPeer>(loop_, numbered_identity(seed_, number), address_of(count_ + i)));
    }
  }

  void run(std::uint64_t look_ups, std::uint64_t registrations) {
    Every look_up(loop_, look_ups, [this](Instant now) {
      for (std::size_t server = 0; server < servers_.size(); ++server) look_up_one(now, server);
    });
    Every registration(loop_, registrations, [this](Instant now) { register_one(now, turn_++); });
    net::ReadableWatch end(loop_, STDIN_FILENO, [this] { loop_.stop(); });
    loop_.run();
  }

 private:
  // So many times a second, also when a wake-up was late.
  class Every {
   public:
    Every(net::Loop& loop, std::uint64_t times, std::function<void(Instant)> act)
        : period_(times > 0 ? Duration(1s) / static_cast<std::int64_t>(times) : Duration(0)),
          act_(std::move(act)),
          next_(net::monotonic_now() + period_),
          timer_(loop, [this](Instant now) {
            act_(now);
            next_ = next_ + period_;
            timer_.set(next_);
          }) {
      if (times > 0) timer_.set(next_);
    }

   private:
    Duration period_;
    std::function<void(Instant)> act_;
    Instant next_;
    net::Timer timer_;
  };

  void look_up_one(Instant now, std::size_t server) {
    const PeerId wanted = numbered_identity(seed_, random_.below(count_)).peer_id();
    asker_.ask(
        servers_[server],
        [wanted](directory::DirectoryClient& client) { return client.find_peer(net::monotonic_now(), wanted); },
        [now, server](Result<directory::ClientEvent> answer) {
          json::object line = line_of("look-up", now, server);
          const auto* const found = answer ? std::get_if<directory::RecordsFound>(&*answer) : nullptr;
          line["ok"] = found != nullptr;
          line["found"] = found != nullptr && !found->records.empty();
          say(line);
        });
  }

  void register_one(Instant now, std::uint64_t turn) {
    DirectoryPeer& peer = *probes_[turn % probes_.size()];
    const std::size_t server = turn / probes_.size() % servers_.size();
    peer.register_at(servers_[server], peer.next_sequence(), [now, server](Result<directory::ClientEvent> answer) {
      json::object line = line_of("registration", now, server);
      const auto* const done = answer ? std::get_if<directory::RegistrationDone>(&*answer) : nullptr;
      line["ok"] = done != nullptr;
      line["replicated"] = done != nullptr && done->registered.is_replicated;
      say(line);
    });
  }

  static json::object line_of(const char* kind, Instant asked, std::size_t server) {
    return {{"at", milliseconds(asked.since_origin) / 1000},
            {"kind", kind},
            {"server", server},
            {"ms", milliseconds(net::monotonic_now() - asked)}};
  }
  static void say(const json::object& line) { std::cout << json::serialize(line) << std::endl; }

  net::Loop& loop_;
  std::uint64_t seed_;
  std::uint64_t count_;
  SeededRng random_;
  std::vector<Multiaddr> servers_;
  DirectoryPeer asker_{loop_, numbered_identity(seed_, k_first_probe - 1)};
  std::vector<std::unique_ptr<DirectoryPeer>> probes_;
  std::uint64_t turn_ = 0;
};

std::vector<Multiaddr> servers_of(std::span<char*> words) {
  std::vector<Multiaddr> servers;
  for (const char* word : words) {
    const auto server = Multiaddr::parse(word);
    if (!server || !server->peer_id()) give_up("no address: " + std::string(word));
    servers.push_back(*server);
  }
  return servers;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> words(argv, static_cast<std::size_t>(argc));
  const std::string mode = words.size() > 1 ? words[1] : "";
  net::Loop loop;
  if (mode == "feed" && words.size() > 5) {
    Feeder(loop, number_of(words[2]), number_of(words[3]), servers_of(words.subspan(5))).run(number_of(words[4]));
  } else if (mode == "probe" && words.size() > 6) {
    Prober(loop, number_of(words[2]), number_of(words[3]), servers_of(words.subspan(6)))
        .run(number_of(words[4]), number_of(words[5]));
  } else {
    give_up("see the head of directory_load.cpp");
  }
  return 0;
}
