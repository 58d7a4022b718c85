// SPDX-License-Identifier: Apache-2.0
// What a Redis server answers to the commands of a shared directory: whatever comes, nobody is told of that was not
// asked for, and a reader goes on or gives up.
#include "input.hpp"
#include "net/redis_directory.hpp"

using namespace dig;
using namespace dig::net;

namespace {

PeerId peer_of(std::uint8_t number) {
  Bytes multihash{std::byte{0x00}, std::byte{0x24}, std::byte{0x08}, std::byte{0x01}, std::byte{0x12}, std::byte{0x20}};
  multihash.resize(38, std::byte{number});
  return PeerId::from_bytes(multihash).value();
}

void check_rows(const RedisReply& reply, const std::vector<WantedRows>& wanted) {
  const auto read = RedisDirectory::read_rows(reply, wanted);
  if (!read) return;
  const auto is_wanted = [&](const PeerId& peer) {
    return std::ranges::any_of(wanted, [&](const WantedRows& one) { return one.peer == peer; });
  };
  for (const SharedValue& value : read->values) fuzz::require(is_wanted(value.peer) && value.slot < 1000);
  fuzz::require(read->rest.size() <= wanted.size());
  fuzz::require(read->rest.empty() || !read->values.empty());  // it goes on
  for (const WantedRows& one : read->rest) fuzz::require(is_wanted(one.peer) && !one.slots.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const RedisDirectory directory("d:", "me");
  const std::vector<WantedRows> wanted{{peer_of(1), {0, 3}, false}, {peer_of(2), {0}, true}};
  RedisReplyReader reader(1U << 20U);
  if (!reader.feed(std::as_bytes(std::span(data, size)))) return 0;
  while (true) {
    auto next = reader.next();
    if (!next || !*next) return 0;
    if (!**next) continue;  // refused by the server
    const RedisReply& reply = ***next;
    check_rows(reply, wanted);
    if (const auto put = RedisDirectory::read_put(reply, 3)) fuzz::require(put->outcomes.size() == 3);
    if (const auto found = directory.read_scan(reply)) {
      fuzz::require(!found->first.empty());
      for (const WantedRows& one : found->second) fuzz::require(!one.peer.empty() && one.is_all_after);
    }
    if (const auto changes = directory.read_changes(reply, 7)) {
      fuzz::require(changes->last >= 7);
      for (const ChangedRows& one : changes->rows) fuzz::require(!one.slots.empty() && one.slots.size() <= 257);
    }
    (void)RedisDirectory::read_last_change(reply);
  }
}
