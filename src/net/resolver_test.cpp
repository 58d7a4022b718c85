// SPDX-License-Identifier: Apache-2.0
#include "net/resolver.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>

namespace dig::net {
namespace {

constexpr Duration k_patience = 10s;
const IpAddress k_v4 = IpAddress::v4({192, 0, 2, 1});

// A name server that answers only once it is let go; shared with threads that are left behind.
struct Silence {
  std::latch gate{1};
  std::atomic<int> calls{0};
  std::atomic<int> returned{0};
};
Resolver::Lookup silent(const std::shared_ptr<Silence>& silence) {
  return [silence](const std::string&, std::optional<IpFamily>) -> Result<Resolver::Addresses> {
    ++silence->calls;
    silence->gate.wait();
    ++silence->returned;
    return Resolver::Addresses{k_v4};
  };
}

class ResolverTest : public testing::Test {
 protected:
  Result<Resolver::Addresses> resolve(Resolver& resolver, const std::string& name,
                                      std::optional<IpFamily> family = std::nullopt) {
    std::optional<Result<Resolver::Addresses>> answer;
    resolver.resolve(name, family, [&](Result<Resolver::Addresses> result) { answer = std::move(result); });
    EXPECT_FALSE(answer) << "answered from inside resolve()";
    EXPECT_TRUE(loop.run_until([&] { return answer.has_value(); }, k_patience));
    return *answer;
  }
  // For what happens on other threads, which does not wake the loop.
  bool run_while_waiting(const std::function<bool()>& done) {
    for (int i = 0; i < 10'000 && !done(); ++i) loop.run_for(1ms);
    return done();
  }
  Loop loop;
};

TEST_F(ResolverTest, SystemResolverKnowsLocalhost) {
  Resolver resolver(loop);
  const auto addresses = resolve(resolver, "localhost", IpFamily::v4);
  ASSERT_TRUE(addresses) << addresses.error().message();
  EXPECT_EQ(addresses->front(), IpAddress::loopback(IpFamily::v4));
}

TEST_F(ResolverTest, AnswersAreBounded) {
  Resolver resolver(loop, {.max_addresses = 3}, [](const std::string&, std::optional<IpFamily>) {
    return Result<Resolver::Addresses>(Resolver::Addresses(100, k_v4));
  });
  EXPECT_EQ(resolve(resolver, "many.example")->size(), 3u);
}

TEST_F(ResolverTest, EmptyAnswerAndFailureAreErrors) {
  Resolver empty(loop, {}, [](const std::string&, std::optional<IpFamily>) {
    return Result<Resolver::Addresses>(Resolver::Addresses());
  });
  EXPECT_EQ(resolve(empty, "a.example").error().code(), Errc::resolve_failed);
  Resolver failing(loop, {}, [](const std::string&, std::optional<IpFamily>) -> Result<Resolver::Addresses> {
    return fail(Errc::resolve_failed, "NXDOMAIN");
  });
  EXPECT_EQ(resolve(failing, "a.example").error().detail(), "NXDOMAIN");
}

TEST_F(ResolverTest, NamesHoldAtTheirBounds) {
  Resolver resolver(loop, {}, [](const std::string&, std::optional<IpFamily>) {
    return Result<Resolver::Addresses>(Resolver::Addresses{k_v4});
  });
  EXPECT_EQ(resolve(resolver, "").error().code(), Errc::invalid_argument);
  EXPECT_EQ(resolve(resolver, std::string(254, 'a')).error().code(), Errc::invalid_argument);
  EXPECT_EQ(resolve(resolver, std::string("a\0b", 3)).error().code(), Errc::invalid_argument);
  EXPECT_TRUE(resolve(resolver, std::string(253, 'a')));
}

TEST_F(ResolverTest, SilentServerIsGivenUpInTime) {
  const auto silence = std::make_shared<Silence>();
  Resolver resolver(loop, {.timeout = 20ms}, silent(silence));
  const auto answer = resolve(resolver, "silent.example");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), Errc::resolve_failed);
  silence->gate.count_down();
}

TEST_F(ResolverTest, ThreadsAndQueueAreBounded) {
  const auto silence = std::make_shared<Silence>();
  Resolver resolver(loop, {.timeout = 60s, .max_running = 2, .max_waiting = 1}, silent(silence));
  int answered = 0;
  for (int i = 0; i < 3; ++i) {
    resolver.resolve("a.example", std::nullopt, [&](Result<Resolver::Addresses> result) {
      EXPECT_TRUE(result);
      ++answered;
    });
  }
  EXPECT_EQ(resolve(resolver, "b.example").error().code(), Errc::limit_reached);
  EXPECT_TRUE(run_while_waiting([&] { return silence->calls == 2; }));
  loop.run_for(5ms);
  EXPECT_EQ(silence->calls, 2);
  silence->gate.count_down();
  EXPECT_TRUE(loop.run_until([&] { return answered == 3; }, k_patience));
}

TEST_F(ResolverTest, NoAnswerComesAfterDestruction) {
  const auto silence = std::make_shared<Silence>();
  int answered = 0;
  {
    Resolver resolver(loop, {}, silent(silence));
    resolver.resolve("a.example", std::nullopt, [&](Result<Resolver::Addresses>) { ++answered; });
    loop.poll();
  }
  silence->gate.count_down();
  EXPECT_TRUE(run_while_waiting([&] { return silence->returned == 1; }));
  loop.run_for(5ms);
  EXPECT_EQ(answered, 0);
}

}  // namespace
}  // namespace dig::net
