// SPDX-License-Identifier: Apache-2.0
// What no honest server sends.
#include <gtest/gtest.h>

#include "base/testing/machine_contract.hpp"
#include "proto/turn_client/testing/allocation_pair.hpp"

namespace dig::turn {
namespace {

using namespace testing;

// The request that the client sends next.
Bytes next_request(AllocationPair& pair) {
  Bytes out(ClientAllocation::k_max_datagram);
  out.resize(pair.client->poll_transmit(pair.now, out));
  return out;
}

TEST(AllocationHostile, FirstOfDuplicateAttributesCounts) {
  AllocationPair pair;
  pair.server.script.more = [](stun::Writer& writer, Method method) {
    if (method == Method::allocate) writer.add_u32(Attribute::lifetime, 20);
  };
  pair.drain();
  EXPECT_EQ(pair.client->snapshot(pair.now).lifetime, Duration(600s));

  Bytes message = FakeServer::data_indication(k_peer, as_bytes("data"));
  pair.client->permit(pair.now, k_peer.address).value();
  pair.drain();
  Bytes twice(200);
  stun::Writer writer(twice, {.method = Method::data, .message_class = Class::indication, .transaction = {}});
  stun::add_xor_address(writer, Attribute::xor_peer_address, k_peer, {});
  stun::add_xor_address(writer, Attribute::xor_peer_address, {IpAddress::v4({1, 1, 1, 1}), 1}, {});
  writer.add_text(Attribute::data, "first");
  writer.add_text(Attribute::data, "second");
  pair.receive(writer.written());
  ASSERT_EQ(pair.received.size(), 1u);
  EXPECT_EQ(pair.received[0], std::pair(k_peer, to_bytes("first")));
}

TEST(AllocationHostile, UnknownAttributesThatMustBeKnownFailTheRequest) {
  AllocationPair pair;
  pair.server.script.more = [](stun::Writer& writer, Method) {
    writer.add_u32(static_cast<Attribute>(0x7777), 0);
    writer.add_u32(static_cast<Attribute>(0x9999), 0);
  };
  pair.drain();
  EXPECT_EQ(pair.take_events(),
            Lines{ended(Errc::stun_bad_response, "an unknown attribute that must be known: 30583")});

  AllocationPair optional_only;
  optional_only.server.script.more = [](stun::Writer& writer, Method) {
    writer.add_u32(static_cast<Attribute>(0x9999), 0);
  };
  optional_only.drain();
  EXPECT_EQ(optional_only.take_events(), Lines{"allocated 20.0.0.1:50000"});
}

TEST(AllocationHostile, SuccessWithoutWhatItMustHaveFails) {
  const std::vector<std::pair<std::function<void(stun::Writer&)>, std::string>> cases = {
      {[](stun::Writer&) {}, "no LIFETIME"},
      {[](stun::Writer& w) { w.add_u32(Attribute::lifetime, 600); }, "no XOR-MAPPED-ADDRESS"},
      {[](stun::Writer& w) { w.add_u64(Attribute::lifetime, 600); }, "no LIFETIME"},
      {[](stun::Writer& w) {
         w.add_u32(Attribute::lifetime, 600);
         stun::add_xor_address(w, Attribute::xor_mapped_address, k_mapped, {});
       },
       "no XOR-RELAYED-ADDRESS"},
      {[](stun::Writer& w) {
         w.add_u32(Attribute::lifetime, 600);
         stun::add_xor_address(w, Attribute::xor_mapped_address, k_mapped, {});
         w.add_u32(Attribute::xor_relayed_address, 0);
       },
       "XOR-RELAYED-ADDRESS"},
  };
  for (const auto& [add, detail] : cases) {
    AllocationPair pair;
    pair.server.script.instead_success = [&](stun::Writer& writer, Method method) {
      if (method == Method::allocate) add(writer);
    };
    pair.drain();
    EXPECT_EQ(pair.take_events(), Lines{ended(Errc::stun_bad_response, detail)});
    EXPECT_EQ(pair.server.count(Method::refresh), 1u);  // given back
  }
}

TEST(AllocationHostile, ResponsesMatchByTransactionAndMethodOnly) {
  AllocationPair pair;
  const Bytes request = next_request(pair);
  const auto sent = stun::Message::parse(request);
  const auto answer = [&](Method method, stun::TransactionId transaction) {
    Bytes out(200);
    stun::Writer writer(out, {.method = method, .message_class = Class::error, .transaction = transaction});
    stun::add_error(writer, 486);
    out.resize(*writer.finish());
    return out;
  };
  stun::TransactionId other = sent->transaction();
  other[11] ^= std::byte{1};
  pair.receive(answer(Method::allocate, other));
  pair.receive(answer(Method::refresh, sent->transaction()));
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{});
  EXPECT_EQ(pair.client->snapshot(pair.now).stray_responses, 2u);
  const Bytes right = answer(Method::allocate, sent->transaction());
  pair.receive(right);
  pair.receive(right);  // a duplicate
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::turn_quota, "486")});
  EXPECT_EQ(pair.client->snapshot(pair.now).stray_responses, 3u);
}

TEST(AllocationHostile, ErrorsWithoutACodeAndWrongFingerprintsAreNoAnswer) {
  AllocationPair pair;
  const auto sent = stun::Message::parse(next_request(pair));
  const stun::Header header{
      .method = Method::allocate, .message_class = Class::error, .transaction = sent->transaction()};
  Bytes out(200);
  stun::Writer empty(out, header);
  pair.receive(empty.written());
  Bytes more(200);
  stun::Writer marked(more, header);
  stun::add_error(marked, 486);
  stun::add_fingerprint(marked);
  more.resize(*marked.finish());
  more.back() ^= std::byte{1};
  pair.receive(more);
  EXPECT_EQ(pair.client->snapshot(pair.now).malformed, 2u);
  EXPECT_FALSE(pair.client->poll_event());
  more.back() ^= std::byte{1};
  pair.receive(more);
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::turn_quota, "486")});
}

TEST(AllocationHostile, ChallengesInsteadOfEveryAnswerAreBounded) {
  for (const std::uint16_t code : {std::uint16_t{401}, std::uint16_t{438}}) {
    AllocationPair pair;
    int number = 0;
    pair.server.script.more = [&](stun::Writer&, Method) {
      pair.server.script.nonce = "n" + std::to_string(++number);
      pair.server.script.realm = code == 401 ? "r" + std::to_string(number) : "example.org";
    };
    pair.server.script.refusals = {{Method::allocate, code}};
    pair.drain();
    ASSERT_EQ(pair.events.size(), 1u);
    EXPECT_LE(pair.server.seen.size(), 5u);
  }
}

TEST(AllocationHostile, IndicationsOfOtherKindsAndRequestsAreCounted) {
  AllocationPair pair;
  pair.open();
  const auto give = [&](Method method, Class message_class, std::function<void(stun::Writer&)> add) {
    Bytes out(200);
    stun::Writer writer(out, {.method = method, .message_class = message_class, .transaction = {}});
    add(writer);
    pair.receive(writer.written());
  };
  give(Method::binding, Class::request, [](stun::Writer&) {});
  give(Method::binding, Class::indication, [](stun::Writer&) {});
  give(Method::data, Class::request, [](stun::Writer&) {});
  give(Method::data, Class::indication, [](stun::Writer& w) {  // ICMP (RFC 8656 §11.5)
    stun::add_xor_address(w, Attribute::xor_peer_address, k_peer, {});
    w.add_u64(Attribute::icmp, 0);
  });
  give(Method::data, Class::indication, [](stun::Writer& w) {
    stun::add_xor_address(w, Attribute::xor_peer_address, k_peer, {});
    w.add_text(Attribute::data, "x");
    w.add_u32(static_cast<Attribute>(0x7777), 0);
  });
  EXPECT_EQ(pair.client->snapshot(pair.now).unexpected, 5u);
  give(Method::data, Class::indication, [](stun::Writer& w) { w.add_text(Attribute::data, "x"); });
  give(Method::data, Class::indication,
       [](stun::Writer& w) { stun::add_xor_address(w, Attribute::xor_peer_address, k_peer, {}); });
  EXPECT_EQ(pair.client->snapshot(pair.now).malformed, 2u);
  EXPECT_TRUE(pair.received.empty());
  // Indications carry no integrity (RFC 8489 §9.2.3): garbage in its place changes nothing.
  give(Method::data, Class::indication, [](stun::Writer& w) {
    stun::add_xor_address(w, Attribute::xor_peer_address, k_peer, {});
    w.add_text(Attribute::data, "x");
    w.add(Attribute::message_integrity, Bytes(20));
    w.add_text(Attribute::data, "behind");
  });
  EXPECT_EQ(pair.received.size(), 1u);
}

TEST(AllocationHostile, AStreamWithoutFramesIsTheEndOfTheLeg) {
  for (const char* text : {"\xC0\xDE\xC0\xDE", "\x16\x03\x01\x02"}) {
    AllocationPair pair({}, config_with(StunTransport::tcp));
    pair.open();
    pair.receive(as_bytes(text));
    pair.drain();
    ASSERT_EQ(pair.events.size(), 1u);
    EXPECT_TRUE(pair.events[0].starts_with("ended allocation_lost")) << pair.events[0];
    pair.receive(FakeServer::data_indication(k_peer, as_bytes("x")));
    EXPECT_TRUE(pair.received.empty());
    EXPECT_EQ(pair.client->next_timeout(), std::nullopt);
  }
}

TEST(AllocationHostile, AnotherProtocolIsNoticedWithItsFirstByte) {
  AllocationPair pair({}, config_with(StunTransport::tcp));
  pair.receive(as_bytes("HTTP/1.1 400 Bad Request\r\n\r\n"));
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::stun_bad_response, "the server does not speak TURN")});
  AllocationPair again({}, config_with(StunTransport::tcp));
  again.receive(as_bytes("H"));
  again.drain();
  EXPECT_EQ(again.take_events(), Lines{ended(Errc::stun_bad_response, "the server does not speak TURN")});
}

// Every message of a server in every state, with every bit flipped: nothing but a true answer is believed.
TEST(AllocationHostile, FlippedBitsOfASuccessAreNotBelieved) {
  AllocationPair pair({.features = stun::SecurityFeatures{true, true}});
  pair.server.handle(next_request(pair));
  Bytes success;
  pair.loses_response = [&](BytesView response) {
    success = to_bytes(response);
    return pair.server.seen.back().is_authenticated;
  };
  pair.pass(500ms);  // the first request again; the server challenges, the retry is answered and the answer kept back
  ASSERT_TRUE(stun::Message::parse(success)->is(Method::allocate, Class::success));
  for (std::size_t bit = 0; bit < success.size() * 8; ++bit) {
    Bytes flipped = success;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    pair.receive(flipped);
    ASSERT_EQ(pair.client->phase(), AllocationPhase::allocating) << bit;
  }
  for (std::size_t size = 0; size < success.size(); ++size) pair.receive(BytesView(success).first(size));
  ASSERT_EQ(pair.client->phase(), AllocationPhase::allocating);
  pair.receive(success);
  EXPECT_EQ(pair.client->phase(), AllocationPhase::active);
}

// An allocation on a datagram leg as a Machine.
class LegMachine {
 public:
  using Event = ClientAllocation::Event;
  explicit LegMachine(Instant now) : client_(now, config_with(), rng_) {}
  // An open allocation with a permission, a channel and requests under way.
  void open(Instant now) {
    FakeServer server{Script{}};
    Bytes buffer(ClientAllocation::k_max_datagram);
    const auto drain = [&] {
      while (const std::size_t size = client_.poll_transmit(now, buffer)) {
        const auto response = server.handle(BytesView(buffer).first(size));
        if (response) static_cast<void>(client_.handle_message(now, *response));
      }
    };
    drain();
    client_.bind_channel(now, k_peer).value();
    drain();
    client_.permit(now, IpAddress::v4({40, 0, 0, 10})).value();
    while (client_.poll_event()) {
    }
  }

  void handle_datagram(const dig::Received& in) {
    stun::for_each_segment(in,
                           [&](BytesView datagram) { static_cast<void>(client_.handle_message(in.now, datagram)); });
  }
  void handle_timeout(Instant now) { client_.handle_timeout(now); }
  std::optional<Transmit> poll_transmit(Instant now, MutableBytes out) {
    const std::size_t size = client_.poll_transmit(now, out);
    if (size == 0) return std::nullopt;
    return Transmit{.local = {}, .remote = k_server, .size = size};
  }
  std::optional<Event> poll_event() { return client_.poll_event(); }
  std::optional<Instant> next_timeout() const { return client_.next_timeout(); }

 private:
  SeededRng rng_{3};
  ClientAllocation client_;
};

// What an honest server says to the very same client.
std::vector<Bytes> honest_messages(bool is_open) {
  std::vector<Bytes> messages;
  FakeServer server{Script{}};
  LegMachine machine(Instant{1000s});
  if (is_open) machine.open(Instant{1000s});
  Bytes buffer(ClientAllocation::k_max_datagram);
  while (const auto sent = machine.poll_transmit(Instant{1000s}, buffer)) {
    const auto response = server.handle(BytesView(buffer).first(sent->size));
    if (!response) continue;
    messages.push_back(*response);
    machine.handle_datagram({.now = Instant{1000s}, .bytes = *response});
  }
  messages.push_back(FakeServer::data_indication(k_peer, as_bytes("data")));
  Bytes on_channel(8);
  encode_channel_header(k_min_channel, 4, std::span<std::byte, 4>(on_channel.data(), 4));
  messages.push_back(on_channel);
  return messages;
}

struct AllocatingTraits {
  using Subject = LegMachine;
  static std::unique_ptr<LegMachine> make(Instant now) { return std::make_unique<LegMachine>(now); }
  static std::vector<Bytes> inputs() { return honest_messages(false); }
};
struct ActiveTraits {
  using Subject = LegMachine;
  static std::unique_ptr<LegMachine> make(Instant now) {
    auto machine = std::make_unique<LegMachine>(now);
    machine->open(now);
    return machine;
  }
  static std::vector<Bytes> inputs() { return honest_messages(true); }
};

}  // namespace
}  // namespace dig::turn

namespace dig::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(TurnAllocating, MachineContract, dig::turn::AllocatingTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(TurnActive, MachineContract, dig::turn::ActiveTraits);

}  // namespace dig::testing
