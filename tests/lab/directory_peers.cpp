// SPDX-License-Identifier: Apache-2.0
// Many peers that register at bootstrap servers and look others up, each over connections of its own, driven by a
// script: commands as lines on stdin, what becomes of them as lines of JSON on stdout.
//
//   directory_peers SEED
//   register PEER ADDRESS   signs a record and a page with one store, both new, and registers them at that server
//   remove PEER ADDRESS     leaves there
//   check PEER ADDRESS      asks, as somebody else, for the record of the peer, and whether its store is listed
//
// PEER is a number; who it is follows from it and the seed. Each command ends in one line with the same words and
// "ok"; without it nothing is known. All run at once. The store of a registration follows from its sequence number.
#include <unistd.h>

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <iostream>
#include <map>
#include <sstream>

#include "base/decimal.hpp"
#include "net/clock.hpp"
#include "net/testing/directory_peer.hpp"

namespace {

using namespace dig;
using net::testing::announced_store;
using net::testing::DirectoryPeer;
using net::testing::numbered_identity;
namespace json = boost::json;

void say(const json::object& line) { std::cout << json::serialize(line) << std::endl; }

class Driver {
 public:
  Driver(net::Loop& loop, std::uint64_t seed) : loop_(loop), seed_(seed) {}

  void watch() {
    watch_.reset();  // a descriptor has one at a time
    watch_ = std::make_unique<net::ReadableWatch>(loop_, STDIN_FILENO, [this] { handle_input(); });
  }

 private:
  void handle_input() {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size <= 0) return loop_.stop();
    input_.append(buffer.data(), static_cast<std::size_t>(size));
    for (std::size_t end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
      run(input_.substr(0, end));
      input_.erase(0, end + 1);
    }
    loop_.post([this] { watch(); });
  }

  void run(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::uint64_t number = 0;
    std::string address;
    words >> command >> number >> address;
    const auto server = Multiaddr::parse(address);
    if (!server || !server->peer_id()) return say({{"event", command}, {"ok", false}, {"why", "no address: " + line}});
    json::object said{{"event", command}, {"peer", number}, {"server", address}};
    if (command == "register") {
      put(peer(number), *server, said, false);
    } else if (command == "remove") {
      put(peer(number), *server, said, true);
    } else if (command == "check") {
      check(peer(number).id(), *server, said);
    }
  }

  DirectoryPeer& peer(std::uint64_t number) {
    auto& found = peers_[number];
    if (!found) found = std::make_unique<DirectoryPeer>(loop_, numbered_identity(seed_, number));
    return *found;
  }

  static void refuse(json::object said, const Error& why) {
    said["ok"] = false;
    said["why"] = why.message();
    say(said);
  }

  static void put(DirectoryPeer& peer, const Multiaddr& server, json::object said, bool is_removal) {
    const std::uint64_t sequence = peer.next_sequence();
    said["sequence"] = sequence;
    auto told = [said](Result<directory::ClientEvent> answer) mutable {
      if (!answer) return refuse(said, answer.error());
      if (const auto* refused = std::get_if<directory::RequestRefused>(&*answer)) return refuse(said, refused->error);
      const auto* done = std::get_if<directory::RegistrationDone>(&*answer);
      said["ok"] = done != nullptr;
      said["replicated"] = done != nullptr && done->registered.is_replicated;
      say(said);
    };
    if (is_removal) {
      peer.remove_at(server, sequence, std::move(told));
    } else {
      peer.register_at(server, sequence, std::move(told));
    }
  }

  // By a peer that registers nothing.
  void check(const PeerId& wanted, const Multiaddr& server, json::object said) {
    DirectoryPeer& asker = peer(999'999);
    asker.ask(
        server, [wanted](directory::DirectoryClient& client) { return client.find_peer(net::monotonic_now(), wanted); },
        [this, &asker, wanted, server, said](Result<directory::ClientEvent> answer) mutable {
          if (!answer) return refuse(said, answer.error());
          const auto* found = std::get_if<directory::RecordsFound>(&*answer);
          said["ok"] = found != nullptr;
          said["sequence"] = 0;
          said["listed"] = false;
          if (found == nullptr || found->records.empty()) return say(said);
          const std::uint64_t sequence = found->records[0].record.sequence;
          said["sequence"] = sequence;
          // Not from inside an answer of the same client.
          loop_.post(
              [this, &asker, wanted, server, said, sequence] { check_store(asker, wanted, server, said, sequence); });
        });
  }

  static void check_store(DirectoryPeer& asker, const PeerId& wanted, const Multiaddr& server, json::object said,
                          std::uint64_t sequence) {
    asker.ask(
        server,
        [wanted, sequence](directory::DirectoryClient& client) {
          return client.find_holders(net::monotonic_now(), announced_store(wanted, sequence), {}, 8);
        },
        [wanted, said](Result<directory::ClientEvent> answer) mutable {
          if (!answer) return refuse(said, answer.error());
          const auto* found = std::get_if<directory::RecordsFound>(&*answer);
          said["ok"] = found != nullptr;
          said["listed"] = found != nullptr && std::ranges::any_of(found->records, [&](const auto& one) {
                             return one.record.peer == wanted;
                           });
          say(said);
        });
  }

  net::Loop& loop_;
  std::uint64_t seed_;
  std::string input_;
  std::unique_ptr<net::ReadableWatch> watch_;
  std::map<std::uint64_t, std::unique_ptr<DirectoryPeer>> peers_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto seed = argc > 1 ? dig::parse_decimal(argv[1], UINT32_MAX) : dig::Result<std::uint64_t>(1);
  if (!seed) return 2;
  dig::net::Loop loop;
  Driver driver(loop, *seed);
  driver.watch();
  loop.run();
  return 0;
}
