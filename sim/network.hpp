// SPDX-License-Identifier: Apache-2.0
// The TCP of the virtual world: listeners, dials and connected sockets between hosts, over byte links. It keeps the
// order of calls that net/TcpTransports promises to its owner: handle_… for one socket, then poll_bytes of it until
// nothing comes or the link is full, then settle().
//
// A host behind a gateway has a private address; addresses are looked up as they are dialled.
//
// Faults: a path can be cut (every connection on it is reset), be silent for a while (nothing arrives until it is
// healed; who waits too long for an acknowledgement gives up), and a host can lose power (its sockets vanish unsaid).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "base/strong_id.hpp"
#include "sim/event_queue.hpp"
#include "sim/gateway.hpp"
#include "sim/link.hpp"
#include "sim/trace.hpp"

namespace dig::sim {

using SocketId = StrongId<struct SocketIdTag>;        // one end of a connection; never used twice
using DialToken = StrongId<struct DialTokenTag>;      // given by who dials
using OwnerNumber = StrongId<struct OwnerNumberTag>;  // for the trace

// A program that has sockets: a node's shell, or a hostile peer.
class SocketOwner {
 public:
  virtual ~SocketOwner() = default;
  [[nodiscard]] virtual OwnerNumber number() const = 0;
  [[nodiscard]] virtual bool admits(const Endpoint& remote) = 0;
  virtual void handle_accepted(SocketId socket, const Endpoint& local, const Endpoint& remote) = 0;
  virtual void handle_dialled(DialToken dial, SocketId socket, const Endpoint& local, const Endpoint& remote) = 0;
  virtual void handle_dial_failed(DialToken dial, const Error& error) = 0;
  virtual void handle_bytes(SocketId socket, BytesView bytes) = 0;
  virtual void handle_eof(SocketId socket) = 0;
  virtual void handle_error(SocketId socket, const Error& error) = 0;
  [[nodiscard]] virtual std::size_t poll_bytes(SocketId socket, MutableBytes out) = 0;
  [[nodiscard]] virtual bool wants_bytes(SocketId socket) = 0;
  virtual void settle() = 0;
};

class Network {
 public:
  struct Limits {
    Duration dial_timeout = 20s;     // of a SYN that nobody answers
    Duration silence_timeout = 20s;  // of bytes that nobody acknowledges
    Duration linger = 5s;            // a graceful close becomes an abort after this
  };
  struct Status {
    std::size_t sockets = 0;
    std::size_t dials = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t connections = 0;
  };

  Network(EventQueue& events, Trace& trace, Rng& rng) : events_(events), trace_(trace), rng_(rng) {}

  void listen(SocketOwner& owner, const Endpoint& local) { listeners_[local] = &owner; }
  void stop_listening(const Endpoint& local) { listeners_.erase(local); }
  // Answered once, unless it is cancelled. Port 0 of `from`: a fresh one.
  void dial(SocketOwner& owner, DialToken token, Endpoint from, const Endpoint& to);
  void cancel_dial(SocketOwner& owner, DialToken token) { dials_.erase({&owner, token}); }
  void flush(SocketId socket);
  void close(SocketId socket, bool is_graceful);

  // The hosts inside reach others through it, and are reached by others only so.
  // It stays where it is.
  Gateway& add_gateway(const GatewaySpec& spec) { return gateways_.emplace_back(spec, rng_); }

  // The path between two hosts, both directions, for connections made from now on.
  void set_default_link(const LinkSpec& spec) { default_link_ = spec; }
  void set_link(const IpAddress& a, const IpAddress& b, const LinkSpec& spec) { links_[path(a, b)] = spec; }

  void cut(const IpAddress& a, const IpAddress& b);
  void silence(const IpAddress& a, const IpAddress& b);
  void heal(const IpAddress& a, const IpAddress& b);
  // All sockets and dials of the owner are gone: with resets, as when a process is killed, or without a word.
  void forget(SocketOwner& owner, bool says_so);

  [[nodiscard]] Status snapshot() const;

 private:
  using Path = std::pair<IpAddress, IpAddress>;
  struct Socket {
    SocketOwner* owner = nullptr;
    Endpoint local;
    Endpoint remote;
    SocketId other;
    ByteLink out;
    bool is_up = false;  // the owner knows it
    bool is_closing = false;
    bool has_sent_end = false;
    bool has_received_end = false;
    bool is_watched = false;          // for silence
    std::optional<Instant> delivery;  // scheduled
  };

  [[nodiscard]] static Path path(const IpAddress& a, const IpAddress& b) { return a < b ? Path{a, b} : Path{b, a}; }
  [[nodiscard]] LinkSpec link_of(const IpAddress& a, const IpAddress& b) const;
  [[nodiscard]] bool is_silent(const IpAddress& a, const IpAddress& b) const { return silent_.contains(path(a, b)); }
  [[nodiscard]] Socket* find(SocketId socket);

  // Where a connection leads, as its two ends are seen at the far one.
  struct Route {
    Endpoint source;
    Endpoint target;
  };
  // Nothing: no way, or a NAT in it says nothing.
  [[nodiscard]] std::optional<Route> route(const Endpoint& from, const Endpoint& to);
  [[nodiscard]] Gateway* gateway_of(const IpAddress& inside);

  void handle_syn(SocketOwner& owner, DialToken token, const Endpoint& from, const Endpoint& to, const Route& route);
  void answer_dial(SocketOwner& owner, DialToken token, Result<SocketId> result);
  [[nodiscard]] std::pair<SocketId, SocketId> connect(SocketOwner& dialler, const Endpoint& from, const Endpoint& to,
                                                      SocketOwner& listener, const Route& route);
  void schedule_delivery(SocketId socket);
  void deliver(SocketId socket);
  void hand_over(SocketId id, Socket& socket, ByteLink::Segment segment);
  void acknowledge(SocketId sender, std::size_t size);
  void pump_out(SocketId socket);
  void watch(SocketId socket);
  void break_later(SocketId socket, Instant when);
  void break_now(SocketId socket, const Error& error);
  void remove(SocketId socket) { sockets_.erase(socket); }
  void remove_if_done(SocketId socket);
  void note(const Socket& socket, TraceKind kind, SocketId id, BytesView bytes = {});

  EventQueue& events_;
  Trace& trace_;
  Rng& rng_;
  Limits limits_;
  LinkSpec default_link_;
  std::map<Path, LinkSpec> links_;
  std::set<Path> silent_;
  std::map<Endpoint, SocketOwner*> listeners_;
  std::deque<Gateway> gateways_;
  std::set<std::pair<SocketOwner*, DialToken>> dials_;
  std::map<SocketId, Socket> sockets_;
  std::uint64_t next_socket_ = 1;
  std::uint16_t next_port_ = 32'768;
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t connections_ = 0;
};

}  // namespace dig::sim
