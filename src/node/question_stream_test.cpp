// SPDX-License-Identifier: Apache-2.0
#include "node/question_stream.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "proto/autonat/dial_back.hpp"

namespace dig::node {
namespace {

using autonat::DialBack;
using autonat::DialBackReceiver;
using autonat::DialBackResponse;
using autonat::DialBackSender;

class Asker final : public QuestionStream<DialBackSender> {
 public:
  explicit Asker(Instant now) : QuestionStream(DialBackSender(now, {77}, 5s)) {}
  std::vector<Result<DialBackResponse>> outcomes;

 protected:
  void handle_outcome(Instant /*now*/, const Result<DialBackResponse>& outcome) override {
    outcomes.push_back(outcome);
  }
};

class Answerer final : public AnswerStream<DialBackReceiver> {
 public:
  explicit Answerer(Instant now) : AnswerStream(now, 5s) {}
  std::vector<std::uint64_t> nonces;
  std::size_t times_over = 0;

 protected:
  void handle_task(Instant /*now*/, const DialBack& request) override {
    nonces.push_back(request.nonce);
    machine().answer({});
  }
  void handle_over() override { ++times_over; }
};

void pass(Instant now, StreamHandler& from, StreamHandler& to) {
  while (!from.output(now).empty()) {
    const BytesView out = from.output(now);
    const MutableBytes space = to.receive_space();
    ASSERT_FALSE(space.empty());
    const std::size_t size = std::min(out.size(), space.size());
    std::copy_n(out.begin(), size, space.begin());
    from.handle_written(now, size);
    to.handle_received(now, size);
  }
}

TEST(QuestionStream, AQuestionAndItsAnswer) {
  const Instant now{1h};
  Asker asker(now);
  Answerer answerer(now);
  EXPECT_EQ(asker.next_timeout(), now + 5s);
  pass(now, asker, answerer);
  EXPECT_EQ(answerer.nonces, std::vector<std::uint64_t>{77});
  EXPECT_FALSE(asker.has_finished_writing());
  pass(now, answerer, asker);
  ASSERT_EQ(asker.outcomes.size(), 1U);
  EXPECT_TRUE(asker.outcomes.front());
  EXPECT_TRUE(asker.has_finished_writing() && answerer.has_finished_writing());
  EXPECT_GE(answerer.times_over, 1U);
  asker.handle_closed(now, Error(Errc::stream_reset));
  EXPECT_EQ(asker.outcomes.size(), 1U) << "it is told once";
}

TEST(QuestionStream, APeerThatDoesNotFinishIsNotWaitedFor) {
  Instant now{1h};
  Asker asker(now);
  Answerer answerer(now);
  pass(now, asker, answerer);
  pass(now, answerer, asker);
  now = now + BriefStream::linger;
  for (StreamHandler* stream : {static_cast<StreamHandler*>(&asker), static_cast<StreamHandler*>(&answerer)}) {
    EXPECT_EQ(stream->next_timeout(), now);
    EXPECT_FALSE(stream->failure());
    stream->handle_timeout(now);
    ASSERT_TRUE(stream->failure());
    EXPECT_EQ(stream->failure()->code(), Errc::timed_out);
    EXPECT_FALSE(stream->next_timeout());
  }
}

TEST(QuestionStream, ALostStreamAndSilenceAreTold) {
  Instant now{1h};
  Asker lost(now);
  lost.handle_closed(now, Error(Errc::connection_closed));
  ASSERT_EQ(lost.outcomes.size(), 1U);
  EXPECT_EQ(lost.outcomes.front().error().code(), Errc::connection_closed);
  Asker silent(now);
  Answerer unasked(now);
  now = now + 5s;
  silent.handle_timeout(now);
  ASSERT_EQ(silent.outcomes.size(), 1U);
  EXPECT_EQ(silent.outcomes.front().error().code(), Errc::timed_out);
  EXPECT_TRUE(silent.failure());
  unasked.handle_timeout(now);
  EXPECT_TRUE(unasked.failure());
  EXPECT_EQ(unasked.times_over, 1U);
}

}  // namespace
}  // namespace dig::node
