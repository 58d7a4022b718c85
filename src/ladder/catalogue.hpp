// SPDX-License-Identifier: Apache-2.0
// The public STUN and TURN servers that are known. Data, not code: catalogue.toml is compiled in, and a file of the
// same form replaces it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "proto/turn_client/credential.hpp"
#include "wire/stun_uri.hpp"

namespace dig::ladder {

enum class Reliability : std::uint8_t { best_effort, public_service, contract };
[[nodiscard]] std::string_view to_text(Reliability reliability) noexcept;

// How the credentials of a provider are had.
enum class Minting : std::uint8_t {
  none,         // they stand in the catalogue, or none are needed
  rest_secret,  // made here from a shared secret (the TURN REST API)
  metered,      // from Metered's HTTPS interface
  cloudflare,   // from Cloudflare's HTTPS interface
};

struct Provider {
  std::string name;
  Reliability reliability = Reliability::best_effort;
  bool is_public = false;  // open to everybody: its TURN servers are for emergencies
  std::vector<StunUri> servers;
  std::optional<turn::Credentials> credentials;
  Minting minting = Minting::none;
  std::string endpoint;  // https://…, of metered and cloudflare
  std::string key_file;  // of every kind of minting
  std::chrono::seconds lifetime{3600};
};

struct Catalogue {
  std::vector<Provider> providers;
};

// Errors: bad_config, with the line and what is wrong with it. `name` is the file's name for messages.
[[nodiscard]] Result<Catalogue> parse_catalogue(std::string_view text, const std::string& name);

// The text that is compiled in; a test parses it.
[[nodiscard]] std::string_view shipped_catalogue_text() noexcept;

}  // namespace dig::ladder
