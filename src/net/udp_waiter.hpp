// SPDX-License-Identifier: Apache-2.0
// A UDP socket that waits on a loop until there is something to be received. Private to net/: included by .cpp files
// and private headers only.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <memory>
#include <utility>

#include "base/endpoint.hpp"
#include "net/asio.hpp"
#include "net/unique_fd.hpp"

namespace dig::net {

class UdpWaiter {
 public:
  UdpWaiter(boost::asio::io_context& context, UniqueFd fd, const Endpoint& local)
      : fd_(std::move(fd)), local_(local), waiter_(context, fd_.value()) {}
  ~UdpWaiter() {
    if (waiter_.is_open()) waiter_.release();  // fd_ is what closes it
  }
  UdpWaiter(const UdpWaiter&) = delete;
  UdpWaiter& operator=(const UdpWaiter&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_.value(); }
  [[nodiscard]] const Endpoint& local() const noexcept { return local_; }
  [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_; }

  // Nobody is told of anything any more. The socket stays open until the last one lets go of it.
  void stop() {
    is_stopped_ = true;
    boost::system::error_code ignored;
    waiter_.cancel(ignored);  // its handler lets go of the socket
  }

  // Calls handle(socket) once, later; never once it was stopped. `Socket` is a UdpWaiter, which is held meanwhile.
  template <class Socket, class Handle>
  static void wait(const std::shared_ptr<Socket>& socket, Handle handle) {
    socket->waiter_.async_wait(Descriptor::wait_read, [socket, handle](const boost::system::error_code& error) {
      if (!error && !socket->is_stopped_) handle(socket);
    });
  }

 private:
  UniqueFd fd_;
  Endpoint local_;
  Descriptor waiter_;
  bool is_stopped_ = false;
};

}  // namespace dig::net
