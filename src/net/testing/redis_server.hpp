// SPDX-License-Identifier: Apache-2.0
// Test-only: Debian's redis-server on loopback, started, stopped and killed at will.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "net/port_manager.hpp"
#include "net/unique_fd.hpp"

namespace dig::net::testing {

inline std::uint16_t free_port() {
  PortManager ports;
  return ports.acquire({.purpose = "redis", .udp = false, .addresses = {IpAddress::loopback(IpFamily::v4)}})->port();
}

class RedisServer {
 public:
  // `flags`: further words of its command line.
  RedisServer(std::uint16_t port, std::vector<std::string> flags)
      : port_(std::to_string(port)), flags_(std::move(flags)) {
    start();
  }
  // Each change on its disk before the answer, as several directory servers need it.
  static std::vector<std::string> durable(const std::filesystem::path& folder) {
    return {"--dir", folder.native(), "--appendonly", "yes", "--appendfsync", "always"};
  }
  ~RedisServer() { kill(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void start() {
    std::vector<std::string> words{"redis-server", "--port", port_,       "--bind", "127.0.0.1",
                                   "--save",       "",       "--logfile", ""};
    words.insert(words.end(), flags_.begin(), flags_.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const UniqueFd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const UniqueFd failure(ends[0]);
    UniqueFd failing(ends[1]);
    process_ = ::fork();
    ASSERT_GE(process_, 0);
    if (process_ == 0) {
      // It must not outlive a test that crashes.
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(nowhere.value(), STDOUT_FILENO);
      ::execvp(arguments[0], arguments.data());
      std::ignore = ::write(failing.value(), "", 1);
      ::_exit(127);
    }
    failing.reset();
    char byte = 0;
    ASSERT_EQ(::read(failure.value(), &byte, 1), 0) << "redis-server is not installed";
  }
  void kill() {
    if (process_ == 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(std::exchange(process_, 0), nullptr, 0);
  }
  void signal(int number) const { ::kill(process_, number); }

 private:
  std::string port_;
  std::vector<std::string> flags_;
  pid_t process_ = 0;
};

}  // namespace dig::net::testing
