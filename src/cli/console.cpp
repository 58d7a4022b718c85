// SPDX-License-Identifier: Apache-2.0
#include "cli/console.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "service/json_text.hpp"

namespace dig::cli {
namespace {

constexpr std::size_t k_default_width = 80;
constexpr std::size_t k_widest = 1000;

// False when the reader is gone or the output does not work.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {  // somebody made the pipe non-blocking
      pollfd handle{.fd = fd, .events = POLLOUT, .revents = 0};
      if (::poll(&handle, 1, -1) < 0 && errno != EINTR) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool Console::is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

std::size_t Console::width() {
  std::size_t width = 0;
  if (const char* columns = std::getenv("COLUMNS"); columns != nullptr) {
    const std::string_view text(columns);
    std::from_chars(text.data(), text.data() + text.size(), width);
  }
  winsize size{};
  if (width == 0 && ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  return width == 0 || width > k_widest ? k_default_width : width;
}

void Console::result(std::string_view line) {
  if (options_.is_json || stdout_is_gone_) return;
  status("");
  stdout_is_gone_ = !write_all(STDOUT_FILENO, std::string(line) + "\n");
}

void Console::json(const boost::json::object& line) {
  if (!options_.is_json || stdout_is_gone_) return;
  stdout_is_gone_ = !write_all(STDOUT_FILENO, service::to_line(line) + "\n");
}

void Console::write_stderr(std::string_view line) {
  status("");
  (void)write_all(STDERR_FILENO, std::string(line) + "\n");
}

void Console::error(std::string_view line) { write_stderr(line); }
void Console::note(std::string_view line) {
  if (!is_quiet()) write_stderr(line);
}
void Console::detail(std::string_view line) {
  if (is_verbose()) write_stderr(line);
}

void Console::status(std::string_view line) {
  if (line.empty() && !has_status_) return;
  (void)write_all(STDERR_FILENO, "\r" + std::string(line) + "\x1b[K");  // ECMA-48 EL: clear to the end of the line
  has_status_ = !line.empty();
}

std::string Console::styled(Style style, std::string_view text) const {
  if (!options_.has_color || style == Style::plain) return std::string(text);
  const char* const code = style == Style::good ? "\x1b[32m" : style == Style::bad ? "\x1b[31m" : "\x1b[1m";
  return code + std::string(text) + "\x1b[0m";
}

}  // namespace dig::cli
