// SPDX-License-Identifier: Apache-2.0
// A client of the directory that has asked for everything once and is answered with any bytes, in pieces of the first
// byte's size. What it hands on answers the question that was asked.
#include <algorithm>

#include "input.hpp"
#include "proto/directory/client.hpp"
#include "wire/identity.hpp"
#include "wire/signed_statement.hpp"

using namespace dig;
using namespace dig::directory;
using fuzz::require;

namespace {

constexpr NodeRoles k_relay{1};

void check(const RecordsFound& found, DirectoryRequestId peer_request, DirectoryRequestId role_request,
           const PeerId& peer) {
  require(found.records.size() <= k_max_found_records);
  for (const VerifiedRecord& each : found.records) {
    const auto envelope = SignedEnvelope::decode(each.envelope);
    require(envelope && envelope->signer() == each.record.peer);
    require(verify_statement<NodeRecord>(*envelope).has_value());
    if (found.request == peer_request) require(each.record.peer == peer);
    if (found.request == role_request) require(each.record.roles.has_all(k_relay));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  SeededRng rng(1);
  const PeerId peer = Identity::generate(rng).peer_id();
  Instant now{1h};
  DirectoryClient client(now);
  const auto registration = client.register_envelopes(now, {to_bytes("an envelope")});
  const auto holders = client.find_holders(now, StoreId{{std::byte{1}}}, std::nullopt, 3);
  const auto by_peer = client.find_peer(now, peer);
  const auto by_role = client.find_roles(now, k_relay, std::nullopt, 64);
  const auto removal = client.remove(now, to_bytes("an envelope"));
  require(registration && holders && by_peer && by_role && removal);
  BytesView input = std::as_bytes(std::span(data, size)).subspan(1);
  bool has_failed = false;
  const auto drain = [&] {
    while (auto event = client.poll_event()) {
      require(!has_failed);
      has_failed = std::holds_alternative<ClientFailed>(*event);
      if (const auto* found = std::get_if<RecordsFound>(&*event)) check(*found, *by_peer, *by_role, peer);
      if (const auto* done = std::get_if<RegistrationDone>(&*event)) {
        require(done->request == *registration || done->request == *removal);
      }
    }
  };
  while (!input.empty()) {
    const BytesView part = input.first(std::min<std::size_t>(data[0] + 1u, input.size()));
    client.handle_bytes(now, part);
    drain();
    input = input.subspan(part.size());
  }
  client.handle_eof(now);
  drain();
  require(has_failed && !client.wants_bytes() && !client.next_timeout());
  return 0;
}
