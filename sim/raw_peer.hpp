// SPDX-License-Identifier: Apache-2.0
// A program that speaks no protocol: opens connections and sends what it is told, or nothing, byte by byte if need be.
// Stands for hostile, broken and slow peers.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "sim/network.hpp"

namespace dig::sim {

class RawPeer final : public SocketOwner {
 public:
  struct Spec {
    Bytes bytes;            // sent on each connection
    std::size_t piece = 1;  // so many at once
    Duration pause = 1ms;   // between two pieces
    bool reads = true;      // false: takes nothing off its sockets
  };

  RawPeer(EventQueue& events, Network& network, OwnerNumber number, const IpAddress& address, Spec spec)
      : events_(events), network_(network), number_(number), address_(address), spec_(std::move(spec)) {}

  void dial(const Endpoint& remote) { network_.dial(*this, DialToken{next_dial_++}, {address_, 0}, remote); }

  [[nodiscard]] std::size_t open() const noexcept { return open_.size(); }
  [[nodiscard]] std::size_t connected() const noexcept { return connected_; }  // ever
  [[nodiscard]] std::size_t ended() const noexcept { return ended_; }          // by the other side
  [[nodiscard]] std::size_t received() const noexcept { return received_; }    // bytes

 private:
  struct Sending {
    std::size_t allowed = 0;
    std::size_t sent = 0;
  };

  [[nodiscard]] OwnerNumber number() const override { return number_; }
  [[nodiscard]] bool admits(const Endpoint&) override { return true; }
  void handle_accepted(SocketId socket, const Endpoint&, const Endpoint&) override { begin(socket); }
  void handle_dialled(DialToken, SocketId socket, const Endpoint&, const Endpoint&) override { begin(socket); }
  void handle_dial_failed(DialToken, const Error&) override {}
  void handle_bytes(SocketId, BytesView bytes) override { received_ += bytes.size(); }
  void handle_eof(SocketId socket) override {
    end(socket);
    network_.close(socket, true);
  }
  void handle_error(SocketId socket, const Error&) override { end(socket); }
  [[nodiscard]] std::size_t poll_bytes(SocketId socket, MutableBytes out) override {
    const auto found = open_.find(socket);
    if (found == open_.end()) return 0;
    Sending& sending = found->second;
    const std::size_t size = std::min(sending.allowed - sending.sent, out.size());
    std::copy_n(spec_.bytes.begin() + static_cast<std::ptrdiff_t>(sending.sent), size, out.begin());
    sending.sent += size;
    return size;
  }
  [[nodiscard]] bool wants_bytes(SocketId) override { return spec_.reads; }
  void settle() override {}

  void begin(SocketId socket) {
    ++connected_;
    open_[socket] = {};
    allow(socket);
  }
  void end(SocketId socket) { ended_ += open_.erase(socket); }
  void allow(SocketId socket) {
    const auto found = open_.find(socket);
    if (found == open_.end() || found->second.allowed == spec_.bytes.size()) return;
    found->second.allowed = std::min(found->second.allowed + spec_.piece, spec_.bytes.size());
    network_.flush(socket);
    events_.after(spec_.pause, [this, socket] { allow(socket); });
  }

  EventQueue& events_;
  Network& network_;
  OwnerNumber number_;
  IpAddress address_;
  Spec spec_;
  std::uint64_t next_dial_ = 1;
  std::map<SocketId, Sending> open_;
  std::size_t connected_ = 0;
  std::size_t ended_ = 0;
  std::size_t received_ = 0;
};

}  // namespace dig::sim
