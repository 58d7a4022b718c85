// SPDX-License-Identifier: Apache-2.0
#include "service/params.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace dig::service {
namespace {

namespace json = boost::json;

constexpr std::size_t k_max_list = 64;

std::unexpected<Error> wrong(std::string_view name, std::string_view expected) {
  return fail(Errc::invalid_argument, std::string(name).append(" must be ").append(expected));
}

}  // namespace

Result<std::optional<std::string>> optional_text(const json::object& params, std::string_view name) {
  const json::value* value = params.if_contains({name.data(), name.size()});
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return wrong(name, "a string");
  return std::string(value->get_string());
}

Result<std::string> required_text(const json::object& params, std::string_view name) {
  DIG_TRY(std::optional<std::string> text, optional_text(params, name));
  if (!text || text->empty()) return fail(Errc::invalid_argument, std::string(name) + " is missing");
  return std::move(*text);
}

Result<std::vector<std::string>> text_list(const json::object& params, std::string_view name) {
  std::vector<std::string> out;
  const json::value* value = params.if_contains({name.data(), name.size()});
  if (value == nullptr) return out;
  if (!value->is_array() || value->get_array().size() > k_max_list) return wrong(name, "a list of at most 64 strings");
  for (const json::value& element : value->get_array()) {
    if (!element.is_string()) return wrong(name, "a list of strings");
    out.emplace_back(element.get_string());
  }
  return out;
}

Result<bool> flag(const json::object& params, std::string_view name) {
  const json::value* value = params.if_contains({name.data(), name.size()});
  if (value == nullptr) return false;
  if (!value->is_bool()) return wrong(name, "true or false");
  return value->get_bool();
}

Result<std::int64_t> number(const json::object& params, std::string_view name, std::int64_t fallback,
                            std::int64_t max) {
  const json::value* value = params.if_contains({name.data(), name.size()});
  if (value == nullptr) return fallback;
  if (!value->is_int64() || value->get_int64() < 0 || value->get_int64() > max) {
    return wrong(name, "a whole number from 0 to " + std::to_string(max));
  }
  return value->get_int64();
}

}  // namespace dig::service
