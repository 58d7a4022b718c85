// SPDX-License-Identifier: Apache-2.0
// One Binding request to one STUN server over a leg of its own (proto/stun).
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <memory>

#include "net/leg.hpp"
#include "proto/stun/binding_client.hpp"

namespace dig::net {

class BindingRequest {
 public:
  struct Config {
    LegTarget server;
    LegOptions leg;
    stun::BindingConfig binding{};  // `server` and `transport` are filled in here
  };
  struct Outcome {
    Result<stun::BindingSucceeded> answer;
    std::optional<LegOpened> opened;  // empty: there was no connection
  };
  using Handler = std::move_only_function<void(Outcome)>;

  // Calls back once, from a task of the loop; the request may be destroyed in it.
  BindingRequest(Loop& loop, Resolver& resolver, Rng& rng, Config config, Handler on_done);
  ~BindingRequest();
  BindingRequest(const BindingRequest&) = delete;
  BindingRequest& operator=(const BindingRequest&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
