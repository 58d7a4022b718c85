// SPDX-License-Identifier: Apache-2.0
#include "service/json_text.hpp"

#include <array>
#include <boost/json/parse.hpp>
#include <charconv>
#include <cmath>

namespace dig::service {
namespace {

namespace json = boost::json;

constexpr std::size_t k_max_depth = 16;

void write_string(std::string& out, std::string_view text) {
  constexpr std::string_view k_hex = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      out.append("\\u00").push_back(k_hex[byte >> 4U]);
      out.push_back(k_hex[byte & 15U]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

template <class Number>
void write_number(std::string& out, Number number) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  out.append(text.data(), end);
}

void write_value(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      out.append("null");
      break;
    case json::kind::bool_:
      out.append(value.get_bool() ? "true" : "false");
      break;
    case json::kind::int64:
      write_number(out, value.get_int64());
      break;
    case json::kind::uint64:
      write_number(out, value.get_uint64());
      break;
    case json::kind::double_:
      if (std::isfinite(value.get_double())) {
        write_number(out, value.get_double());
      } else {
        out.append("null");  // RFC 8259 has no infinities
      }
      break;
    case json::kind::string:
      write_string(out, {value.get_string().data(), value.get_string().size()});
      break;
    case json::kind::array: {
      out.push_back('[');
      bool is_first = true;
      for (const json::value& element : value.get_array()) {
        if (!std::exchange(is_first, false)) out.push_back(',');
        write_value(out, element);
      }
      out.push_back(']');
      break;
    }
    case json::kind::object: {
      out.push_back('{');
      bool is_first = true;
      for (const json::key_value_pair& member : value.get_object()) {
        if (!std::exchange(is_first, false)) out.push_back(',');
        write_string(out, {member.key().data(), member.key().size()});
        out.push_back(':');
        write_value(out, member.value());
      }
      out.push_back('}');
      break;
    }
  }
}

}  // namespace

std::string to_line(const json::value& value) {
  std::string out;
  write_value(out, value);
  return out;
}

Result<json::object> parse_line(std::string_view line) {
  json::parse_options options;
  options.max_depth = k_max_depth;
  options.allow_invalid_utf8 = true;  // file names are bytes
  json::error_code error;
  json::value value = json::parse({line.data(), line.size()}, error, {}, options);
  if (error) return fail(Errc::malformed, "this is not JSON");
  if (!value.is_object()) return fail(Errc::malformed, "a JSON object was expected");
  return std::move(value.get_object());
}

double rounded(double value) { return std::round(value * 1000.0) / 1000.0; }

}  // namespace dig::service
