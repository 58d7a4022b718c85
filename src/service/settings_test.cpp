// SPDX-License-Identifier: Apache-2.0
#include "service/settings.hpp"

#include <gtest/gtest.h>

#include <map>

namespace dig::service {
namespace {

Environment fake(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

std::string why(const Result<Settings>& settings) { return settings ? "accepted" : settings.error().detail(); }

TEST(Settings, ReadsEveryKey) {
  const auto settings = parse_settings(
      "port = 4005\nlisten = ['/ip4/127.0.0.1/tcp/0']\nannounce = []\ntiers = '1-2'\nlog-level = 'debug'\ncolor = "
      "'never'\n",
      "f");
  ASSERT_TRUE(settings) << why(settings);
  EXPECT_EQ(settings->port, 4005);
  EXPECT_EQ(settings->listen, std::vector<std::string>{"/ip4/127.0.0.1/tcp/0"});
  EXPECT_EQ(settings->announce, std::vector<std::string>{});
  EXPECT_EQ(settings->tiers, "1-2");
  EXPECT_EQ(settings->log_level, "debug");
  EXPECT_EQ(settings->color, "never");
}

TEST(Settings, ReadsTheKeysOfServers) {
  const auto settings = parse_settings(
      "stun = ['stun:a']\nturn = ['turn:b', 'turns:c']\nturn-user = 'u'\nturn-pass = 'p'\ncatalogue = '/s.toml'\n"
      "ca = '/ca.pem'\nproxy = 'http://p:1'\nno-proxy = 'a,b'\n",
      "f");
  ASSERT_TRUE(settings) << why(settings);
  EXPECT_EQ(settings->stun, std::vector<std::string>{"stun:a"});
  EXPECT_EQ(settings->turn, (std::vector<std::string>{"turn:b", "turns:c"}));
  EXPECT_EQ(settings->turn_user, "u");
  EXPECT_EQ(settings->turn_pass, "p");
  EXPECT_EQ(settings->catalogue, "/s.toml");
  EXPECT_EQ(settings->ca, "/ca.pem");
  EXPECT_EQ(settings->proxy, "http://p:1");
  EXPECT_EQ(settings->no_proxy, "a,b");
}

TEST(Settings, ReadsWhatIsGivenAwayToOthers) {
  const auto settings =
      parse_settings("no-turn = true\nturn-open = true\nturn-max-mbps = 2.5\nturn-max-gb-per-month = 100\n", "f");
  ASSERT_TRUE(settings) << why(settings);
  EXPECT_EQ(settings->no_turn, true);
  EXPECT_EQ(settings->turn_open, true);
  EXPECT_EQ(settings->turn_max_mbps, 2.5);
  EXPECT_EQ(settings->turn_max_gb_per_month, 100.0);
  for (const char* const text :
       {"no-turn = 1", "turn-open = 'true'", "no-turn = 'yes'", "turn-max-mbps = -1", "turn-max-mbps = nan",
        "turn-max-mbps = inf", "turn-max-mbps = '1'", "turn-max-gb-per-month = 1000001"}) {
    EXPECT_FALSE(parse_settings(text, "f")) << text;
  }
  const auto of = [](std::map<std::string, std::string> variables) {
    return settings_from_environment(fake(std::move(variables)));
  };
  EXPECT_EQ(of({{"DIGNET_TURN_MAX_MBPS", "0.5"}})->turn_max_mbps, 0.5);
  EXPECT_EQ(of({{"DIGNET_TURN_MAX_GB_PER_MONTH", "0"}})->turn_max_gb_per_month, 0.0);
  EXPECT_EQ(of({{"DIGNET_NO_TURN", "false"}})->no_turn, false);
  EXPECT_EQ(of({{"DIGNET_TURN_OPEN", "true"}})->turn_open, true);
  EXPECT_EQ(why(of({{"DIGNET_TURN_OPEN", "yes"}})), "DIGNET_TURN_OPEN: turn-open must be true or false");
  EXPECT_EQ(why(of({{"DIGNET_NO_TURN", "1"}})), "DIGNET_NO_TURN: no-turn must be true or false");
  EXPECT_EQ(why(of({{"DIGNET_TURN_MAX_MBPS", "2x"}})),
            "DIGNET_TURN_MAX_MBPS: turn-max-mbps must be a number from 0 to 1000000");
  EXPECT_FALSE(of({{"DIGNET_TURN_MAX_MBPS", "nan"}}));
}

TEST(Settings, TheProxyOfOtherProgramsStandsBehindOurOwn) {
  const auto of = [](std::map<std::string, std::string> variables) {
    return settings_from_environment(fake(std::move(variables))).value();
  };
  EXPECT_EQ(of({{"HTTPS_PROXY", "http://a"}, {"https_proxy", "http://b"}}).proxy, "http://a");
  EXPECT_EQ(of({{"https_proxy", "http://b"}, {"no_proxy", "x"}}).proxy, "http://b");
  EXPECT_EQ(of({{"no_proxy", "x"}}).no_proxy, "x");
  EXPECT_EQ(of({{"DIGNET_PROXY", "http://c"}, {"HTTPS_PROXY", "http://a"}}).proxy, "http://c");
  EXPECT_EQ(of({{"DIGNET_NO_PROXY", "y"}, {"NO_PROXY", "x"}}).no_proxy, "y");
  EXPECT_FALSE(of({}).proxy);
}

TEST(Settings, AnEmptyFileSetsNothing) {
  const auto settings = parse_settings("# nothing\n", "f");
  ASSERT_TRUE(settings);
  EXPECT_FALSE(settings->port || settings->listen || settings->announce || settings->tiers || settings->color);
}

TEST(Settings, AnUnknownKeyIsNamedWithItsLineAndTheNearestKey) {
  const auto settings = parse_settings("tiers = '1'\n\nprot = 4001\n", "dignet.toml");
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().code(), Errc::bad_config);
  EXPECT_EQ(why(settings), "line 3: unknown key \"prot\" (did you mean \"port\"?) in dignet.toml");
}

TEST(Settings, AWrongValueIsNamedWithItsLine) {
  EXPECT_EQ(why(parse_settings("\nport = 65536", "f")), "line 2: port must be a number from 0 to 65535 in f");
  EXPECT_EQ(why(parse_settings("port = -1", "f")), "line 1: port must be a number from 0 to 65535 in f");
  EXPECT_EQ(why(parse_settings("port = '1'", "f")), "line 1: port must be a number from 0 to 65535 in f");
  EXPECT_TRUE(parse_settings("port = 65535", "f"));
  EXPECT_EQ(why(parse_settings("listen = 'x'", "f")), "line 1: listen must be a list of at most 64 strings in f");
  EXPECT_EQ(why(parse_settings("listen = [1]", "f")), "line 1: listen must be a string in f");
  EXPECT_EQ(why(parse_settings("color = 'alway'", "f")),
            "line 1: color must be one of auto, always, never (did you mean \"always\"?) in f");
  EXPECT_EQ(why(parse_settings("[port]\nx = 1", "f")), "line 1: port must be a number from 0 to 65535 in f");
}

TEST(Settings, WhatIsNotTomlIsNamedWithItsLine) {
  const auto settings = parse_settings("tiers = '1'\nport = = 4\n", "f");
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().code(), Errc::bad_config);
  EXPECT_TRUE(why(settings).starts_with("line 2: ")) << why(settings);
  EXPECT_FALSE(parse_settings("port = 1\nport = 2\n", "f"));
}

TEST(Settings, TheEnvironmentSetsTheSame) {
  const auto settings = settings_from_environment(fake({{"DIGNET_PORT", "0"},
                                                        {"DIGNET_LISTEN", "/ip4/1.2.3.4/tcp/1,,/ip6/::1/tcp/2"},
                                                        {"DIGNET_TIERS", "direct"},
                                                        {"DIGNET_LOG_LEVEL", "off"},
                                                        {"DIGNET_COLOR", "always"}}));
  ASSERT_TRUE(settings) << why(settings);
  EXPECT_EQ(settings->port, 0);
  EXPECT_EQ(settings->listen, (std::vector<std::string>{"/ip4/1.2.3.4/tcp/1", "/ip6/::1/tcp/2"}));
  EXPECT_EQ(settings->tiers, "direct");
  EXPECT_EQ(settings->log_level, "off");
}

TEST(Settings, AWrongVariableIsNamed) {
  EXPECT_TRUE(why(settings_from_environment(fake({{"DIGNET_PORT", "65536"}}))).starts_with("DIGNET_PORT: "));
  EXPECT_TRUE(why(settings_from_environment(fake({{"DIGNET_PORT", "1x"}}))).starts_with("DIGNET_PORT: "));
  EXPECT_TRUE(why(settings_from_environment(fake({{"DIGNET_COLOR", "red"}}))).starts_with("DIGNET_COLOR: "));
}

TEST(Settings, TheEnvironmentWinsOverTheFile) {
  const Settings merged = merge({.port = 1, .tiers = {}}, {.port = 2, .tiers = "1"});
  EXPECT_EQ(merged.port, 1);
  EXPECT_EQ(merged.tiers, "1");
}

TEST(Home, TheFlagWinsThenTheVariableThenXdg) {
  const Environment all =
      fake({{"DIGNET_HOME", "/d"}, {"XDG_DATA_HOME", "/data"}, {"XDG_CONFIG_HOME", "/conf"}, {"HOME", "/h"}});
  EXPECT_EQ(find_home("/f", all)->home, "/f");
  EXPECT_EQ(find_home("/f", all)->config, "/f/dignet.toml");
  EXPECT_EQ(find_home(std::nullopt, all)->home, "/d");
  const Environment xdg = fake({{"XDG_DATA_HOME", "/data"}, {"XDG_CONFIG_HOME", "/conf"}});
  EXPECT_EQ(find_home(std::nullopt, xdg)->home, "/data/dignet");
  EXPECT_EQ(find_home(std::nullopt, xdg)->config, "/conf/dignet/dignet.toml");
}

TEST(Home, RelativeXdgFoldersAreIgnored) {
  const Environment environment = fake({{"XDG_DATA_HOME", "data"}, {"HOME", "/h"}});
  EXPECT_EQ(find_home(std::nullopt, environment)->home, "/h/.local/share/dignet");
  EXPECT_EQ(find_home(std::nullopt, environment)->config, "/h/.config/dignet/dignet.toml");
}

TEST(Home, WithoutAnyFolderItSaysSo) {
  const auto home = find_home(std::nullopt, fake({}));
  ASSERT_FALSE(home);
  EXPECT_EQ(home.error().code(), Errc::bad_config);
}

}  // namespace
}  // namespace dig::service
