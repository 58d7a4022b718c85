// SPDX-License-Identifier: Apache-2.0
#include "service/json_forms.hpp"

#include <gtest/gtest.h>

#include "service/json_text.hpp"

namespace dig::service {
namespace {

using dignet::Outcome;

TEST(JsonForms, AnErrorHasItsCodeDetailAndHint) {
  EXPECT_EQ(to_line(error_form(Error(Errc::connect_timeout, "192.0.2.1:4001"))),
            R"({"code":"DN-NET-003","detail":"the connection timed out: 192.0.2.1:4001",)"
            R"("hint":"a firewall may drop the packets; check the address and the port"})");
}

TEST(JsonForms, TheExitCodeFollowsTheKindOfTheCode) {
  EXPECT_EQ(exit_code(error_form(Error(Errc::internal))), 1);
  EXPECT_EQ(exit_code(error_form(Error(Errc::bad_urn))), 2);
  EXPECT_EQ(exit_code(error_form(Error(Errc::no_holder))), 3);
  EXPECT_EQ(exit_code(error_form(Error(Errc::all_tiers_failed))), 4);
  EXPECT_EQ(exit_code(error_form(Error(Errc::peer_id_mismatch))), 5);
  EXPECT_EQ(exit_code(error_form(Error(Errc::unpinned))), 6);
  EXPECT_EQ(exit_code(error_form(Error(Errc::timed_out))), 7);
  EXPECT_EQ(exit_code(error_form(Error(Errc::cancelled))), 130);
  EXPECT_EQ(exit_code({{"code", "DN-NEW-999"}}), 1);
  EXPECT_EQ(exit_code({}), 1);
}

TEST(JsonForms, AttemptsAreOrderedByTierAndKeepTheirOrderWithin) {
  std::vector<dignet::Attempt> attempts;
  attempts.push_back({.tier = 2, .tier_name = "traversal", .method = "upnp", .error = Error(Errc::tier_unavailable)});
  attempts.push_back({.tier = 1,
                      .tier_name = "direct",
                      .method = "tcp",
                      .target = "/ip4/192.0.2.1/tcp/1",
                      .elapsed_ms = 301,
                      .outcome = Outcome::failed,
                      .error = Error(Errc::connect_timeout)});
  attempts.push_back({.tier = 1,
                      .tier_name = "direct",
                      .method = "tcp",
                      .target = "/ip4/192.0.2.2/tcp/1",
                      .started_ms = 250,
                      .elapsed_ms = 12,
                      .outcome = Outcome::won});
  EXPECT_EQ(
      to_line(attempts_form(attempts)),
      R"([{"tier":1,"tier_name":"direct","method":"tcp","target":"/ip4/192.0.2.1/tcp/1","started_ms":0,"elapsed_ms":301,)"
      R"("outcome":"failed","code":"DN-NET-003","detail":"the connection timed out",)"
      R"("hint":"a firewall may drop the packets; check the address and the port"},)"
      R"({"tier":1,"tier_name":"direct","method":"tcp","target":"/ip4/192.0.2.2/tcp/1","started_ms":250,"elapsed_ms":12,)"
      R"("outcome":"won"},)"
      R"({"tier":2,"tier_name":"traversal","method":"upnp","target":"","started_ms":0,"elapsed_ms":0,)"
      R"("outcome":"skipped","code":"DN-TIER-001","detail":"this tier is not available here","hint":"see the message"}])");
}

TEST(JsonForms, AFetchHasTheFieldsOfTheContractInTheirOrder) {
  dignet::FetchReport report;
  report.urn = "urn:dig:chia:aa";
  report.bytes = 1048576;
  report.sha256 = "s";
  report.root_hash = "r";
  report.seconds = 0.84049;
  report.first_byte_ms = 212;
  report.tier = 3;
  report.tier_name = "peer-turn";
  report.method = "turn-udp";
  report.peer_id = "12D3";
  report.path = "p";
  report.promotions.push_back({.at_ms = 900, .from = "peer-turn", .to = "traversal"});
  report.fetched_bytes = 917504;
  report.reused_bytes = 131072;
  report.window_bytes = 4194304;
  EXPECT_EQ(
      to_line(fetch_form(report)),
      R"({"urn":"urn:dig:chia:aa","bytes":1048576,"sha256":"s","root_hash":"r","seconds":0.84,"first_byte_ms":212,)"
      R"("tier":3,"tier_name":"peer-turn","method":"turn-udp","peer_id":"12D3","path":"p","attempts":[],)"
      R"("promotions":[{"at_ms":900,"from":"peer-turn","to":"traversal"}],"fetched_bytes":917504,)"
      R"("reused_bytes":131072,"window_bytes":4194304})");
}

TEST(JsonForms, WhatAPeerSaysCannotReachATerminal) {
  const json::object event =
      node_event_form(dignet::PeerIdentified{.peer_id = "12D3",
                                             .agent_version = "evil\x1b[2J\nname",
                                             .addresses = std::vector<std::string>(100, "/ip4/1.1.1.1")});
  EXPECT_EQ(event.at("agent").as_string(), "evil?[2J?name");
  EXPECT_EQ(event.at("addresses").as_array().size(), 64U);
}

TEST(JsonForms, TheTurnRoleSaysWhereAndWhy) {
  EXPECT_EQ(to_line(node_event_form(dignet::TurnRoleChanged{
                .is_on = true, .kind = "pair", .servers = {"turn:192.0.2.1:4001"}, .why = "it can be reached"})),
            R"({"event":"turn_role","state":"on","kind":"pair","servers":["turn:192.0.2.1:4001"],)"
            R"("why":"it can be reached"})");
}

TEST(JsonForms, WhetherTheDirectoryIsSharedIsToldBothWays) {
  EXPECT_EQ(to_line(node_event_form(dignet::DirectorySharingChanged{.is_up = true, .error = std::nullopt})),
            R"({"event":"directory_sharing","state":"up"})");
  const json::object lost =
      node_event_form(dignet::DirectorySharingChanged{.is_up = false, .error = Error(Errc::redis_down)});
  EXPECT_EQ(lost.at("state"), "lost");
  EXPECT_EQ(lost.at("code"), "DN-REDIS-001");
}

TEST(JsonForms, AReachabilityEventHasTheFieldsOfTheContractInTheirOrder) {
  const dignet::ReachabilityChanged event{.family = "ipv4",
                                          .verdict = "reachable",
                                          .addresses = {"/ip4/192.0.2.1/tcp/4001"},
                                          .servers = 3,
                                          .has_stranger = true};
  EXPECT_EQ(to_line(node_event_form(event)), R"({"event":"reachability","family":"ipv4","verdict":"reachable",)"
                                             R"("addresses":["/ip4/192.0.2.1/tcp/4001"],"servers":3,"stranger":true})");
}

TEST(JsonForms, EveryCodeIsFoundByItsText) {
  EXPECT_EQ(find_error("DN-CTL-002"), Errc::not_running);
  EXPECT_EQ(find_error("DN-GEN-001"), Errc::internal);
  EXPECT_EQ(find_error(""), std::nullopt);
}

}  // namespace
}  // namespace dig::service
