// SPDX-License-Identifier: Apache-2.0
#include "service/command.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "service/params.hpp"

namespace dig::service {
namespace {

namespace json = boost::json;

constexpr std::int64_t k_max_timeout_ms = 1'000'000'000;
constexpr std::int64_t k_default_connect_timeout_ms = 30'000;
constexpr std::int64_t k_max_pings = 1'000'000;

template <class Plain>
Result<Command> read_plain(const json::object& /*params*/) {
  return Plain{};
}

Result<Command> read_add(const json::object& params) {
  AddCommand add;
  DIG_TRY(add.path, required_text(params, "path"));
  DIG_TRY(add.options.store_id, optional_text(params, "store_id"));
  return add;
}

Result<Command> read_remove(const json::object& params) {
  RemoveCommand remove;
  DIG_TRY(remove.urn, required_text(params, "urn"));
  return remove;
}

Result<Command> read_verify(const json::object& params) {
  VerifyCommand verify;
  DIG_TRY(verify.urn, optional_text(params, "urn"));
  return verify;
}

Result<Command> read_get(const json::object& params) {
  dignet::FetchRequest request;
  DIG_TRY(request.urn, required_text(params, "urn"));
  DIG_TRY(request.peers, text_list(params, "peers"));
  DIG_TRY(const auto output, optional_text(params, "output"));
  request.output = output.value_or("");
  DIG_TRY(request.accept_unpinned, flag(params, "accept_unpinned"));
  DIG_TRY(request.want_sha256, flag(params, "sha256"));
  DIG_TRY(const std::int64_t timeout_ms, number(params, "timeout_ms", 0, k_max_timeout_ms));
  request.timeout = std::chrono::milliseconds(timeout_ms);
  return GetCommand{std::move(request)};
}

Result<Command> read_connect(const json::object& params) {
  ConnectCommand connect;
  DIG_TRY(connect.request.addresses, text_list(params, "addresses"));
  DIG_TRY(const std::int64_t pings, number(params, "count", 1, k_max_pings));
  connect.pings = static_cast<std::uint64_t>(pings);
  DIG_TRY(const std::int64_t timeout_ms, number(params, "timeout_ms", k_default_connect_timeout_ms, k_max_timeout_ms));
  connect.request.timeout = std::chrono::milliseconds(timeout_ms == 0 ? k_max_timeout_ms : timeout_ms);
  return connect;
}

using Read = Result<Command> (*)(const json::object&);
constexpr std::array<std::pair<std::string_view, Read>, 10> k_methods{{
    {"id", &read_plain<IdCommand>},
    {"add", &read_add},
    {"ls", &read_plain<ListCommand>},
    {"rm", &read_remove},
    {"verify", &read_verify},
    {"ports", &read_plain<PortsCommand>},
    {"status", &read_plain<StatusCommand>},
    {"peers", &read_plain<PeersCommand>},
    {"get", &read_get},
    {"connect", &read_connect},
}};

}  // namespace

Result<Command> read_command(std::string_view method, const json::object& params) {
  const auto* found = std::ranges::find(k_methods, method, &std::pair<std::string_view, Read>::first);
  if (found == k_methods.end()) return fail(Errc::unsupported, "no such method: " + std::string(method));
  return found->second(params);
}

}  // namespace dig::service
