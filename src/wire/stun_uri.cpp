// SPDX-License-Identifier: Apache-2.0
#include "wire/stun_uri.hpp"

#include <algorithm>
#include <optional>

#include "base/decimal.hpp"
#include "base/endpoint.hpp"
#include "base/safe_text.hpp"

namespace dig {
namespace {

constexpr std::size_t k_max_host = 253;  // RFC 1035 §2.3.4, as text
constexpr std::uint16_t k_default_port = 3478;
constexpr std::uint16_t k_default_secure_port = 5349;

std::unexpected<Error> bad(std::string_view what, std::string_view text) {
  return fail(Errc::bad_server_uri, std::string(what) + ": " + SafeText(text).str());
}

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_secure(StunTransport transport) { return transport == StunTransport::tls || transport == StunTransport::dtls; }

struct Scheme {
  std::string_view name;
  bool is_turn;
  bool is_secure;
};
constexpr Scheme k_schemes[] = {
    {"stun", false, false}, {"stuns", false, true}, {"turn", true, false}, {"turns", true, true}};

// A name of letters, digits, '-', '_' and dots between labels; in lower case.
std::optional<std::string> host_name(std::string_view text) {
  if (text.empty() || text.size() > k_max_host) return std::nullopt;
  std::string name;
  char before = '.';
  for (const char c : text) {
    const char lower = to_lower(c);
    const bool is_label =
        (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || lower == '-' || lower == '_';
    if (!is_label && (lower != '.' || before == '.')) return std::nullopt;
    name.push_back(lower);
    before = lower;
  }
  return name;
}

bool looks_like_ipv4(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

}  // namespace

std::string_view to_text(StunTransport transport) noexcept {
  switch (transport) {
    case StunTransport::udp:
      return "udp";
    case StunTransport::tcp:
      return "tcp";
    case StunTransport::tls:
      return "tls";
    case StunTransport::dtls:
      return "dtls";
  }
  return "";
}

Result<StunUri> StunUri::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return bad("no scheme", text);
  std::string scheme_name(text.substr(0, colon));
  std::ranges::transform(scheme_name, scheme_name.begin(), to_lower);
  const auto scheme = std::ranges::find(k_schemes, scheme_name, &Scheme::name);
  if (scheme == std::end(k_schemes)) return bad("not stun, stuns, turn or turns", text);
  StunUri uri;
  uri.is_turn = scheme->is_turn;
  uri.port = scheme->is_secure ? k_default_secure_port : k_default_port;
  uri.transport = scheme->is_secure ? StunTransport::tls : StunTransport::udp;

  std::string_view rest = text.substr(colon + 1);
  if (const std::size_t query = rest.find('?'); query != std::string_view::npos) {
    const std::string_view value = rest.substr(query + 1);
    if (!scheme->is_turn) return bad("only turn: and turns: take ?transport=", text);
    if (value == "transport=udp") {
      uri.transport = scheme->is_secure ? StunTransport::dtls : StunTransport::udp;
    } else if (value == "transport=tcp") {
      uri.transport = scheme->is_secure ? StunTransport::tls : StunTransport::tcp;
    } else {
      return bad("the query must be transport=udp or transport=tcp", text);
    }
    rest = rest.substr(0, query);
  }

  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) return bad("'[' without ']'", text);
    const auto address = IpAddress::parse(rest.substr(1, end - 1));
    if (!address || address->is_v4()) return bad("not an IPv6 address in brackets", text);
    uri.host = address->to_string();
    port = rest.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return bad("something between ']' and the port", text);
  } else {
    const std::size_t separator = std::min(rest.find(':'), rest.size());
    const auto name = host_name(rest.substr(0, separator));
    if (!name) return bad("not a host name or address", text);
    if (looks_like_ipv4(*name) && !IpAddress::parse(*name)) return bad("not an IPv4 address", text);
    uri.host = *name;
    port = rest.substr(separator);
  }
  if (!port.empty()) {
    const auto number = parse_decimal(port.substr(1), 65535);
    if (!number || *number == 0) return bad("not a port", text);
    uri.port = static_cast<std::uint16_t>(*number);
  }
  return uri;
}

std::string StunUri::to_string() const {
  const bool has_brackets = host.find(':') != std::string::npos;
  std::string text = is_turn ? "turn" : "stun";
  if (is_secure(transport)) text += 's';
  text += ':' + (has_brackets ? '[' + host + ']' : host);
  if (port != (is_secure(transport) ? k_default_secure_port : k_default_port)) text += ':' + std::to_string(port);
  if (transport == StunTransport::tcp) text += "?transport=tcp";
  if (transport == StunTransport::dtls) text += "?transport=udp";
  return text;
}

}  // namespace dig
