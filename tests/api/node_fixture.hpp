// SPDX-License-Identifier: Apache-2.0
// Nodes in temporary homes on the loopback interface, and what the tests of the public API share to drive them.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "dignet/node.hpp"

namespace dignet::testing {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// A folder that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "dignet-api-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] fs::path operator/(const fs::path& name) const { return path_ / name; }

 private:
  fs::path path_;
};

inline std::string random_text(std::size_t size, unsigned seed) {
  std::mt19937_64 generator(seed);
  std::string text(size, '\0');
  for (char& character : text) character = static_cast<char>(generator());
  return text;
}
inline void write_file(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}
inline std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A port of the loopback interface that takes connections and never says a word, or refuses them.
class DeafPort {
 public:
  explicit DeafPort(bool listens) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_, generic, size) != 0 || (listens && ::listen(socket_, 16) != 0) ||
        ::getsockname(socket_, generic, &size) != 0) {
      throw std::runtime_error("no port on the loopback interface");
    }
    port_ = ntohs(address.sin_port);
  }
  ~DeafPort() { ::close(socket_); }
  DeafPort(const DeafPort&) = delete;
  DeafPort& operator=(const DeafPort&) = delete;
  [[nodiscard]] std::string address(const std::string& peer_id) const {
    return "/ip4/127.0.0.1/tcp/" + std::to_string(port_) + "/p2p/" + peer_id;
  }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

class ApiTest : public ::testing::Test {
 protected:
  static constexpr auto k_patience = 30s;

  // While what the handlers refer to is still there.
  void TearDown() override { nodes_.clear(); }

  // A node in the home of this name, which outlives the node. Owned by the test; the oldest is node(0).
  Node* start(const std::string& home, bool listen = true) {
    NodeOptions options{.home = folder / home, .listen = listen};
    if (listen) options.listen_addresses = {"/ip4/127.0.0.1/tcp/0"};
    auto node = Node::create(std::move(options));
    if (!node) throw std::runtime_error(node.error().message());
    nodes_.push_back(std::move(*node));
    return nodes_.back().get();
  }
  void stop(Node* node) {
    std::erase_if(nodes_, [&](const auto& entry) { return entry.get() == node; });
  }

  // Processes the events of all nodes until `done`; false when that takes too long.
  [[nodiscard]] bool run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + k_patience;
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::size_t calls = 0;
      for (std::size_t i = 0; i < nodes_.size(); ++i) calls += nodes_[i]->process();
      if (calls > 0) continue;
      std::vector<pollfd> handles;
      for (const auto& node : nodes_) handles.push_back({node->event_handle(), POLLIN, 0});
      (void)::poll(handles.data(), handles.size(), 100);
    }
    return true;
  }
  // Starts an operation and processes events until it completes.
  template <class T>
  Result<T> wait(const std::function<void(Completion<T>)>& begin) {
    const auto result = std::make_shared<std::optional<Result<T>>>();
    begin([result](Result<T> value) {
      EXPECT_FALSE(result->has_value()) << "completed twice";
      result->emplace(std::move(value));
    });
    if (!run_until([&] { return result->has_value(); })) {
      ADD_FAILURE() << "an operation does not complete";
      return std::unexpected(Error(Errc::timed_out, "given up by the test"));
    }
    return std::move(**result);
  }

  Result<StoreInfo> add(Node* node, const fs::path& path, AddOptions options = {}) {
    return wait<StoreInfo>([&](auto done) { node->add_store(path, options, std::move(done)); });
  }
  Result<std::vector<StoreInfo>> list(Node* node) {
    return wait<std::vector<StoreInfo>>([&](auto done) { node->list_stores(std::move(done)); });
  }
  Result<FetchReport> fetch(Node* node, const FetchRequest& request) {
    return wait<FetchReport>([&](auto done) { node->fetch(request, nullptr, std::move(done)); });
  }
  Result<ConnectReport> connect(Node* node, const ConnectRequest& request) {
    return wait<ConnectReport>([&](auto done) { node->connect(request, nullptr, std::move(done)); });
  }
  Result<Stream> open(Node* node, std::uint64_t connection, const std::string& protocol) {
    return wait<Stream>([&](auto done) { node->open_stream(connection, protocol, std::move(done)); });
  }
  Result<ReadData> read(Stream& stream, std::size_t max_bytes = 1 << 20) {
    return wait<ReadData>([&](auto done) { stream.read(max_bytes, std::move(done)); });
  }
  Result<void> write(Stream& stream, const std::string& text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return wait<void>([&](auto done) { stream.write({begin, begin + text.size()}, std::move(done)); });
  }
  // What the peer sends until its end.
  std::string read_to_end(Stream& stream) {
    std::string text;
    while (true) {
      const auto data = read(stream);
      if (!data) {
        ADD_FAILURE() << data.error().message();
        return text;
      }
      text.append(reinterpret_cast<const char*>(data->bytes.data()), data->bytes.size());
      if (data->is_end) return text;
    }
  }

  TemporaryFolder folder;

 private:
  std::vector<std::unique_ptr<Node>> nodes_;
};

template <class T>
Errc code_of(const Result<T>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? Errc::internal : result.error().code();
}

}  // namespace dignet::testing
