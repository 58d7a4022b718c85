// SPDX-License-Identifier: Apache-2.0
// The methods of the command, carried out by a node in this process. The node is made when a method first needs it.
//
// Thread-safety: the thread of its EventLoop.
#pragma once

#include <map>
#include <memory>

#include "dignet/node.hpp"
#include "service/backend.hpp"
#include "service/event_loop.hpp"

namespace dig::service {

class LocalBackend final : public Backend {
 public:
  LocalBackend(EventLoop& loop, dignet::NodeOptions options);
  ~LocalBackend() override;  // ends the node; calls that still run get Errc::cancelled
  LocalBackend(const LocalBackend&) = delete;
  LocalBackend& operator=(const LocalBackend&) = delete;

  // Makes the node if there is none yet. Errors: those of Node::create.
  [[nodiscard]] Result<dignet::Node*> node();

  CallId start(const std::string& method, const json::object& params, EventSink on_event, ReplySink done) override;
  void cancel(CallId call) override;

 private:
  struct Call;
  using CallPtr = std::shared_ptr<Call>;

  // Each starts one method; an error means that nothing was started.
  Result<void> start_id(const CallPtr& call, const json::object& params);
  Result<void> start_add(const CallPtr& call, const json::object& params);
  Result<void> start_list(const CallPtr& call, const json::object& params);
  Result<void> start_remove(const CallPtr& call, const json::object& params);
  Result<void> start_verify(const CallPtr& call, const json::object& params);
  Result<void> start_ports(const CallPtr& call, const json::object& params);
  Result<void> start_status(const CallPtr& call, const json::object& params);
  Result<void> start_get(const CallPtr& call, const json::object& params);
  Result<void> start_connect(const CallPtr& call, const json::object& params);
  using Method = Result<void> (LocalBackend::*)(const CallPtr&, const json::object&);
  [[nodiscard]] static Method find_method(const std::string& name);

  void observe(const CallPtr& call, const dignet::OperationEvent& event);
  // Whether it is to be told: the last one, or some time after the one before.
  [[nodiscard]] static bool note_progress(Call& call, const dignet::ProgressEvent& progress);
  void ping_next(const CallPtr& call);
  void finish(const CallPtr& call, Reply reply);
  // The error form with what was tried until then.
  [[nodiscard]] static Reply failed_operation(const Call& call, const Error& error);

  EventLoop& loop_;
  dignet::NodeOptions options_;
  std::map<CallId, CallPtr> calls_;
  CallId next_call_ = 1;
  std::unique_ptr<dignet::Node> node_;
};

}  // namespace dig::service
