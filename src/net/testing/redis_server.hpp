// SPDX-License-Identifier: Apache-2.0
// Test-only: Debian's redis-server on loopback, started, stopped and killed at will.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "net/port_manager.hpp"

extern char** environ;

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
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ASSERT_EQ(::posix_spawnp(&process_, words[0].c_str(), &actions, nullptr, arguments.data(), environ), 0)
        << "redis-server is not installed";
    posix_spawn_file_actions_destroy(&actions);
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
