// SPDX-License-Identifier: Apache-2.0
// User names that a TURN client sends to a pair relay: none but those that it has minted itself has a password.
#include "input.hpp"
#include "proto/turn_server/pair_credentials.hpp"
#include "wire/identity.hpp"

using namespace dig;

namespace {

constexpr UnixTime k_now{1'700'000'000};

// Always the same, so that names that were minted stand in the corpus and are altered from there.
struct Relay {
  Relay() {
    SeededRng rng(1);
    const auto peer = [&rng] { return Identity::generate(rng).peer_id(); };
    credentials = std::make_unique<turn::PairCredentials>(peer());
    const turn::PairRole role{peer(), peer()};
    for (int i = 0; i < 3; ++i) minted.push_back(credentials->mint({k_now.seconds + 3000 * i}, role, rng).value());
  }
  std::unique_ptr<turn::PairCredentials> credentials;
  std::vector<turn::PairCredentials::Minted> minted;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Relay relay;
  const std::string_view name(reinterpret_cast<const char*>(data), size);
  for (const std::int64_t later : {0, 3599, 3600, 10'000}) {
    const auto user = relay.credentials->find(name, {k_now.seconds + later});
    fuzz::require(user.username == name && user.passwords.empty() != user.pair.has_value());
    const auto known = std::ranges::find(relay.minted, name, &turn::PairCredentials::Minted::username);
    if (known == relay.minted.end()) {
      fuzz::require(user.passwords.empty());
    } else if (!user.passwords.empty()) {
      fuzz::require(user.passwords.front() == known->password);
    }
  }
  fuzz::require(relay.credentials->find_by_hash(as_bytes(name), k_now).passwords.empty());
  return 0;
}
