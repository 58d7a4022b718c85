// SPDX-License-Identifier: Apache-2.0
// How much a server does for whom: requests in the last minute and at this moment, in total, of one peer and of one
// source prefix. The numbers are those of go-libp2p's server, and a share for each source.
//
// A place is for a request that was read. Until then a stream is only counted among those of its peer: were it to hold
// a place, streams that say nothing would keep out everybody who asks.
//
// It remembers the requests of the last minute and the running ones, so its size is bounded by its limits; and a number
// for each peer of whom a request is being read, so by how many are connected.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "base/accept_limiter.hpp"
#include "base/time.hpp"
#include "wire/peer_id.hpp"

namespace dig::autonat {

class RequestBook {
 public:
  struct Limits {
    // In any minute.
    std::size_t total = 60;
    std::size_t per_peer = 12;
    std::size_t per_source = 24;
    std::size_t dial_data = 12;  // requests that cost dial data, and whose victim might be a third party
    std::size_t dial_data_per_source = 6;
    // At once.
    std::size_t running = 32;
    std::size_t running_per_peer = 2;
    std::size_t running_per_source = 4;
    std::size_t reading_per_peer = 4;
  };
  struct Status {
    std::size_t reading = 0;
    std::size_t running = 0;
    std::size_t in_last_minute = 0;
    std::uint64_t admitted = 0;
    std::uint64_t rejected = 0;
  };

  // A stream whose request has not come yet; it is counted until this is destroyed. The book must outlive it.
  class Reading {
   public:
    Reading(Reading&& other) noexcept : book_(std::exchange(other.book_, nullptr)), peer_(other.peer_) {}
    Reading& operator=(Reading&&) = delete;
    ~Reading() {
      if (book_ != nullptr) book_->end_reading(peer_);
    }

   private:
    friend RequestBook;
    Reading(RequestBook& book, const PeerId& peer) : book_(&book), peer_(peer) {}
    RequestBook* book_;
    PeerId peer_;
  };

  // A request that is being served; it gives its place back when it is destroyed. The book must outlive it.
  class Place {
   public:
    Place(Place&& other) noexcept : book_(std::exchange(other.book_, nullptr)), serial_(other.serial_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (book_ != nullptr) book_->end(serial_);
    }
    // Whether the request may go on when it costs dial data.
    [[nodiscard]] bool take_dial_data(Instant now) { return book_->take_dial_data(now, serial_); }

   private:
    friend RequestBook;
    Place(RequestBook& book, std::uint64_t serial) : book_(&book), serial_(serial) {}
    RequestBook* book_;
    std::uint64_t serial_;
  };

  RequestBook() : RequestBook(Limits()) {}
  explicit RequestBook(const Limits& limits) : limits_(limits) {}
  RequestBook(const RequestBook&) = delete;
  RequestBook& operator=(const RequestBook&) = delete;

  [[nodiscard]] std::optional<Reading> start_reading(const PeerId& peer);
  [[nodiscard]] std::optional<Place> admit(Instant now, const PeerId& peer, AcceptLimiter::Prefix source);
  [[nodiscard]] Status snapshot() const;

 private:
  struct Request {
    std::uint64_t serial = 0;
    Instant started;
    PeerId peer;
    AcceptLimiter::Prefix source = 0;
    bool is_running = true;
    bool has_dial_data = false;
  };

  void forget_old(Instant now);
  [[nodiscard]] bool has_room(const PeerId& peer, AcceptLimiter::Prefix source) const;
  [[nodiscard]] bool take_dial_data(Instant now, std::uint64_t serial);
  void end(std::uint64_t serial);
  void end_reading(const PeerId& peer);

  Limits limits_;
  std::deque<Request> requests_;           // in the order of their start
  std::map<PeerId, std::size_t> reading_;  // never 0
  std::uint64_t next_serial_ = 0;
  std::uint64_t rejected_ = 0;
};

}  // namespace dig::autonat
