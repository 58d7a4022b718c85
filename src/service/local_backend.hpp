// SPDX-License-Identifier: Apache-2.0
// The methods of the command, carried out by a node in this process. The node is made when a method first needs it.
//
// Thread-safety: the thread of its EventLoop.
#pragma once

#include <map>
#include <memory>

#include "dignet/node.hpp"
#include "service/backend.hpp"
#include "service/command.hpp"
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

  // An error means that nothing was begun.
  Result<void> begin(const CallPtr& call, std::string_view method, const json::object& params);
  Result<void> begin(const CallPtr& call, IdCommand);
  Result<void> begin(const CallPtr& call, AddCommand add);
  Result<void> begin(const CallPtr& call, ListCommand);
  Result<void> begin(const CallPtr& call, RemoveCommand remove);
  Result<void> begin(const CallPtr& call, VerifyCommand verify);
  Result<void> begin(const CallPtr& call, PortsCommand);
  Result<void> begin(const CallPtr& call, StatusCommand);
  Result<void> begin(const CallPtr& call, PeersCommand);
  Result<void> begin(const CallPtr& call, GetCommand get);
  Result<void> begin(const CallPtr& call, ConnectCommand connect);

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
