// SPDX-License-Identifier: Apache-2.0
#include "service/server_checks.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace dig::service {
namespace {

using boost::json::object;
using std::chrono::seconds;

constexpr UnixTime k_now{1'800'000'000};

object health_of(const std::string& url, UnixTime at) {
  return health_form({.server = StunUri::parse(url).value(), .credentials = {}, .provider = "p", .error = {}}, {}, at);
}

class HealthCacheTest : public ::testing::Test {
 protected:
  HealthCacheTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "dignet-health-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~HealthCacheTest() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& text) const { std::ofstream(file()) << text; }
  [[nodiscard]] std::filesystem::path file() const { return folder_ / "home" / "server-health.json"; }

  std::filesystem::path folder_;
};

TEST_F(HealthCacheTest, RemembersWithTheAge) {
  HealthCache cache(file());
  EXPECT_FALSE(cache.find("stun:a", seconds(100), k_now));
  cache.put(health_of("stun:a", k_now));
  cache.put(health_of("stun:b", {k_now.seconds - 50}));
  ASSERT_TRUE(cache.save());
  const HealthCache again(file());
  EXPECT_EQ(again.find("stun:a", seconds(100), {k_now.seconds + 7})->at("age_s"), 7);
  EXPECT_TRUE(again.find("stun:b", seconds(50), k_now));
  EXPECT_FALSE(again.find("stun:b", seconds(49), k_now));
  EXPECT_FALSE(again.find("stun:a", seconds(100), {k_now.seconds - 1}));  // of a clock that was put back
}

TEST_F(HealthCacheTest, ADamagedFileIsAnEmptyCache) {
  std::filesystem::create_directories(file().parent_path());
  for (const std::string text :
       {"", "{", "7", "[7]", R"([{"url":"stun:a"}])", R"([{"url":"stun:a","checked_at":1800000000}])",
        R"([{"url":"stun:a","checked_at":1800000000,"ok":1,"error":null}])",
        R"([{"url":"stun:a","checked_at":1800000000,"ok":true,"error":7}])",
        R"([{"url":7,"checked_at":1800000000,"ok":true,"error":null}])",
        R"([{"url":"stun:a","checked_at":"now","ok":true,"error":null}])"}) {
    write(text);
    EXPECT_FALSE(HealthCache(file()).find("stun:a", seconds(100), k_now)) << text;
  }
  write(std::string(2'000'000, ' '));
  EXPECT_FALSE(HealthCache(file()).find("stun:a", seconds(100), k_now));
}

TEST_F(HealthCacheTest, TheOldestGivesWay) {
  HealthCache cache(file());
  for (std::size_t i = 0; i <= HealthCache::k_max_entries; ++i) {
    cache.put(health_of("stun:host" + std::to_string(i), k_now));
  }
  EXPECT_FALSE(cache.find("stun:host0", seconds(1), k_now));
  EXPECT_TRUE(cache.find("stun:host1", seconds(1), k_now));
  EXPECT_TRUE(cache.find("stun:host256", seconds(1), k_now));
}

}  // namespace
}  // namespace dig::service
