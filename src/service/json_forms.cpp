// SPDX-License-Identifier: Apache-2.0
#include "service/json_forms.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <map>

#include "base/safe_text.hpp"
#include "service/json_text.hpp"

namespace dig::service {
namespace {

constexpr std::size_t k_max_text = 1024;      // of one piece of text from a peer or of a path
constexpr std::size_t k_max_peer_items = 64;  // addresses or protocols of a peer that are shown

constexpr Errc k_errors[] = {
#define DIG_ERROR(name, code, kind, meaning, hint) Errc::name,
#include "dignet/errors.def"
#undef DIG_ERROR
};

json::string text(std::string_view raw) {
  const SafeText safe(raw, k_max_text);
  return json::string(safe.str().data(), safe.str().size());
}

json::array texts(const std::vector<std::string>& items) {
  json::array out;
  for (const std::string& item : items) {
    if (out.size() == k_max_peer_items) break;
    out.emplace_back(text(item));
  }
  return out;
}

json::string plain(std::string_view fixed) { return json::string(fixed.data(), fixed.size()); }

void append_error(json::object& out, const Error& error) {
  for (const json::key_value_pair& member : error_form(error)) out.emplace(member.key(), member.value());
}

struct OperationEventForm {
  json::object operator()(const dignet::AttemptEvent& event) const {
    json::object out{{"event", "attempt"}};
    for (const json::key_value_pair& member : attempt_form(event.attempt)) out.emplace(member.key(), member.value());
    return out;
  }
  json::object operator()(const dignet::PathEvent& event) const {
    return {{"event", "path"},
            {"from", text(event.from)},
            {"to", text(event.to)},
            {"tier", event.tier},
            {"tier_name", text(event.tier_name)},
            {"method", text(event.method)},
            {"peer_id", text(event.peer_id)}};
  }
  json::object operator()(const dignet::ProgressEvent& event) const {
    return {{"event", "progress"},
            {"bytes", event.bytes},
            {"total", event.total},
            {"fetched_bytes", event.fetched_bytes},
            {"reused_bytes", event.reused_bytes},
            {"window_bytes", event.window_bytes}};
  }
};

struct NodeEventForm {
  json::object operator()(const dignet::PeerConnected& event) const {
    return {{"event", "peer"},
            {"state", "connected"},
            {"peer_id", text(event.peer_id)},
            {"address", text(event.remote_address)},
            {"direction", event.is_inbound ? "inbound" : "outbound"}};
  }
  json::object operator()(const dignet::PeerIdentified& event) const {
    return {{"event", "peer"},
            {"state", "identified"},
            {"peer_id", text(event.peer_id)},
            {"agent", text(event.agent_version)},
            {"addresses", texts(event.addresses)},
            {"protocols", texts(event.protocols)},
            {"observed_address", text(event.observed_address)}};
  }
  json::object operator()(const dignet::PeerDisconnected& event) const {
    json::object out{{"event", "peer"}, {"state", "disconnected"}, {"peer_id", text(event.peer_id)}};
    append_error(out, event.reason);
    return out;
  }
  json::object operator()(const dignet::ListenAddressesChanged& event) const {
    return {{"event", "addresses"}, {"addresses", texts(event.addresses)}};
  }
  json::object operator()(const dignet::ReservationLost& event) const {
    json::object out{{"event", "reservation"}, {"state", "lost"}, {"relay", text(event.relay_peer_id)}};
    append_error(out, event.reason);
    return out;
  }
  json::object operator()(const dignet::TurnRoleChanged& event) const {
    return {{"event", "turn_role"},
            {"state", event.is_on ? "on" : "off"},
            {"kind", text(event.kind)},
            {"servers", texts(event.servers)},
            {"why", text(event.why)}};
  }
  json::object operator()(const dignet::ReachabilityChanged& event) const {
    return {{"event", "reachability"},        {"family", text(event.family)},
            {"verdict", text(event.verdict)}, {"addresses", texts(event.addresses)},
            {"servers", event.servers},       {"stranger", event.has_stranger}};
  }
  json::object operator()(const dignet::DirectorySharingChanged& event) const {
    json::object out{{"event", "directory_sharing"}, {"state", event.is_up ? "up" : "lost"}};
    if (event.error) append_error(out, *event.error);
    return out;
  }
  json::object operator()(const dignet::Warning& event) const {
    json::object out{{"event", "warning"}};
    append_error(out, event.error);
    return out;
  }
};

}  // namespace

json::object error_form(const Error& error) {
  std::string detail(error.info().meaning);
  if (!error.detail().empty()) detail.append(": ").append(error.detail());
  return {{"code", plain(error.info().code)}, {"detail", plain(detail)}, {"hint", plain(error.info().hint)}};
}

Reply error_reply(const Error& error) { return {.ok = false, .body = error_form(error)}; }

std::optional<Errc> find_error(std::string_view code) {
  const auto* found = std::ranges::find_if(k_errors, [code](Errc error) { return error_info(error).code == code; });
  if (found == std::end(k_errors)) return std::nullopt;
  return *found;
}

int exit_code(const json::object& error) {
  const json::value* code = error.if_contains("code");
  if (code == nullptr || !code->is_string()) return static_cast<int>(ErrorKind::unexpected);
  const std::optional<Errc> known = find_error({code->get_string().data(), code->get_string().size()});
  return static_cast<int>(known ? error_info(*known).kind : ErrorKind::unexpected);
}

std::string_view outcome_name(dignet::Outcome outcome) {
  switch (outcome) {
    case dignet::Outcome::won:
      return "won";
    case dignet::Outcome::failed:
      return "failed";
    case dignet::Outcome::cancelled:
      return "cancelled";
    case dignet::Outcome::skipped:
      return "skipped";
  }
  return "failed";
}

json::object attempt_form(const dignet::Attempt& attempt) {
  json::object out{{"tier", attempt.tier},
                   {"tier_name", text(attempt.tier_name)},
                   {"method", text(attempt.method)},
                   {"target", text(attempt.target)},
                   {"started_ms", attempt.started_ms},
                   {"elapsed_ms", attempt.elapsed_ms},
                   {"outcome", plain(outcome_name(attempt.outcome))}};
  if (attempt.error) append_error(out, *attempt.error);
  return out;
}

json::array attempts_form(const std::vector<dignet::Attempt>& attempts) {
  std::multimap<int, const dignet::Attempt*> by_tier;  // within a tier in their order
  for (const dignet::Attempt& attempt : attempts) by_tier.emplace(attempt.tier, &attempt);
  json::array out;
  for (const auto& [tier, attempt] : by_tier) out.emplace_back(attempt_form(*attempt));
  return out;
}

json::object identity_form(const dignet::NodeIdentity& identity) {
  return {{"peer_id", plain(identity.peer_id)},
          {"crypto_ipv6", plain(identity.crypto_ipv6)},
          {"public_key", plain(identity.public_key)}};
}

json::object store_form(const dignet::StoreInfo& store) {
  return {{"store_id", plain(store.store_id)},
          {"root_hash", plain(store.root_hash)},
          {"urn", plain(store.urn)},
          {"bytes", store.bytes},
          {"files", store.files},
          {"sequence", store.sequence},
          {"signed", store.is_signed}};
}

json::object verify_form(const dignet::VerifyReport& report) {
  json::array damaged;
  for (const auto& [urn, error] : report.damaged) {
    json::object one{{"urn", text(urn)}};
    append_error(one, error);
    damaged.emplace_back(std::move(one));
  }
  return {{"stores", report.stores}, {"bytes", report.bytes}, {"damaged", std::move(damaged)}};
}

json::object port_form(const dignet::PortLease& lease) {
  return {{"purpose", plain(lease.purpose)},
          {"preferred", lease.preferred},
          {"port", lease.port},
          {"protocols", texts(lease.protocols)},
          {"reason", plain(lease.reason)}};
}

json::object fetch_form(const dignet::FetchReport& report) {
  json::array promotions;
  for (const dignet::Promotion& one : report.promotions) {
    promotions.emplace_back(json::object{{"at_ms", one.at_ms}, {"from", text(one.from)}, {"to", text(one.to)}});
  }
  json::object out{{"urn", text(report.urn)},
                   {"bytes", report.bytes},
                   {"sha256", plain(report.sha256)},
                   {"root_hash", plain(report.root_hash)},
                   {"seconds", rounded(report.seconds)},
                   {"first_byte_ms", report.first_byte_ms},
                   {"tier", report.tier},
                   {"tier_name", text(report.tier_name)},
                   {"method", text(report.method)},
                   {"peer_id", text(report.peer_id)},
                   {"path", text(report.path)},
                   {"attempts", attempts_form(report.attempts)},
                   {"promotions", std::move(promotions)},
                   {"fetched_bytes", report.fetched_bytes},
                   {"reused_bytes", report.reused_bytes},
                   {"window_bytes", report.window_bytes}};
  if (!report.output.empty()) out.emplace("output", text(report.output.native()));
  return out;
}

json::object connect_form(const dignet::ConnectReport& report) {
  return {{"seconds", rounded(report.seconds)},
          {"tier", report.tier},
          {"tier_name", text(report.tier_name)},
          {"method", text(report.method)},
          {"peer_id", text(report.peer_id)},
          {"path", text(report.path)},
          {"attempts", attempts_form(report.attempts)},
          {"promotions", json::array{}}};
}

json::object event_form(const dignet::OperationEvent& event) { return std::visit(OperationEventForm{}, event); }
json::object node_event_form(const dignet::NodeEvent& event) { return std::visit(NodeEventForm{}, event); }

}  // namespace dig::service
