// SPDX-License-Identifier: Apache-2.0
#include "cli/report.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <vector>

#include "cli/format.hpp"
#include "service/json_forms.hpp"

namespace dig::cli {
namespace {

namespace json = boost::json;

const json::value* find(const json::object& object, std::string_view name) {
  return object.if_contains({name.data(), name.size()});
}

void append(json::object& out, const json::object& more) {
  for (const json::key_value_pair& member : more) out.emplace(member.key(), member.value());
}

void print_error(Console& console, const json::object& error) {
  console.error(console.styled(Style::bad, "error: ") + printable(text_of(error, "detail")) + " (" +
                printable(text_of(error, "code")) + ")");
  console.error("  hint: " + printable(text_of(error, "hint")));
}

std::string attempt_result(const json::object& attempt) {
  std::string result = text_of(attempt, "outcome");
  if (const std::string detail = text_of(attempt, "detail"); !detail.empty()) {
    result.append(": ").append(detail).append(" (").append(text_of(attempt, "code")).append(")");
  }
  return result;
}

// What several skipped methods have in common: the meaning of their code, without what is special to one.
std::string skipped_together(const json::object& attempt) {
  const std::string code = text_of(attempt, "code");
  const std::optional<Errc> known = service::find_error(code);
  if (!known) return attempt_result(attempt);
  return "skipped: " + std::string(error_info(*known).meaning) + " (" + code + ")";
}

}  // namespace

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::vector<const json::object*> objects_of(const json::object& object, std::string_view name) {
  std::vector<const json::object*> out;
  const json::value* list = find(object, name);
  if (list == nullptr || !list->is_array()) return out;
  for (const json::value& value : list->get_array()) {
    if (value.is_object()) out.push_back(&value.get_object());
  }
  return out;
}

std::vector<std::string> texts_of(const json::object& object, std::string_view name) {
  std::vector<std::string> out;
  const json::value* list = find(object, name);
  if (list == nullptr || !list->is_array()) return out;
  for (const json::value& value : list->get_array()) {
    if (value.is_string()) out.emplace_back(value.get_string());
  }
  return out;
}

std::uint64_t number_of(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  if (value == nullptr || !value->is_number()) return 0;
  json::error_code error;
  const auto number = value->to_number<std::uint64_t>(error);
  return error ? 0 : number;
}

double decimal_of(const json::object& object, std::string_view name) {
  const json::value* value = find(object, name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0.0;
}

int report_failure(Console& console, const json::object& error) {
  json::object line{{"ok", false}};
  append(line, error);
  console.json(line);
  print_error(console, error);
  return service::exit_code(error);
}

int report_failure(Console& console, const Error& error) { return report_failure(console, service::error_form(error)); }

int report_failed_operation(Console& console, const json::object& error) {
  json::object line{{"event", "done"}, {"ok", false}};
  append(line, error);
  line.emplace("attempts", json::array{});  // kept when it is there
  console.json(line);
  if (const std::string table = attempts_table(error); !table.empty()) {
    console.error("what was tried:\n" + table);
  }
  print_error(console, error);
  return service::exit_code(error);
}

void report_done(Console& console, const json::object& result) {
  json::object line{{"event", "done"}, {"ok", true}};
  append(line, result);
  console.json(line);
  if (const std::string table = attempts_table(result); !table.empty()) {
    console.detail("what was tried:\n" + table);
  }
}

std::string attempts_table(const json::object& outcome) {
  const json::value* attempts = find(outcome, "attempts");
  if (attempts == nullptr || !attempts->is_array() || attempts->get_array().empty()) return {};
  std::vector<std::vector<std::string>> rows{{"tier", "name", "method", "took", "target", "result"}};
  std::string last_skipped;  // tier and code of the row before, when it was skipped
  for (const json::value& value : attempts->get_array()) {
    if (!value.is_object()) continue;
    const json::object& attempt = value.get_object();
    const std::string tier = std::to_string(number_of(attempt, "tier"));
    const bool was_skipped = text_of(attempt, "outcome") == "skipped";
    const std::string skipped = was_skipped ? tier + text_of(attempt, "code") : std::string();
    if (was_skipped && skipped == last_skipped) {  // one row for the methods of a tier that share their reason
      rows.back()[2].append(", ").append(text_of(attempt, "method"));
      rows.back()[5] = skipped_together(attempt);
      continue;
    }
    last_skipped = skipped;
    rows.push_back({tier, text_of(attempt, "tier_name"), text_of(attempt, "method"),
                    was_skipped ? "-" : format_elapsed(static_cast<double>(number_of(attempt, "elapsed_ms")) / 1000.0),
                    text_of(attempt, "target"), attempt_result(attempt)});
  }
  return format_table(rows);
}

}  // namespace dig::cli
