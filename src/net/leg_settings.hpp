// SPDX-License-Identifier: Apache-2.0
// How this machine reaches servers: whom it trusts over TLS, and through which proxy it goes. Made once, used for many
// legs.
//
// Thread-safety: immutable.
#pragma once

#include "net/leg.hpp"

namespace dig::net {

struct LegSettingsConfig {
  std::string more_authorities_pem{};  // beside those of the system
  std::string https_proxy{};           // see HttpProxy::parse; empty: none
  std::string no_proxy{};              // see ProxyExceptions
};

class LegSettings {
 public:
  // certificate_unreadable. A proxy that cannot be used is an error of the legs that want it.
  [[nodiscard]] static Result<LegSettings> create(const LegSettingsConfig& config);

  [[nodiscard]] LegOptions for_stun(StunTransport transport, std::string_view host) const;
  [[nodiscard]] LegOptions for_https(std::string_view host) const;

 private:
  LegSettings() = default;
  [[nodiscard]] LegOptions over_tcp(std::shared_ptr<const crypto::TlsContext> tls, std::string_view host) const;

  std::shared_ptr<const crypto::TlsContext> stun_tls_;
  std::shared_ptr<const crypto::TlsContext> stun_dtls_;
  std::shared_ptr<const crypto::TlsContext> https_;
  std::optional<HttpProxy> proxy_;
  std::optional<Error> proxy_error_;
  ProxyExceptions exceptions_;
};

}  // namespace dig::net
