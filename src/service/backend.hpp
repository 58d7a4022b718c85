// SPDX-License-Identifier: Apache-2.0
// What the command asks of a node, whether the node is in this process or behind the control socket: named methods with
// JSON parameters, events while they run and one reply. Commands are written once against it, so their output is the
// same.
//
// Thread-safety: used from the thread of its EventLoop; sinks are called on that thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <string>

namespace dig::service {

namespace json = boost::json;

// The end of a call: the result, or {"code","detail","hint", …} when not ok.
struct Reply {
  bool ok = false;
  json::object body;
};

using EventSink = std::move_only_function<void(const json::object&)>;
using ReplySink = std::move_only_function<void(Reply)>;
using CallId = std::uint64_t;

class Backend {
 public:
  virtual ~Backend() = default;

  // Methods: id add ls rm verify ports status peers get connect. `done` is called exactly once, possibly before start()
  // returns.
  virtual CallId start(const std::string& method, const json::object& params, EventSink on_event, ReplySink done) = 0;
  // Ends a call; its reply has the code of Errc::cancelled. An unknown or finished call is ignored.
  virtual void cancel(CallId call) = 0;
};

}  // namespace dig::service
