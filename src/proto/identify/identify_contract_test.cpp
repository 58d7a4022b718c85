// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on the end of identify that reads.
#include "base/testing/shaped_stream_machine.hpp"
#include "base/testing/stream_machine_contract.hpp"
#include "proto/identify/identify_stream.hpp"
#include "wire/identity.hpp"

namespace dig::testing {
namespace {

using Reader = ShapedStreamMachine<identify::Reader>;

const Identity& peer() {
  static SeededRng rng(1);
  static const Identity made = Identity::generate(rng);
  return made;
}

struct ReaderTraits {
  using Subject = Reader;
  struct Owner {
    void handle(Reader&, Instant, const Result<Identify>& outcome) {
      EXPECT_TRUE(text.empty()) << "there is one outcome";
      text = outcome ? std::string(as_text(outcome->encode())) : outcome.error().message();
    }
    [[nodiscard]] std::string story() const { return text; }
    std::string text;
  };
  static std::unique_ptr<Reader> make(Instant) { return std::make_unique<Reader>(peer().peer_id()); }
  // A message whole, and in two parts.
  static std::vector<Bytes> inputs() {
    Identify first;
    first.public_key = peer().public_key();
    first.protocols = {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"};
    Identify second;
    second.agent_version = SafeText("dignet/0.1.0");
    Bytes whole, parts;
    append_frame(whole, first.encode());
    append_frame(parts, first.encode());
    append_frame(parts, second.encode());
    return {whole, parts};
  }
  static Bytes flood() { return {}; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(IdentifyReader, StreamMachineContract, ReaderTraits);

}  // namespace
}  // namespace dig::testing
