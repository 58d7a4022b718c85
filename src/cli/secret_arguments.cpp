// SPDX-License-Identifier: Apache-2.0
#include "cli/secret_arguments.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace dig::cli {
namespace {

// The part of a value that nobody is to see.
using FindSecret = std::span<char> (*)(std::span<char> value);

std::span<char> find_all(std::span<char> value) { return value; }

std::span<char> find_behind_colon(std::span<char> value) {
  const auto colon = std::ranges::find(value, ':');
  return colon == value.end() ? std::span<char>() : std::span<char>(colon + 1, value.end());
}

std::span<char> find_user_info(std::span<char> url) {
  const std::string_view text(url.data(), url.size());
  const std::size_t begin = text.find("://");
  const std::size_t end = text.rfind('@');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin + 3) return {};
  return url.subspan(begin + 3, end - begin - 3);
}

struct SecretFlag {
  std::string_view name;
  FindSecret find;
};
constexpr std::array k_flags = {SecretFlag{"--pass", find_all}, SecretFlag{"--user", find_behind_colon},
                                SecretFlag{"--redis", find_user_info}};

void hide(std::span<char> value, FindSecret find) { std::ranges::fill(find(value), '*'); }

}  // namespace

void hide_secret_arguments(std::span<char* const> arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::span<char> argument(arguments[i], std::strlen(arguments[i]));
    const std::string_view text(argument.data(), argument.size());
    for (const SecretFlag& flag : k_flags) {
      if (!text.starts_with(flag.name)) continue;
      const std::size_t size = flag.name.size();
      if (text.size() > size && text[size] == '=') hide(argument.subspan(size + 1), flag.find);
      if (text.size() == size && i + 1 < arguments.size()) {
        hide({arguments[i + 1], std::strlen(arguments[i + 1])}, flag.find);
      }
    }
  }
}

}  // namespace dig::cli
