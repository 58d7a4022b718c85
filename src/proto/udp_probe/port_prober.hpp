// SPDX-License-Identifier: Apache-2.0
// Finds out whether datagrams from outside reach relay ports of this node: has such a port opened, asks servers to send
// a datagram there, and believes what comes, never what a server says. A NAT or firewall lets the datagram in only if
// it lets in everybody's, as nothing was ever sent from the port.
//
// It is asked again from time to time, as leases and firewalls change. A port counts as closed only when a server says
// that it has sent and nothing came; what stands is not given up because nobody could try, nor for one lost datagram.
// Where a preferred server is asked, what the others say they have sent counts only if it sends nothing there ever.
//
// After each call the owner drains poll_event().
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "wire/peer_id.hpp"
#include "wire/udp_probe_message.hpp"

namespace dig::udp_probe {

// --- requests to the owner ----------------------------------------------------------------------------------------
struct WantPort {  // answered by handle_listening()
  std::uint64_t probe = 0;
  IpAddress target;
};
struct DropPort {
  std::uint64_t probe = 0;
};
struct WantDatagram {  // answered by handle_answer()
  std::uint64_t probe = 0;
  PeerId server;
  Request request;
};
// --- facts --------------------------------------------------------------------------------------------------------
struct VerdictChanged {};  // what is_reached() or why_not() say of a target
using ProberEvent = std::variant<WantPort, DropPort, WantDatagram, VerdictChanged>;

class PortProber {
 public:
  using Event = ProberEvent;
  struct Limits {
    std::size_t max_servers = 3;  // asked for one verdict, one of a source prefix
    Duration patience = 12s;      // for all of it: the streams' timeout, and a datagram's way
    // Between two probes that a datagram has answered: doubled each time, as of autonat::ReachabilityProber.
    Duration first_interval = 10min;
    Duration max_interval = 6h;
    Duration retry = 5min;   // after none has come
    Duration min_gap = 15s;  // between two probes, whatever changes
  };

  // `rng` outlives the prober: nonces must be secret.
  PortProber(Rng& rng, const Limits& limits) : rng_(rng), limits_(limits) {}

  // Where this node is reached, with relay ports to be tried; nothing: nobody wants to know. Of another address nothing
  // is known.
  void set_target(Instant now, std::optional<IpAddress> target);
  // Who can be asked. Preferred ones are, before all others.
  void add_server(Instant now, const PeerId& server, const IpAddress& address, bool is_preferred);
  void remove_server(Instant now, const PeerId& server);
  // What is known was found out elsewhere, and counts until it is known better.
  void handle_network_changed(Instant now);
  // `relay`: where others reach the port that was opened. Errors: port_in_use says nothing about the ports; any other
  // error that there can be none.
  void handle_listening(Instant now, std::uint64_t probe, const Result<Endpoint>& relay);
  void handle_answer(Instant now, std::uint64_t probe, const PeerId& server, const Result<Response>& answer);
  void handle_datagram(Instant now, std::uint64_t probe, BytesView datagram);
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::optional<Event> poll_event();

  [[nodiscard]] bool is_reached() const noexcept { return is_reached_; }
  // While it is not: why, for people.
  [[nodiscard]] std::string why_not() const;

 private:
  struct Server {
    IpAddress address;
    bool is_preferred = false;
  };
  struct Asked {
    PeerId server;
    Nonce nonce{};
    bool is_preferred = false;
    std::optional<bool> was_sent{};  // as the server says; absent: it has said nothing yet
  };

  void start_if_due(Instant now);
  void start_soon(Instant now);
  void retry_later(Instant now);
  [[nodiscard]] std::vector<PeerId> choose_servers(const IpAddress& relay);
  [[nodiscard]] bool was_sent() const;
  void end_reached(Instant now);
  void end_unreached(Instant now, std::string why);
  void end_untried(Instant now, std::string why);
  void abandon();
  void tell_if_changed();

  Rng& rng_;
  Limits limits_;
  std::optional<IpAddress> target_;
  std::map<PeerId, Server> servers_;  // connected ones
  std::uint64_t probe_ = 0;           // the running one, or the last
  bool is_running_ = false;
  std::vector<Asked> asked_;
  std::string complaint_;  // of this probe
  Instant deadline_;       // of it
  std::optional<Instant> started_;
  std::optional<Instant> next_;
  Duration interval_{};  // until the next probe after one that a datagram answers
  bool is_reached_ = false;
  bool is_doubtful_ = false;  // nothing came in the last probe, where something has before
  std::string failure_;       // why it is not reached, as far as it was tried
  std::string told_;          // why_not() at the last VerdictChanged
  std::deque<Event> events_;
};

}  // namespace dig::udp_probe
