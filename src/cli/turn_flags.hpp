// SPDX-License-Identifier: Apache-2.0
// The flags of `dignet turn` and what they mean to the server.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/certificate.hpp"
#include "net/turn_service.hpp"

namespace dig::cli {

struct TurnFlags {
  std::vector<std::string> listen;
  std::string realm = "dignet";
  std::vector<std::string> users;
  std::vector<std::string> user_files;
  std::vector<std::string> secret_files;
  std::vector<std::string> relay_ips;
  std::vector<std::string> public_ips;
  std::string alternate_ip;
  std::uint16_t min_port = 49152;
  std::uint16_t max_port = 65535;
  CertificateFlags certificate;
  std::vector<std::string> allowed_peers;
  std::size_t threads = 1;
  std::size_t user_quota = 64;
  std::size_t source_quota = 256;
  std::size_t total_quota = 65'536;
  std::uint64_t allocation_kbps = 0;
  std::uint64_t total_kbps = 0;
  std::uint64_t allocation_megabytes = 0;
  std::uint64_t total_megabytes = 0;
  std::string metrics;
  std::string redirect;
  std::uint32_t drain_seconds = 10;
};

void add_turn_flags(CLI::App& app, TurnFlags& flags);

// Errors: invalid_argument, no_credentials, file_not_found, secret_insecure, certificate_unreadable.
// `certificate` is what flags.certificate.read() has given.
[[nodiscard]] Result<net::TurnServiceOptions> turn_options(const TurnFlags& flags,
                                                           const std::optional<Certificate>& certificate);
// The value of a flag that names one endpoint; nothing when it was not given.
[[nodiscard]] Result<std::optional<Endpoint>> parse_endpoint(std::string_view flag, const std::string& text);

}  // namespace dig::cli
