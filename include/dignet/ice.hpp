// SPDX-License-Identifier: Apache-2.0
// The STUN and TURN servers for WebRTC clients: an RTCConfiguration as browsers take it (W3C WebRTC §4.2.1).
//
// Thread-safety: any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dignet/error.hpp"

namespace dignet {

// Servers with one login; none for STUN.
struct IceServer {
  std::vector<std::string> urls;  // "stun:host", "turn:host:3478?transport=udp", "turns:host:443?transport=tcp"
  std::string username;
  std::string credential;
};

struct IceOptions {
  std::vector<IceServer> servers;    // the caller's own; they stand first
  bool include_public_turn = false;  // TURN servers that are open to everybody: for emergencies
  std::filesystem::path catalogue;   // empty: the one that is built in
  // For providers that mint credentials over HTTPS.
  std::string more_authorities_pem;  // beside those of the system
  std::string https_proxy;           // "http://[user:password@]host:port"; empty: none
  std::string no_proxy;              // hosts that need none, separated by commas
  std::optional<int> stop_fd;        // a descriptor: when it is readable, waiting for them ends with `cancelled`
};

// What to leave alone is what browsers do best by default; see to_json() for the rest of the dictionary.
struct IceConfiguration {
  std::vector<IceServer> servers;
  // What is left out: providers that could not be asked for credentials; the caller's servers that browsers do not
  // know.
  std::vector<Error> warnings;
};

// Asks the network only if the catalogue has a provider that mints credentials over HTTPS; then this blocks, at most 15
// seconds. Errors: bad_server_uri, invalid_argument (a TURN server without a login), bad_config (the catalogue),
// file_not_found, certificate_unreadable, cancelled.
[[nodiscard]] Result<IceConfiguration> ice_configuration(const IceOptions& options);

// {"iceServers":[…],"iceTransportPolicy":"all","bundlePolicy":"balanced","rtcpMuxPolicy":"require",
//  "iceCandidatePoolSize":10}
[[nodiscard]] std::string to_json(const IceConfiguration& configuration);

}  // namespace dignet
