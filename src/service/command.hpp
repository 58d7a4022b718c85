// SPDX-License-Identifier: Apache-2.0
// What a node can be asked for, read out of the method and the parameters of a call. Reading starts nothing.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.hpp"
#include "dignet/node.hpp"

namespace dig::service {

struct IdCommand {};
struct AddCommand {
  std::filesystem::path path;
  dignet::AddOptions options;
};
struct ListCommand {};
struct RemoveCommand {
  std::string urn;
};
struct VerifyCommand {
  std::optional<std::string> urn;  // absent: all stores
};
struct PortsCommand {};
struct StatusCommand {};
struct PeersCommand {};
struct GetCommand {
  dignet::FetchRequest request;
};
struct ConnectCommand {
  dignet::ConnectRequest request;
  std::uint64_t pings = 0;
};

using Command = std::variant<IdCommand, AddCommand, ListCommand, RemoveCommand, VerifyCommand, PortsCommand,
                             StatusCommand, PeersCommand, GetCommand, ConnectCommand>;

// Errors: unsupported (no such method), invalid_argument (names the parameter).
[[nodiscard]] Result<Command> read_command(std::string_view method, const boost::json::object& params);

}  // namespace dig::service
