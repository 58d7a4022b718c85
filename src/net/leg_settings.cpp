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
    auto proxy = HttpProxy::parse(config.https_proxy);
    if (proxy) {
      settings.proxy_ = *std::move(proxy);
    } else {
      settings.proxy_error_ = proxy.error();
    }
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
      return over_tcp(nullptr, host);
    case StunTransport::tls:
      return over_tcp(stun_tls_, host);
  }
  return {};
}

LegOptions LegSettings::for_https(std::string_view host) const { return over_tcp(https_, host); }

LegOptions LegSettings::over_tcp(std::shared_ptr<const crypto::TlsContext> tls, std::string_view host) const {
  if (exceptions_.contains(host)) return {.tls = std::move(tls)};
  return {.tls = std::move(tls), .proxy = proxy_, .proxy_error = proxy_error_};
}

}  // namespace dig::net
