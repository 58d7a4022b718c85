// SPDX-License-Identifier: Apache-2.0
#include "service/bootstrap_pages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/json_text.hpp"

namespace dig::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const ServerFacts k_facts{.version = "1.2.3",
                          .identity = {.peer_id = "12D3KooWServer", .crypto_ipv6 = "fd00::1", .public_key = "00"},
                          .uptime = std::chrono::seconds(90)};

dignet::NodeStatus busy() {
  dignet::NodeStatus status;
  status.roles = {"peer", "bootstrap", "relay"};
  status.addresses = {"/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWServer"};
  status.connections = 7;
  status.bootstraps = {{.peer_id = "12D3KooWOther", .registered_seconds = std::nullopt, .error = std::nullopt}};
  status.relay =
      dignet::RelayRoleStatus{.reservations = 3, .circuits = 2, .circuits_admitted = 11, .circuits_refused = 1};
  status.directory = dignet::DirectoryStatus{
      .records = 5, .bytes = 4000, .registered = 9, .refused = 4, .expired = 2, .look_ups = 6, .is_shared = true};
  status.one_port = dignet::OnePortStatus{.unidentified = 1,
                                          .accepted = 40,
                                          .rejected = 8,
                                          .libp2p = 20,
                                          .stun = 6,
                                          .pages = 4,
                                          .misdirected_pages = 2,
                                          .refused = {{"first bytes inside TLS", Errc::phase_timeout, 3}},
                                          .datagrams_refused = {{"rtp", 12}}};
  return status;
}

net::PageAnswer get(std::string_view path) { return bootstrap_page(path, k_facts, busy()); }

TEST(BootstrapPages, ThePageForPeopleHasNumbersAndNoScript) {
  const auto page = get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("<dt>registered peers</dt><dd>5</dd>"));
  EXPECT_THAT(page.body, HasSubstr("12D3KooWServer"));
  EXPECT_THAT(page.body, Not(HasSubstr("script")));
}

TEST(BootstrapPages, HealthIsOk) { EXPECT_EQ(get("/health").body, "ok\n"); }

TEST(BootstrapPages, TheStatusHasNumbersOfTheServerAlone) {
  const auto page = get("/status.json");
  EXPECT_EQ(page.content_type, "application/json");
  const auto status = parse_line(page.body).value();
  EXPECT_EQ(status.at("version"), "1.2.3");
  EXPECT_EQ(status.at("uptime_s"), 90);
  EXPECT_EQ(status.at("directory").at("records"), 5);
  EXPECT_EQ(status.at("directory").at("shared"), true);
  EXPECT_EQ(status.at("relay").at("circuits"), 2);
  EXPECT_EQ(to_line(status.at("one_port").as_object()),
            R"({"unidentified":1,"accepted":40,"rejected":8,"libp2p":20,"stun":6,"pages":4,"misdirected_pages":2,)"
            R"("refused":[{"phase":"first bytes inside TLS","reason":")" +
                std::string(error_info(Errc::phase_timeout).code) +
                R"(","count":3}],"datagrams_refused":[{"reason":"rtp","count":12}]})");
  EXPECT_FALSE(status.contains("bootstraps"));  // whom it registers with is its own business
}

TEST(BootstrapPages, MetricsAreForPrometheus) {
  const auto page = get("/metrics");
  EXPECT_EQ(page.status, 200);
  for (const std::string_view line :
       {"dignet_bootstrap_connections 7\n", "dignet_bootstrap_directory_records 5\n",
        "dignet_bootstrap_directory_look_ups_total 6\n", "dignet_bootstrap_circuits_refused_total 1\n",
        "dignet_bootstrap_directory_shared 1\n", "dignet_bootstrap_port_unidentified 1\n",
        "dignet_bootstrap_port_rejected_total 8\n", "dignet_bootstrap_port_identified_total{application=\"stun\"} 6\n",
        "dignet_bootstrap_port_refused_datagrams_total{reason=\"rtp\"} 12\n"}) {
    EXPECT_THAT(page.body, HasSubstr(line));
  }
  EXPECT_THAT(page.body, HasSubstr("dignet_bootstrap_port_refused_total{phase=\"first bytes inside TLS\",reason=\"" +
                                   std::string(error_info(Errc::phase_timeout).code) + "\"} 3\n"));
}

TEST(BootstrapPages, ALostRedisIsSeenAndOneThatIsNotUsedIsNotNamed) {
  dignet::NodeStatus status = busy();
  status.directory->is_shared = false;
  const auto page = [&](std::string_view path) { return bootstrap_page(path, k_facts, status).body; };
  EXPECT_THAT(page("/metrics"), HasSubstr("dignet_bootstrap_directory_shared 0\n"));
  EXPECT_EQ(parse_line(page("/status.json"))->at("directory").at("shared"), false);
  EXPECT_THAT(page("/"), HasSubstr("Redis is lost"));
  status.directory->is_shared = std::nullopt;
  for (const std::string_view path : {"/metrics", "/status.json", "/"}) {
    EXPECT_THAT(page(path), Not(HasSubstr("shared"))) << path;
  }
}

TEST(BootstrapPages, EverythingElseIsNotFound) {
  for (const std::string_view path : {"", "/status", "/metrics/", "/../etc/passwd", "/HEALTH"}) {
    EXPECT_EQ(get(path).status, 404) << path;
  }
}

TEST(BootstrapPages, ANodeWithoutTheRolesHasNoNumbersOfThem) {
  const auto status = parse_line(bootstrap_page("/status.json", k_facts, {}).body).value();
  EXPECT_FALSE(status.contains("directory"));
  EXPECT_FALSE(status.contains("relay"));
  EXPECT_FALSE(status.contains("one_port"));
  EXPECT_THAT(bootstrap_page("/metrics", k_facts, {}).body, Not(HasSubstr("directory")));
}

}  // namespace
}  // namespace dig::service
