// SPDX-License-Identifier: Apache-2.0
// The JSON form of everything the command prints: one function per thing, field names and order as promised to scripts.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "dignet/node.hpp"
#include "service/backend.hpp"

namespace dig::service {

// {"code","detail","hint"}; detail is the meaning of the code and what is special about this occurrence.
[[nodiscard]] json::object error_form(const Error& error);
[[nodiscard]] Reply error_reply(const Error& error);
// The exit code of a failed reply, by the kind of its code; 1 for a code this program does not know.
[[nodiscard]] int exit_code(const json::object& error);
[[nodiscard]] std::optional<Errc> find_error(std::string_view code);

[[nodiscard]] std::string_view outcome_name(dignet::Outcome outcome);
[[nodiscard]] json::object attempt_form(const dignet::Attempt& attempt);
// Ordered by tier; within a tier as they happened.
[[nodiscard]] json::array attempts_form(const std::vector<dignet::Attempt>& attempts);

[[nodiscard]] json::object identity_form(const dignet::NodeIdentity& identity);
[[nodiscard]] json::object store_form(const dignet::StoreInfo& store);
[[nodiscard]] json::object verify_form(const dignet::VerifyReport& report);
[[nodiscard]] json::object port_form(const dignet::PortLease& lease);
[[nodiscard]] json::object fetch_form(const dignet::FetchReport& report);
[[nodiscard]] json::object connect_form(const dignet::ConnectReport& report);
// With "event" first.
[[nodiscard]] json::object event_form(const dignet::OperationEvent& event);
[[nodiscard]] json::object node_event_form(const dignet::NodeEvent& event);

}  // namespace dig::service
