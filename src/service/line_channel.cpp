// SPDX-License-Identifier: Apache-2.0
#include "service/line_channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace dig::service {

LineChannel::LineChannel(EventLoop& loop, net::UniqueFd fd, Limits limits, Callbacks callbacks)
    : loop_(loop), fd_(std::move(fd)), limits_(limits), callbacks_(std::move(callbacks)) {
  ::fcntl(fd_.value(), F_SETFL, ::fcntl(fd_.value(), F_GETFL) | O_NONBLOCK);
  loop_.watch(fd_.value(), POLLIN, [this](short revents) { handle(revents); });
}

LineChannel::~LineChannel() {
  *is_alive_ = false;
  if (close_timer_ != 0) loop_.cancel(close_timer_);
  if (fd_) loop_.unwatch(fd_.value());
}

void LineChannel::send(std::string_view line) {
  if (!fd_ || close_timer_ != 0) return;
  output_.append(line).push_back('\n');
  if (!write_some() || output_.size() > limits_.max_queued) close_later();
}

// Closing from inside send() would call back into a caller that does not expect it.
void LineChannel::close_later() {
  close_timer_ = loop_.call_after(std::chrono::milliseconds(0), [this] {
    close_timer_ = 0;
    close();
  });
}

void LineChannel::close() {
  if (!fd_) return;
  loop_.unwatch(fd_.value());
  fd_.reset();
  auto on_closed = std::move(callbacks_.on_closed);
  on_closed();  // may destroy this channel
}

void LineChannel::handle(short revents) {
  if ((revents & POLLOUT) != 0 && !write_some()) return close();
  if ((revents & (POLLIN | POLLHUP | POLLERR)) == 0) return;
  const std::shared_ptr<bool> is_alive = is_alive_;
  const bool is_open = read_some();
  const bool may_go_on = deliver_lines();
  if (!*is_alive) return;
  if (!is_open || !may_go_on) close();
}

bool LineChannel::read_some() {
  std::array<char, 16384> buffer;
  const ssize_t got = ::recv(fd_.value(), buffer.data(), buffer.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  input_.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0;
}

bool LineChannel::deliver_lines() {
  const std::shared_ptr<bool> is_alive = is_alive_;
  for (std::size_t end = input_.find('\n', searched_); end != std::string::npos; end = input_.find('\n')) {
    if (end > limits_.max_line) return false;
    const std::string line = input_.substr(0, end);
    input_.erase(0, end + 1);
    searched_ = 0;
    callbacks_.on_line(line);
    if (!*is_alive) return false;
  }
  searched_ = input_.size();
  return input_.size() <= limits_.max_line;
}

bool LineChannel::write_some() {
  while (!output_.empty()) {
    const ssize_t sent = ::send(fd_.value(), output_.data(), output_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) return false;
    output_.erase(0, static_cast<std::size_t>(sent));
  }
  loop_.change(fd_.value(), static_cast<short>(output_.empty() ? POLLIN : (POLLIN | POLLOUT)));
  return true;
}

}  // namespace dig::service
