// SPDX-License-Identifier: Apache-2.0
#include "service/event_log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include "base/safe_text.hpp"

namespace dig::service {
namespace {

class FunctionSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit FunctionSink(std::function<void(std::string_view)> write) : write_(std::move(write)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::string_view text(line.data(), line.size());
    while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
    write_(text);
  }
  void flush_() override {}

  std::function<void(std::string_view)> write_;
};

std::string field(std::string_view name, std::string_view value) {
  const std::string safe = SafeText(value, 256).str();
  const bool is_plain = !safe.empty() && safe.find_first_of(" \"=") == std::string::npos;
  std::string out = " " + std::string(name) + "=";
  return is_plain ? out + safe : out + "\"" + safe + "\"";
}

struct NodeEventLog {
  spdlog::logger& log;

  void operator()(const dignet::PeerConnected& event) const {
    log.info("peer_connected" + field("peer", event.peer_id) + (event.is_inbound ? " inbound" : " outbound"));
    log.debug("peer_address" + field("peer", event.peer_id) + field("address", event.remote_address));
  }
  void operator()(const dignet::PeerIdentified& event) const {
    log.debug("peer_identified" + field("peer", event.peer_id) + field("agent", event.agent_version) +
              field("observed", event.observed_address));
  }
  void operator()(const dignet::PeerDisconnected& event) const {
    log.info("peer_disconnected" + field("peer", event.peer_id) + field("reason", event.reason.message()));
  }
  void operator()(const dignet::ListenAddressesChanged& event) const {
    log.info("addresses_changed count={}", event.addresses.size());
    for (const std::string& address : event.addresses) log.debug("address" + field("address", address));
  }
  void operator()(const dignet::ReservationLost& event) const {
    log.warn("reservation_lost" + field("relay", event.relay_peer_id) + field("reason", event.reason.message()));
  }
  void operator()(const dignet::TurnRoleChanged& event) const {
    log.info(std::string("turn_role ") + (event.is_on ? "on" : "off") + field("kind", event.kind) +
             field("why", event.why));
    for (const std::string& server : event.servers) log.info("turn_server" + field("uri", server));
  }
  void operator()(const dignet::ReachabilityChanged& event) const {
    log.info("reachability" + field("family", event.family) + field("verdict", event.verdict) +
             field("servers", std::to_string(event.servers)) + (event.has_stranger ? " stranger" : ""));
    for (const std::string& address : event.addresses) log.debug("reachable" + field("address", address));
  }
  void operator()(const dignet::DirectorySharingChanged& event) const {
    if (event.is_up) return log.info("directory_sharing up");
    log.warn("directory_sharing lost" + (event.error ? field("reason", event.error->message()) : ""));
  }
  void operator()(const dignet::Warning& event) const {
    log.warn("warning" + field("code", event.error.info().code) + field("detail", event.error.message()));
  }
};

}  // namespace

EventLog::EventLog(std::string_view level, std::function<void(std::string_view)> write)
    : logger_(std::make_unique<spdlog::logger>("dignet", std::make_shared<FunctionSink>(std::move(write)))) {
  logger_->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger_->set_level(spdlog::level::from_str(std::string(level)));
}

EventLog::~EventLog() = default;

void EventLog::node_event(const dignet::NodeEvent& event) { std::visit(NodeEventLog{*logger_}, event); }

}  // namespace dig::service
