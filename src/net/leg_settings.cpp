// SPDX-License-Identifier: Apache-2.0
#include "net/leg_settings.hpp"

namespace dig::net {

Result<LegSettings> LegSettings::create(const LegSettingsConfig& config) {
  using crypto::TlsTransport;
  LegSettings settings;
  DIG_TRY(const auto trust, crypto::TlsTrust::authorities(true, config.more_authorities_pem));
  // RFC 7443: the names of TURN and STUN.
  const std::vector<std::string> stun_names{"stun.turn", "stun.nat-discovery"};
  DIG_TRY(settings.stun_tls_, make_client_tls(TlsTransport::stream, trust, stun_names));
  DIG_TRY(settings.stun_dtls_, make_client_tls(TlsTransport::datagram, trust, stun_names));
  DIG_TRY(settings.https_, make_client_tls(TlsTransport::stream, trust, {"http/1.1"}));
  if (!config.https_proxy.empty()) {
    DIG_TRY(settings.proxy_, HttpProxy::parse(config.https_proxy));
  }
  settings.exceptions_ = ProxyExceptions(config.no_proxy);
  return settings;
}

LegOptions LegSettings::for_stun(StunTransport transport, std::string_view host) const {
  switch (transport) {
    case StunTransport::udp:
      return {};
    case StunTransport::dtls:
      return {.tls = stun_dtls_};
    case StunTransport::tcp:
      return {.proxy = proxy_for(host)};
    case StunTransport::tls:
      return {.tls = stun_tls_, .proxy = proxy_for(host)};
  }
  return {};
}

LegOptions LegSettings::for_https(std::string_view host) const { return {.tls = https_, .proxy = proxy_for(host)}; }

std::optional<HttpProxy> LegSettings::proxy_for(std::string_view host) const {
  return proxy_ && !exceptions_.contains(host) ? proxy_ : std::nullopt;
}

}  // namespace dig::net
