// SPDX-License-Identifier: Apache-2.0
#include "service/settings.hpp"

#include <toml++/toml.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>

#include "service/suggestion.hpp"

namespace dig::service {
namespace {

constexpr std::size_t k_max_file = 1024 * 1024;
constexpr std::size_t k_max_list = 64;
constexpr double k_max_amount = 1'000'000;

// The settings that are a list or a text as it stands.
struct ListKey {
  std::string_view key;
  const char* variable;
  std::optional<std::vector<std::string>> Settings::* member;
};
constexpr ListKey k_lists[] = {
    {"listen", "DIGNET_LISTEN", &Settings::listen}, {"announce", "DIGNET_ANNOUNCE", &Settings::announce},
    {"relay", "DIGNET_RELAY", &Settings::relay},    {"bootstrap", "DIGNET_BOOTSTRAP", &Settings::bootstrap},
    {"stun", "DIGNET_STUN", &Settings::stun},       {"turn", "DIGNET_TURN", &Settings::turn}};
struct TextKey {
  std::string_view key;
  const char* variable;
  std::optional<std::string> Settings::* member;
};
constexpr TextKey k_texts[] = {{"tiers", "DIGNET_TIERS", &Settings::tiers},
                               {"turn-user", "DIGNET_TURN_USER", &Settings::turn_user},
                               {"turn-pass", "DIGNET_TURN_PASS", &Settings::turn_pass},
                               {"catalogue", "DIGNET_CATALOGUE", &Settings::catalogue},
                               {"ca", "DIGNET_CA", &Settings::ca},
                               {"proxy", "DIGNET_PROXY", &Settings::proxy},
                               {"no-proxy", "DIGNET_NO_PROXY", &Settings::no_proxy},
                               {"redis", "DIGNET_REDIS", &Settings::redis}};

struct NumberKey {
  std::string_view key;
  const char* variable;
  std::optional<double> Settings::* member;
};
constexpr NumberKey k_numbers[] = {
    {"turn-max-mbps", "DIGNET_TURN_MAX_MBPS", &Settings::turn_max_mbps},
    {"turn-max-gb-per-month", "DIGNET_TURN_MAX_GB_PER_MONTH", &Settings::turn_max_gb_per_month}};

struct TruthKey {
  std::string_view key;
  const char* variable;
  std::optional<bool> Settings::* member;
};
constexpr TruthKey k_truths[] = {{"no-turn", "DIGNET_NO_TURN", &Settings::no_turn},
                                 {"turn-open", "DIGNET_TURN_OPEN", &Settings::turn_open}};

std::vector<std::string_view> all_keys() {
  std::vector<std::string_view> keys{"port", "log-level", "color"};
  for (const TruthKey& truth : k_truths) keys.push_back(truth.key);
  for (const ListKey& list : k_lists) keys.push_back(list.key);
  for (const TextKey& text : k_texts) keys.push_back(text.key);
  for (const NumberKey& number : k_numbers) keys.push_back(number.key);
  return keys;
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// One setting out of one word of text; `key` is its name in the file.
Result<std::string> one_of(std::string_view key, std::string_view value, std::span<const std::string_view> words) {
  if (std::ranges::find(words, value) != words.end()) return std::string(value);
  std::string expected;
  for (const std::string_view word : words) expected.append(expected.empty() ? "" : ", ").append(word);
  return fail(Errc::bad_config, std::string(key) + " must be one of " + expected + did_you_mean(value, words));
}

Result<std::string> text_of(std::string_view key, const toml::node& value) {
  const auto text = value.value<std::string>();
  if (!text || !value.is_string()) return fail(Errc::bad_config, std::string(key) + " must be a string");
  return *text;
}

Result<std::vector<std::string>> list_of(std::string_view key, const toml::node& value) {
  const toml::array* array = value.as_array();
  if (array == nullptr || array->size() > k_max_list) {
    return fail(Errc::bad_config, std::string(key) + " must be a list of at most 64 strings");
  }
  std::vector<std::string> out;
  for (const toml::node& element : *array) {
    DIG_TRY(std::string text, text_of(key, element));
    out.push_back(std::move(text));
  }
  return out;
}

Result<double> amount_of(std::string_view key, std::optional<double> number) {
  if (number && *number >= 0 && *number <= k_max_amount) return *number;
  return fail(Errc::bad_config, std::string(key) + " must be a number from 0 to 1000000");
}

Result<bool> truth_of(std::string_view key, std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return fail(Errc::bad_config, std::string(key) + " must be true or false");
}

Result<void> apply(Settings& settings, std::string_view key, const toml::node& value) {
  if (const auto list = std::ranges::find(k_lists, key, &ListKey::key); list != std::end(k_lists)) {
    DIG_TRY(settings.*list->member, list_of(key, value));
    return {};
  }
  if (const auto text = std::ranges::find(k_texts, key, &TextKey::key); text != std::end(k_texts)) {
    DIG_TRY(settings.*text->member, text_of(key, value));
    return {};
  }
  if (const auto number = std::ranges::find(k_numbers, key, &NumberKey::key); number != std::end(k_numbers)) {
    DIG_TRY(settings.*number->member, amount_of(key, value.is_number() ? value.value<double>() : std::nullopt));
    return {};
  }
  if (const auto truth = std::ranges::find(k_truths, key, &TruthKey::key); truth != std::end(k_truths)) {
    if (!value.is_boolean()) return fail(Errc::bad_config, std::string(key) + " must be true or false");
    settings.*truth->member = value.value<bool>();
    return {};
  }
  if (key == "port") {
    const auto port = value.is_integer() ? value.value<std::int64_t>() : std::nullopt;
    if (!port || *port < 0 || *port > 65535) return fail(Errc::bad_config, "port must be a number from 0 to 65535");
    settings.port = static_cast<std::uint16_t>(*port);
  } else if (key == "log-level") {
    DIG_TRY(const std::string text, text_of(key, value));
    DIG_TRY(settings.log_level, one_of(key, text, k_log_levels));
  } else if (key == "color") {
    DIG_TRY(const std::string text, text_of(key, value));
    DIG_TRY(settings.color, one_of(key, text, k_color_modes));
  } else {
    return fail(Errc::bad_config, "unknown key " + quoted(key) + did_you_mean(key, all_keys()));
  }
  return {};
}

std::unexpected<Error> bad_line(const std::string& name, std::size_t line, std::string_view what) {
  return fail(Errc::bad_config, "line " + std::to_string(line) + ": " + std::string(what) + " in " + name);
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) out.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return out;
}

std::unexpected<Error> in_variable(const char* variable, const Error& error) {
  return fail(Errc::bad_config, std::string(variable) + ": " + error.detail());
}

Result<void> read_turn_limits(Settings& settings, const Environment& environment) {
  for (const NumberKey& key : k_numbers) {
    const auto text = environment(key.variable);
    if (!text) continue;
    double number = 0;
    const char* const end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, number);
    const bool is_whole = error == std::errc() && rest == end;
    const auto amount = amount_of(key.key, is_whole ? std::optional(number) : std::nullopt);
    if (!amount) return in_variable(key.variable, amount.error());
    settings.*key.member = *amount;
  }
  for (const TruthKey& key : k_truths) {
    const auto text = environment(key.variable);
    if (!text) continue;
    const auto truth = truth_of(key.key, *text);
    if (!truth) return in_variable(key.variable, truth.error());
    settings.*key.member = *truth;
  }
  return {};
}

}  // namespace

Result<Settings> parse_settings(std::string_view text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return bad_line(name, error.source().begin.line, error.description());
  }
  Settings settings;
  for (const auto& [key, value] : table) {
    const Result<void> applied = apply(settings, key.str(), value);
    if (!applied) return bad_line(name, key.source().begin.line, applied.error().detail());
  }
  return settings;
}

Result<Settings> load_settings(const std::filesystem::path& file) {
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    if (errno == ENOENT || errno == ENOTDIR) return Settings{};
    const Errc code = errno == EACCES ? Errc::permission_denied : Errc::io_failed;
    return fail(code, file.string() + ": " + std::strerror(errno));
  }
  std::string text(k_max_file + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > k_max_file) return fail(Errc::bad_config, "larger than 1 MiB: " + file.string());
  if (stream.bad()) return fail(Errc::io_failed, "cannot read " + file.string());
  return parse_settings(text, file.string());
}

Result<Settings> settings_from_environment(const Environment& environment) {
  Settings settings;
  if (const auto text = environment("DIGNET_PORT")) {
    std::uint16_t port = 0;
    const char* const end = text->data() + text->size();
    const auto parsed = std::from_chars(text->data(), end, port);
    if (parsed.ec != std::errc{} || parsed.ptr != end) {
      return fail(Errc::bad_config, "DIGNET_PORT: port must be a number from 0 to 65535");
    }
    settings.port = port;
  }
  for (const ListKey& list : k_lists) {
    if (const auto text = environment(list.variable)) settings.*list.member = split_at_commas(*text);
  }
  for (const TextKey& text : k_texts) settings.*text.member = environment(text.variable);
  DIG_CHECK(read_turn_limits(settings, environment));
  // What other programs of this user's go by.
  for (const char* const variable : {"HTTPS_PROXY", "https_proxy"}) {
    if (!settings.proxy) settings.proxy = environment(variable);
  }
  for (const char* const variable : {"NO_PROXY", "no_proxy"}) {
    if (!settings.no_proxy) settings.no_proxy = environment(variable);
  }
  if (const auto text = environment("DIGNET_LOG_LEVEL")) {
    const auto level = one_of("log-level", *text, k_log_levels);
    if (!level) return in_variable("DIGNET_LOG_LEVEL", level.error());
    settings.log_level = *level;
  }
  if (const auto text = environment("DIGNET_COLOR")) {
    const auto color = one_of("color", *text, k_color_modes);
    if (!color) return in_variable("DIGNET_COLOR", color.error());
    settings.color = *color;
  }
  return settings;
}

Settings merge(Settings over, Settings under) {
  const auto pick = [](auto& first, auto& second) {
    if (!first) first = std::move(second);
  };
  pick(over.port, under.port);
  for (const ListKey& list : k_lists) pick(over.*list.member, under.*list.member);
  for (const TextKey& text : k_texts) pick(over.*text.member, under.*text.member);
  for (const NumberKey& number : k_numbers) pick(over.*number.member, under.*number.member);
  for (const TruthKey& truth : k_truths) pick(over.*truth.member, under.*truth.member);
  pick(over.log_level, under.log_level);
  pick(over.color, under.color);
  return over;
}

}  // namespace dig::service
