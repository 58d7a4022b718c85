// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on both ends of multistream-select.
#include "base/testing/shaped_stream_machine.hpp"
#include "base/testing/stream_machine_contract.hpp"
#include "proto/multistream/negotiator.hpp"
#include "wire/multistream_message.hpp"

namespace dig::testing {
namespace {

using multistream::Negotiator;
using Subject = ShapedStreamMachine<Negotiator>;

Bytes lines(std::initializer_list<std::string_view> texts) {
  Bytes out;
  append_multistream_line(out, k_multistream_header);
  for (const std::string_view text : texts) append_multistream_line(out, text);
  return out;
}

struct NegotiatorOwner {
  void handle(Subject&, Instant, const Result<std::string>& outcome) {
    EXPECT_TRUE(text.empty()) << "there is one outcome";
    text = outcome ? *outcome : outcome.error().message();
  }
  [[nodiscard]] std::string story() const { return text; }
  std::string text;
};

struct DiallerTraits {
  using Subject = testing::Subject;
  using Owner = NegotiatorOwner;
  static std::unique_ptr<Subject> make(Instant now) {
    auto dialler = std::make_unique<Subject>(Negotiator::dial({"/new/1", "/old/1"}));
    Bytes proposal(1000);
    EXPECT_GT(dialler->poll_bytes(now, proposal), 0U);
    return dialler;
  }
  static std::vector<Bytes> inputs() { return {lines({"/new/1"}), lines({"na", "/old/1"}), lines({"na", "na"})}; }
  static Bytes flood() { return {}; }
};

struct ListenerTraits {
  using Subject = testing::Subject;
  using Owner = NegotiatorOwner;
  static std::unique_ptr<Subject> make(Instant) {
    return std::make_unique<Subject>(Negotiator::listen({"/new/1", "/old/1"}));
  }
  static std::vector<Bytes> inputs() {
    return {lines({"/new/1"}), lines({"ls", "/newest/1", "/old/1"}), lines({"ls"})};
  }
  static Bytes flood() { return {}; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(MultistreamDialler, StreamMachineContract, DiallerTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(MultistreamListener, StreamMachineContract, ListenerTraits);

}  // namespace
}  // namespace dig::testing
