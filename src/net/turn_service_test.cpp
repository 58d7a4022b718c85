// SPDX-License-Identifier: Apache-2.0
// The TURN server with its sockets and threads, over loopback.
#include "net/turn_service.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "net/sockaddr.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/stun_integrity.hpp"

namespace dig::net {
namespace {

using stun::Attribute;
using stun::Class;
using stun::Method;

constexpr int k_patience = 30'000;  // milliseconds

std::unique_ptr<TurnService> start(std::size_t threads) {
  auto users = std::make_shared<turn::StaticUsers>("dignet");
  users->add("user", "pass");
  TurnServiceOptions options;
  options.listen = {Endpoint::parse("127.0.0.1:0").value()};
  options.credentials = users;
  options.threads = threads;
  return TurnService::start(std::move(options)).value();
}

// A client with a blocking socket of its own.
class Client {
 public:
  explicit Client(const Endpoint& server) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress address(server);
    EXPECT_EQ(::connect(fd_.value(), address.get(), address.size()), 0);
  }

  int allocate() {
    return request(Method::allocate,
                   [](stun::Writer& writer) { stun::add_requested_transport(writer, stun::k_transport_udp); });
  }
  int release() {
    return request(Method::refresh, [](stun::Writer& writer) { writer.add_u32(Attribute::lifetime, 0); });
  }

 private:
  using Fill = std::function<void(stun::Writer&)>;

  // The error code of the answer, 0 for a success, -1 for none.
  int request(Method method, const Fill& fill) {
    if (nonce_.empty() && exchange(method, fill) != 401) return -1;
    return exchange(method, [&](stun::Writer& writer) {
      fill(writer);
      writer.add_text(Attribute::username, "user");
      writer.add_text(Attribute::realm, "dignet");
      writer.add_text(Attribute::nonce, nonce_);
      const stun::LongTermKey key(stun::PasswordAlgorithm::md5, "user", "dignet", "pass");
      stun::add_integrity(writer, key.view());
    });
  }
  int exchange(Method method, const Fill& fill) {
    std::array<std::byte, 1024> buffer;
    stun::Writer writer(buffer, {method, Class::request, {static_cast<std::byte>(++transactions_)}});
    fill(writer);
    EXPECT_GT(::send(fd_.value(), writer.written().data(), writer.written().size(), 0), 0);
    pollfd ready{fd_.value(), POLLIN, 0};
    if (::poll(&ready, 1, k_patience) != 1) return -1;
    const ssize_t size = ::recv(fd_.value(), buffer.data(), buffer.size(), 0);
    if (size < 0) return -1;
    const auto answer = stun::Message::parse(BytesView(buffer).first(static_cast<std::size_t>(size)));
    if (!answer) return -1;
    if (const auto nonce = answer->find(Attribute::nonce)) nonce_ = as_text(*nonce);
    const auto error = answer->find(Attribute::error_code);
    return error ? stun::decode_error(*error).value().code : 0;
  }

  UniqueFd fd_;
  std::string nonce_;
  unsigned transactions_ = 0;
};

// Told from a thread of the server.
class Told {
 public:
  void tell() {
    const std::lock_guard lock(mutex_);
    ++times_;
    condition_.notify_all();
  }
  [[nodiscard]] int times() {
    const std::lock_guard lock(mutex_);
    return times_;
  }
  [[nodiscard]] bool wait() {
    std::unique_lock lock(mutex_);
    return condition_.wait_for(lock, std::chrono::milliseconds(k_patience), [&] { return times_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  int times_ = 0;
};

TEST(TurnServiceDrain, IsToldAtOnceWhenNobodyIsThere) {
  for (const std::size_t threads : {1U, 3U}) {
    const auto server = start(threads);
    Told told;
    server->drain(std::nullopt, [&] { told.tell(); });
    EXPECT_EQ(told.times(), 1);
  }
}

TEST(TurnServiceDrain, IsToldOnceWhenTheLastOfAllShardsHasLeft) {
  const auto server = start(3);
  std::vector<Client> clients;
  for (int i = 0; i < 12; ++i) {  // from as many ports: the kernel spreads them over the shards
    clients.emplace_back(server->listening().front());
    ASSERT_EQ(clients.back().allocate(), 0);
  }
  Told told;
  server->drain(std::nullopt, [&] { told.tell(); });
  EXPECT_EQ(Client(server->listening().front()).allocate(), 508);
  for (Client& client : clients) {
    EXPECT_EQ(told.times(), 0);
    EXPECT_EQ(client.release(), 0);
  }
  EXPECT_TRUE(told.wait());
  EXPECT_EQ(server->snapshot().allocations, 0u);
  EXPECT_EQ(told.times(), 1);
}

TEST(TurnServiceDrain, IsNotToldWhenTheServerEndsBefore) {
  auto server = start(2);
  Client client(server->listening().front());
  ASSERT_EQ(client.allocate(), 0);
  Told told;
  server->drain(std::nullopt, [&] { told.tell(); });
  server.reset();
  EXPECT_EQ(told.times(), 0);
}

TEST(TurnService, IsAPairRelayOnOneThreadOnly) {
  TurnServiceOptions options;
  options.listen = {Endpoint::parse("127.0.0.1:0").value()};
  options.credentials = std::make_shared<turn::StaticUsers>("dignet");
  options.is_pair_relay = true;
  options.threads = 2;
  const auto refused = TurnService::start(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::invalid_argument);
  options.threads = 1;
  EXPECT_TRUE(TurnService::start(options));
}

}  // namespace
}  // namespace dig::net
