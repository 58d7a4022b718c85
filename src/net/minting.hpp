// SPDX-License-Identifier: Apache-2.0
// From a provider of the catalogue to servers that can be used: with the credentials it has, with ones made here from a
// shared secret, or with ones that its HTTPS interface mints.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <memory>

#include "ladder/catalogue.hpp"
#include "net/leg_settings.hpp"

namespace dig::net {

// Servers with one login.
struct ServerGroup {
  std::vector<StunUri> servers;
  std::optional<turn::Credentials> credentials;
};

// What Metered's and Cloudflare's interfaces answer, {"iceServers":[…]} or the list alone: entries of an
// RTCConfiguration. URIs that this program does not know are left out. malformed if nothing is left.
[[nodiscard]] Result<std::vector<ServerGroup>> parse_ice_servers(std::string_view json);

class Minting {
 public:
  using Handler = std::move_only_function<void(Result<std::vector<ServerGroup>>)>;

  // Calls back once, from a task of the loop; the object may be destroyed in it. Reads the provider's key file. Errors:
  // those of read_secret_file() and HttpsRequest; http_refused, malformed.
  Minting(Loop& loop, Resolver& resolver, const LegSettings& settings, const ladder::Provider& provider,
          Handler on_done);
  ~Minting();
  Minting(const Minting&) = delete;
  Minting& operator=(const Minting&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// What each provider of the catalogue gives, in its order. Returns at once without providers that mint over HTTPS; else
// it blocks, at most 15 seconds, or until `stop_fd` is readable: then the rest is `cancelled`.
[[nodiscard]] std::vector<Result<std::vector<ServerGroup>>> mint_all(const ladder::Catalogue& catalogue,
                                                                     const LegSettings& settings,
                                                                     std::optional<int> stop_fd = {});

}  // namespace dig::net
