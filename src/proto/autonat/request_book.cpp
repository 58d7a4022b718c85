// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/request_book.hpp"

#include <algorithm>

namespace dig::autonat {

std::optional<RequestBook::Reading> RequestBook::start_reading(const PeerId& peer) {
  const auto of_peer = reading_.try_emplace(peer).first;
  if (of_peer->second >= limits_.reading_per_peer) {
    ++rejected_;
    return std::nullopt;
  }
  ++of_peer->second;
  return Reading(*this, peer);
}

void RequestBook::end_reading(const PeerId& peer) {
  const auto of_peer = reading_.find(peer);
  if (--of_peer->second == 0) reading_.erase(of_peer);
}

std::optional<RequestBook::Place> RequestBook::admit(Instant now, const PeerId& peer, AcceptLimiter::Prefix source) {
  forget_old(now);
  if (!has_room(peer, source)) {
    ++rejected_;
    return std::nullopt;
  }
  requests_.push_back({.serial = next_serial_++, .started = now, .peer = peer, .source = source});
  return Place(*this, requests_.back().serial);
}

bool RequestBook::has_room(const PeerId& peer, AcceptLimiter::Prefix source) const {
  std::size_t of_peer = 0, of_source = 0, running = 0, running_of_peer = 0, running_of_source = 0;
  for (const Request& request : requests_) {
    const bool is_peer = request.peer == peer;
    const bool is_source = request.source == source;
    if (is_peer) ++of_peer;
    if (is_source) ++of_source;
    if (!request.is_running) continue;
    ++running;
    if (is_peer) ++running_of_peer;
    if (is_source) ++running_of_source;
  }
  return requests_.size() < limits_.total && of_peer < limits_.per_peer && of_source < limits_.per_source &&
         running < limits_.running && running_of_peer < limits_.running_per_peer &&
         running_of_source < limits_.running_per_source;
}

bool RequestBook::take_dial_data(Instant now, std::uint64_t serial) {
  forget_old(now);
  const auto request = std::ranges::find(requests_, serial, &Request::serial);
  std::size_t total = 0, of_source = 0;
  for (const Request& other : requests_) {
    if (!other.has_dial_data) continue;
    ++total;
    if (other.source == request->source) ++of_source;
  }
  if (total >= limits_.dial_data || of_source >= limits_.dial_data_per_source) {
    ++rejected_;
    return false;
  }
  request->has_dial_data = true;
  return true;
}

void RequestBook::end(std::uint64_t serial) {
  std::ranges::find(requests_, serial, &Request::serial)->is_running = false;
}

void RequestBook::forget_old(Instant now) {
  std::erase_if(requests_,
                [&](const Request& request) { return !request.is_running && now - request.started >= 1min; });
}

RequestBook::Status RequestBook::snapshot() const {
  const auto running = std::ranges::count(requests_, true, &Request::is_running);
  std::size_t reading = 0;
  for (const auto& [peer, streams] : reading_) reading += streams;
  return {.reading = reading,
          .running = static_cast<std::size_t>(running),
          .in_last_minute = requests_.size(),
          .admitted = next_serial_,
          .rejected = rejected_};
}

}  // namespace dig::autonat
