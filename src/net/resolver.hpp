// SPDX-License-Identifier: Apache-2.0
// Names to addresses through the system's resolver, answered within a bounded time.
//
// getaddrinfo() can be neither cancelled nor given a deadline, so each call runs on a thread of its own that is left
// behind when the time is over; how many such threads may exist is bounded.
//
// Thread-safety: none; use it from the thread of the loop. Handlers never run from inside resolve(), nor after the
// resolver is destroyed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "net/loop.hpp"

namespace dig::net {

class Resolver {
 public:
  struct Limits {
    Duration timeout = 5s;
    std::size_t max_running = 8;  // threads, those left behind included
    std::size_t max_waiting = 128;
    std::size_t max_addresses = 16;  // of one name
  };
  using Addresses = std::vector<IpAddress>;
  using Handler = std::move_only_function<void(Result<Addresses>)>;
  // Blocks; called on another thread, also after the resolver is gone. `family` empty: both.
  using Lookup = std::function<Result<Addresses>(const std::string& name, std::optional<IpFamily> family)>;

  Resolver(Loop& loop, Limits limits, Lookup lookup = {});
  explicit Resolver(Loop& loop) : Resolver(loop, Limits()) {}
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Errors: resolve_failed (also when the time is over or the name has no such address), limit_reached,
  // invalid_argument.
  void resolve(std::string name, std::optional<IpFamily> family, Handler handler);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dig::net
