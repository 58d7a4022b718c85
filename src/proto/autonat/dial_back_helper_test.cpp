// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/dial_back_helper.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "base/rng.hpp"
#include "wire/identity.hpp"

namespace dig::autonat {
namespace {

class DialBackHelperTest : public ::testing::Test {
 protected:
  DialBackOrder order() const { return {client, Multiaddr::parse("/ip4/8.8.8.8/tcp/4001").value(), 77}; }
  DialBackOrderServer server_for(const PeerId& from) { return {now, from, seen_at, config, book}; }
  // Hands over everything that one side has to say.
  void pass(auto& from, auto& to) const {
    Bytes out(4096);
    while (const std::size_t size = from.poll_bytes(out)) to.handle_bytes(now, BytesView(out).first(size));
  }
  DialBackOutcome outcome_of(DialBackOrderClient& asker) const {
    EXPECT_TRUE(asker.result() && *asker.result());
    return asker.result() && *asker.result() ? (*asker.result())->outcome : DialBackOutcome::dialled_back;
  }

  SeededRng rng{1};
  Instant now{1h};
  const PeerId partner = Identity::generate(rng).peer_id();
  const PeerId client = Identity::generate(rng).peer_id();
  const IpAddress seen_at = IpAddress::parse("9.9.9.9").value();
  HelperConfig config{.partners = {partner}, .policy = {}};
  RequestBook book{HelperConfig::k_limits};
};

TEST_F(DialBackHelperTest, DialsForAPartnerAndReports) {
  for (const DialBackOutcome outcome : {DialBackOutcome::dialled_back, DialBackOutcome::not_connected,
                                        DialBackOutcome::not_delivered, DialBackOutcome::not_tried}) {
    DialBackOrderClient asker(now, order(), k_dial_back_order_timeout);
    DialBackOrderServer helper = server_for(partner);
    pass(asker, helper);
    const auto task = helper.take_result();
    ASSERT_TRUE(task && *task);
    EXPECT_EQ(**task, (WantDialBack{client, order().address, Endpoint::parse("8.8.8.8:4001").value(), 77}));
    EXPECT_EQ(book.snapshot().running, 1u);
    helper.handle_dial_back_result(outcome);
    helper.handle_dial_back_result(DialBackOutcome::not_delivered);  // no second word
    EXPECT_EQ(book.snapshot().running, 0u);
    pass(helper, asker);
    EXPECT_TRUE(helper.is_done());
    EXPECT_FALSE(helper.next_timeout());
    EXPECT_EQ(outcome_of(asker), outcome);
  }
}

TEST_F(DialBackHelperTest, DoesNothingForStrangers) {
  DialBackOrderClient asker(now, order(), k_dial_back_order_timeout);
  DialBackOrderServer helper = server_for(client);
  pass(asker, helper);
  EXPECT_FALSE(helper.take_result());
  pass(helper, asker);
  EXPECT_EQ(outcome_of(asker), DialBackOutcome::not_tried);
  EXPECT_EQ(book.snapshot().admitted, 0u);
}

TEST_F(DialBackHelperTest, DialsByItsOwnPolicy) {
  config.policy.has_v6 = false;
  for (const char* text : {"/ip4/192.168.0.1/tcp/4001", "/ip6/2a00::1/tcp/4001", "/ip4/8.8.8.8/tcp/0"}) {
    DialBackOrder bad = order();
    bad.address = Multiaddr::parse(text).value();
    DialBackOrderClient asker(now, bad, k_dial_back_order_timeout);
    DialBackOrderServer helper = server_for(partner);
    pass(asker, helper);
    EXPECT_FALSE(helper.take_result()) << text;
    pass(helper, asker);
    EXPECT_EQ(outcome_of(asker), DialBackOutcome::not_tried) << text;
  }
}

TEST_F(DialBackHelperTest, ServesAPartnerOnlySoMuch) {
  std::vector<std::unique_ptr<DialBackOrderServer>> helpers;
  for (int i = 0; i < 20; ++i) {
    helpers.push_back(std::make_unique<DialBackOrderServer>(now, partner, seen_at, config, book));
  }
  EXPECT_EQ(book.snapshot().running, 16u);
  DialBackOrderClient asker(now, order(), k_dial_back_order_timeout);
  pass(asker, *helpers.back());
  pass(*helpers.back(), asker);
  EXPECT_EQ(outcome_of(asker), DialBackOutcome::not_tried);
  helpers.clear();
  EXPECT_EQ(book.snapshot().running, 0u);
}

TEST_F(DialBackHelperTest, AResultBeforeTheOrderIsNone) {
  DialBackOrderServer helper = server_for(partner);
  helper.handle_dial_back_result(DialBackOutcome::dialled_back);
  Bytes out(100);
  EXPECT_EQ(helper.poll_bytes(out), 0u);
}

TEST_F(DialBackHelperTest, ADialThatTakesTooLongIsReportedBeforeAnybodyGivesUp) {
  DialBackOrderClient asker(now, order(), k_dial_back_order_timeout);
  DialBackOrderServer helper = server_for(partner);
  pass(asker, helper);
  EXPECT_TRUE(helper.take_result());
  EXPECT_EQ(helper.next_timeout(), now + k_ordered_dial);
  EXPECT_GT(asker.next_timeout(), helper.next_timeout());
  now = now + k_ordered_dial;
  helper.handle_timeout(now);
  EXPECT_GT(helper.next_timeout(), now);
  pass(helper, asker);
  EXPECT_EQ(outcome_of(asker), DialBackOutcome::not_connected);
}

TEST_F(DialBackHelperTest, WhenThePartnerIsSilentTheServerHasHalfItsTimeToDialItself) {
  const DialRequestServer::Limits server;
  DialBackOrderClient asker(now, order(), k_dial_back_order_timeout);
  ASSERT_TRUE(asker.next_timeout());
  EXPECT_LE(*asker.next_timeout(), now + server.dial / 2);
}

TEST_F(DialBackHelperTest, SilenceAndGarbageGiveThePlaceBack) {
  DialBackOrderServer silent = server_for(partner);
  silent.handle_timeout(now + k_ordered_stream);
  EXPECT_EQ(silent.take_result()->error().code(), Errc::timed_out);
  EXPECT_FALSE(silent.next_timeout());
  DialBackOrderServer ended = server_for(partner);
  ended.handle_eof(now);
  EXPECT_EQ(ended.take_result()->error().code(), Errc::stream_closed);
  DialBackOrderServer fooled = server_for(partner);
  fooled.handle_bytes(now, as_bytes("\x02xx"));
  EXPECT_EQ(fooled.take_result()->error().code(), Errc::malformed);
  EXPECT_EQ(book.snapshot().running, 0u);
}

}  // namespace
}  // namespace dig::autonat
