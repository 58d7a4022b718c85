// SPDX-License-Identifier: Apache-2.0
// Errors and results, used by every layer and by the public API.
//
// Thread-safety: plain values; distinct objects may be used from any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace dig {

// One enumerator per line of errors.def.
enum class Errc : std::uint16_t {
#define DIG_ERROR(name, code, kind, meaning, hint) name,
#include "dignet/errors.def"
#undef DIG_ERROR
};

// What an error means for a caller; the value is the exit code of the command.
enum class ErrorKind : std::uint8_t {
  unexpected = 1,
  usage = 2,
  not_found = 3,
  unreachable = 4,
  integrity = 5,
  refused = 6,
  timed_out = 7,
  interrupted = 130,
};

// The fixed facts about one error code.
struct ErrorInfo {
  std::string_view name;  // "connect_timeout"
  std::string_view code;  // "DN-NET-003"
  ErrorKind kind;
  std::string_view meaning;  // one line, no full stop
  std::string_view hint;     // what the user can do
};

[[nodiscard]] const ErrorInfo& error_info(Errc code) noexcept;

// An error code and, for this one occurrence, a short detail. The detail may quote text that came from a peer:
// the constructor cuts it to `max_detail` bytes and replaces control and bidirectional characters.
class Error {
 public:
  static constexpr std::size_t max_detail = 240;

  explicit Error(Errc code) noexcept : code_(code) {}
  Error(Errc code, std::string_view detail);

  [[nodiscard]] Errc code() const noexcept { return code_; }
  [[nodiscard]] const ErrorInfo& info() const noexcept { return error_info(code_); }
  [[nodiscard]] const std::string& detail() const noexcept { return detail_; }
  // "the connection timed out: 192.0.2.1:4001 (DN-NET-003)"
  [[nodiscard]] std::string message() const;

  friend bool operator==(const Error&, const Error&) = default;

 private:
  Errc code_;
  std::string detail_;
};

template <class T = void>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Errc code) { return std::unexpected(Error(code)); }
[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string_view detail) {
  return std::unexpected(Error(code, detail));
}

}  // namespace dig

// The public API lives in `dignet`; errors are the one vocabulary it shares with the layers below.
namespace dignet {
using dig::Errc;
using dig::Error;
using dig::ErrorInfo;
using dig::ErrorKind;
using dig::Result;
}  // namespace dignet
