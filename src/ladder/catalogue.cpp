// SPDX-License-Identifier: Apache-2.0
#include "ladder/catalogue.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <span>

namespace dig::ladder {
namespace {

constexpr std::size_t k_max_text = 256 * 1024;
constexpr std::size_t k_max_providers = 64;
constexpr std::size_t k_max_servers = 32;  // of one provider
constexpr std::int64_t k_max_lifetime = 7 * 24 * 3600;

template <class Value>
struct Word {
  std::string_view text;
  Value value;
};
constexpr Word<Reliability> k_reliabilities[] = {{"best-effort", Reliability::best_effort},
                                                 {"public-service", Reliability::public_service},
                                                 {"contract", Reliability::contract}};
constexpr Word<Minting> k_mintings[] = {
    {"rest-secret", Minting::rest_secret}, {"metered", Minting::metered}, {"cloudflare", Minting::cloudflare}};

template <class Value, std::size_t N>
Result<Value> word_of(std::string_view key, const std::string& text, const Word<Value> (&words)[N]) {
  std::string expected;
  for (const Word<Value>& word : words) {
    if (word.text == text) return word.value;
    expected.append(expected.empty() ? "" : ", ").append(word.text);
  }
  return fail(Errc::bad_config, std::string(key) + " must be one of " + expected);
}

Result<std::string> text_of(std::string_view key, const toml::node& value) {
  const auto text = value.value<std::string>();
  if (!text || !value.is_string() || text->empty()) return fail(Errc::bad_config, std::string(key) + " must be a text");
  return *text;
}

Result<std::vector<StunUri>> servers_of(const toml::node& value) {
  const toml::array* const array = value.as_array();
  if (array == nullptr || array->size() > k_max_servers) {
    return fail(Errc::bad_config, "servers must be a list of at most 32 URIs");
  }
  std::vector<StunUri> servers;
  for (const toml::node& element : *array) {
    DIG_TRY(const std::string text, text_of("servers", element));
    const auto uri = StunUri::parse(text);
    if (!uri) return fail(Errc::bad_config, uri.error().message());
    servers.push_back(*uri);
  }
  return servers;
}

// What a provider's table says; checked as a whole afterwards.
Result<void> apply(Provider& provider, turn::Credentials& login, std::string_view key, const toml::node& value) {
  if (key == "public") {
    if (!value.is_boolean()) return fail(Errc::bad_config, "public must be true or false");
    provider.is_public = *value.value<bool>();
    return {};
  }
  if (key == "lifetime") {
    const auto seconds = value.is_integer() ? value.value<std::int64_t>() : std::nullopt;
    if (!seconds || *seconds < 60 || *seconds > k_max_lifetime) {
      return fail(Errc::bad_config, "lifetime must be from 60 to " + std::to_string(k_max_lifetime) + " seconds");
    }
    provider.lifetime = std::chrono::seconds(*seconds);
    return {};
  }
  if (key == "servers") {
    DIG_TRY(provider.servers, servers_of(value));
    return {};
  }
  DIG_TRY(std::string text, text_of(key, value));
  if (key == "name") {
    provider.name = std::move(text);
  } else if (key == "reliability") {
    DIG_TRY(provider.reliability, word_of(key, text, k_reliabilities));
  } else if (key == "username") {
    login.username = std::move(text);
  } else if (key == "credential") {
    login.password = std::move(text);
  } else if (key == "mint") {
    DIG_TRY(provider.minting, word_of(key, text, k_mintings));
  } else if (key == "endpoint") {
    provider.endpoint = std::move(text);
  } else if (key == "key-file") {
    provider.key_file = std::move(text);
  } else {
    return fail(Errc::bad_config, "unknown key \"" + std::string(key) + "\"");
  }
  return {};
}

Result<void> check(const Provider& provider, const turn::Credentials& login) {
  if (provider.name.empty()) return fail(Errc::bad_config, "a provider needs a name");
  if (login.username.empty() != login.password.empty()) {
    return fail(Errc::bad_config, "username and credential go together");
  }
  const bool is_minted = provider.minting != Minting::none;
  const bool has_interface = provider.minting == Minting::metered || provider.minting == Minting::cloudflare;
  const bool has_turn = std::ranges::any_of(provider.servers, &StunUri::is_turn);
  if (is_minted == provider.key_file.empty()) return fail(Errc::bad_config, "mint and key-file go together");
  if (is_minted && !login.username.empty()) return fail(Errc::bad_config, "mint takes the place of username");
  if (has_interface == provider.endpoint.empty()) {
    return fail(Errc::bad_config, "endpoint is for mint = \"metered\" and \"cloudflare\", which need it");
  }
  if (has_interface && !provider.endpoint.starts_with("https://")) {
    return fail(Errc::bad_config, "endpoint must be an https:// address");
  }
  if (provider.servers.empty() && !has_interface) return fail(Errc::bad_config, "a provider needs servers");
  if (has_turn && !is_minted && login.username.empty()) {
    return fail(Errc::bad_config, "TURN servers need username and credential, or mint");
  }
  return {};
}

Result<Provider> provider_of(const toml::table& table) {
  Provider provider;
  turn::Credentials login;
  for (const auto& [key, value] : table) DIG_CHECK(apply(provider, login, key.str(), value));
  DIG_CHECK(check(provider, login));
  if (!login.username.empty()) provider.credentials = std::move(login);
  return provider;
}

std::unexpected<Error> bad_line(const std::string& name, std::size_t line, std::string_view what) {
  return fail(Errc::bad_config, "line " + std::to_string(line) + ": " + std::string(what) + " in " + name);
}

}  // namespace

std::string_view to_text(Reliability reliability) noexcept {
  return std::ranges::find(k_reliabilities, reliability, &Word<Reliability>::value)->text;
}

Result<Catalogue> parse_catalogue(std::string_view text, const std::string& name) {
  if (text.size() > k_max_text) return fail(Errc::bad_config, "larger than 256 KiB: " + name);
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return bad_line(name, error.source().begin.line, error.description());
  }
  Catalogue catalogue;
  for (const auto& [key, value] : table) {
    const toml::array* const providers = value.as_array();
    if (key.str() != "provider" || providers == nullptr || !providers->is_homogeneous<toml::table>()) {
      return bad_line(name, key.source().begin.line, "a catalogue is a list of [[provider]]");
    }
    if (providers->size() > k_max_providers) return bad_line(name, key.source().begin.line, "more than 64 providers");
    for (const toml::node& element : *providers) {
      auto provider = provider_of(*element.as_table());
      if (!provider) return bad_line(name, element.source().begin.line, provider.error().detail());
      catalogue.providers.push_back(*std::move(provider));
    }
  }
  if (catalogue.providers.empty()) return fail(Errc::bad_config, "no [[provider]] in " + name);
  return catalogue;
}

}  // namespace dig::ladder
