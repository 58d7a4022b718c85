// SPDX-License-Identifier: Apache-2.0
// The two outputs of the command: stdout for results (with --json one object a line and nothing else), stderr for
// people. A reader that goes away is no error: what follows is dropped quietly.
//
// Thread-safety: one thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

namespace dig::cli {

enum class Verbosity { quiet, normal, verbose };
enum class Style { plain, good, bad, strong };

class Console {
 public:
  struct Options {
    bool is_json = false;
    bool has_color = false;
    Verbosity verbosity = Verbosity::normal;
  };

  Console() = default;
  void configure(Options options) { options_ = options; }

  [[nodiscard]] bool is_json() const noexcept { return options_.is_json; }
  [[nodiscard]] bool is_verbose() const noexcept { return options_.verbosity == Verbosity::verbose; }
  [[nodiscard]] bool is_quiet() const noexcept { return options_.verbosity == Verbosity::quiet; }
  [[nodiscard]] static bool is_terminal();   // stderr is one
  [[nodiscard]] static std::size_t width();  // of the terminal; COLUMNS wins; 80 when unknown

  // A result for pipes; only without --json.
  void result(std::string_view line);
  // A line of JSON; only with --json.
  void json(const boost::json::object& line);
  // For people on stderr: always, unless --quiet, only with --verbose.
  void error(std::string_view line);
  void note(std::string_view line);
  void detail(std::string_view line);
  // A line on stderr that the next one replaces; an empty text removes it.
  void status(std::string_view line);

  [[nodiscard]] std::string styled(Style style, std::string_view text) const;

 private:
  void write_stderr(std::string_view line);

  Options options_;
  bool stdout_is_gone_ = false;
  bool has_status_ = false;
};

}  // namespace dig::cli
