// SPDX-License-Identifier: Apache-2.0
#include "proto/stun/binding_client.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "base/testing/machine_contract.hpp"
#include "wire/stun_integrity.hpp"

namespace dig::stun {
namespace {

constexpr Instant k_start{1000s};
const Endpoint k_server{IpAddress::v4({20, 0, 0, 1}), 3478};
const Endpoint k_other{IpAddress::v4({20, 0, 0, 2}), 3478};
const Endpoint k_mapped{IpAddress::v4({30, 0, 0, 7}), 40'000};

struct Subject {
  explicit Subject(BindingConfig config = {.server = k_server}) : client(k_start, config, rng) { send(); }

  // Takes the request off the client; returns where it goes.
  std::optional<Endpoint> send() {
    std::array<std::byte, 100> out;
    const auto transmit = client.poll_transmit(now, out);
    if (!transmit) return std::nullopt;
    request = to_bytes(BytesView(out).first(transmit->size));
    return transmit->remote;
  }
  Bytes answer(Class message_class, const std::function<void(Writer&, const TransactionId&)>& add) const {
    Bytes out(2000);
    const TransactionId transaction = Message::parse(request)->transaction();
    Writer writer(out, {.method = Method::binding, .message_class = message_class, .transaction = transaction});
    add(writer, transaction);
    out.resize(*writer.finish());
    return out;
  }
  Bytes success(const Endpoint& mapped = k_mapped) const {
    return answer(Class::success, [&](Writer& writer, const TransactionId& transaction) {
      add_xor_address(writer, Attribute::xor_mapped_address, mapped, transaction);
    });
  }
  Bytes redirect(const Endpoint& to) const {
    return answer(Class::error, [&](Writer& writer, const TransactionId&) {
      add_error(writer, 300);
      add_address(writer, Attribute::alternate_server, to);
    });
  }
  void receive(BytesView bytes, const Endpoint& source = k_server) {
    client.handle_datagram({.now = now, .local = {}, .remote = source, .bytes = bytes});
  }
  std::string outcome() {
    const auto event = client.poll_event();
    if (!event) return "";
    if (const auto* succeeded = std::get_if<BindingSucceeded>(&*event)) return succeeded->answer.mapped.to_string();
    const auto& failed = std::get<BindingFailed>(*event);
    return std::string(failed.error.info().name) +
           (failed.alternate ? " -> " + failed.alternate->server.to_string() : "");
  }

  SeededRng rng{1};
  Instant now = k_start;
  BindingClient client;
  Bytes request;
};

TEST(BindingClient, LearnsItsMappedAddressAndTheRoundTripTime) {
  Subject subject;
  EXPECT_TRUE(has_valid_fingerprint(*Message::parse(subject.request)));
  subject.now = k_start + 30ms;
  subject.receive(subject.success());
  const auto event = subject.client.poll_event();
  ASSERT_TRUE(event);
  const auto& succeeded = std::get<BindingSucceeded>(*event);
  EXPECT_EQ(succeeded.answer.mapped, k_mapped);
  EXPECT_EQ(succeeded.server, k_server);
  EXPECT_EQ(succeeded.rtt, Duration(30ms));
  EXPECT_EQ(succeeded.answer.other_address, std::nullopt);
  EXPECT_TRUE(subject.client.is_done());
  EXPECT_EQ(subject.client.next_timeout(), std::nullopt);
  EXPECT_FALSE(subject.client.poll_event());
}

TEST(BindingClient, AsksAgainAndGivesUpWithACode) {
  Subject subject;
  int sent = 1;
  while (const auto next = subject.client.next_timeout()) {
    subject.client.handle_timeout(*next);
    if (subject.send()) ++sent;
    subject.now = *next;
  }
  EXPECT_EQ(sent, 7);
  EXPECT_EQ(subject.now, k_start + 39'500ms);
  EXPECT_EQ(subject.outcome(), "stun_silent");
  subject.receive(subject.success());
  EXPECT_EQ(subject.outcome(), "");
}

TEST(BindingClient, IgnoresStrangersAndWhatIsNoAnswer) {
  Subject subject;
  subject.receive(subject.success(), k_other);
  subject.receive({});
  subject.receive(as_bytes("hello"));
  subject.receive(subject.request);
  subject.receive(subject.answer(Class::indication, [](Writer&, const TransactionId&) {}));
  Bytes damaged = subject.answer(Class::success, [](Writer& writer, const TransactionId& transaction) {
    add_xor_address(writer, Attribute::xor_mapped_address, k_mapped, transaction);
    add_fingerprint(writer);
  });
  damaged.back() ^= std::byte{1};
  subject.receive(damaged);
  EXPECT_EQ(subject.outcome(), "");
  damaged.back() ^= std::byte{1};
  subject.receive(damaged);
  EXPECT_EQ(subject.outcome(), "30.0.0.7:40000");
}

TEST(BindingClient, AddressesThatNoSocketHasAreRefused) {
  for (const char* text : {"30.0.0.7:0", "0.0.0.0:4000", "224.0.0.1:4000", "255.255.255.255:4000", "[::]:4000",
                           "[ff02::1]:4000", "[::ffff:0.0.0.0]:4000"}) {
    Subject subject;
    subject.receive(subject.success(*Endpoint::parse(text)));
    EXPECT_EQ(subject.outcome(), "stun_bad_address") << text;
  }
  // A private address may be what a server in the same network sees; telling it to others is the owner's decision.
  Subject subject;
  subject.receive(subject.success(*Endpoint::parse("192.168.1.7:4000")));
  EXPECT_EQ(subject.outcome(), "192.168.1.7:4000");
}

TEST(BindingClient, TheHelperRefusesReflexiveAddressesThatAreNotGlobal) {
  for (const char* text :
       {"10.0.0.1:1", "127.0.0.1:1", "100.64.0.1:1", "169.254.1.1:1", "192.168.0.1:1", "172.16.0.1:1", "192.0.2.1:1",
        "198.18.0.1:1", "224.0.0.1:1", "240.0.0.1:1", "0.0.0.0:1", "[::1]:1", "[fe80::1]:1", "[fd00::1]:1",
        "[::ffff:10.0.0.1]:1", "[2002:7f00:1::]:1", "[64:ff9b::7f00:1]:1", "[2001:db8::1]:1", "20.0.0.1:0"}) {
    const auto checked = check_reflexive(*Endpoint::parse(text), AddressPolicy::global_only);
    ASSERT_FALSE(checked) << text;
    EXPECT_EQ(checked.error().code(), Errc::stun_bad_address);
  }
  EXPECT_TRUE(check_reflexive(*Endpoint::parse("20.0.0.1:1"), AddressPolicy::global_only));
  EXPECT_TRUE(check_reflexive(*Endpoint::parse("[2a00::1]:1"), AddressPolicy::global_only));
  EXPECT_TRUE(check_reflexive(*Endpoint::parse("127.0.0.1:1"), AddressPolicy::any_unicast));
  EXPECT_FALSE(check_reflexive(*Endpoint::parse("224.0.0.1:1"), AddressPolicy::any_unicast));
}

TEST(BindingClient, AnswersThatAreNotAcceptableHaveCodes) {
  const auto run = [](Class message_class, const std::function<void(Writer&, const TransactionId&)>& add) {
    Subject subject;
    subject.receive(subject.answer(message_class, add));
    return subject.outcome();
  };
  EXPECT_EQ(run(Class::success, [](Writer&, const TransactionId&) {}), "stun_bad_response");
  EXPECT_EQ(run(Class::success, [](Writer& w, const TransactionId&) { w.add_u32(Attribute::xor_mapped_address, 1); }),
            "stun_bad_response");
  EXPECT_EQ(run(Class::success,
                [](Writer& w, const TransactionId& t) {
                  add_xor_address(w, Attribute::xor_mapped_address, k_mapped, t);
                  w.add_u32(static_cast<Attribute>(0x7FFF), 1);
                }),
            "stun_bad_response");
  EXPECT_EQ(run(Class::success,
                [](Writer& w, const TransactionId& t) {
                  add_xor_address(w, Attribute::xor_mapped_address, k_mapped, t);
                  w.add_u32(static_cast<Attribute>(0xFFFF), 1);
                }),
            "30.0.0.7:40000");
  EXPECT_EQ(run(Class::error, [](Writer&, const TransactionId&) {}), "stun_bad_response");
  EXPECT_EQ(run(Class::error, [](Writer& w, const TransactionId&) { add_error(w, 500, "no"); }),
            error_info(Errc::stun_refused).name);
  EXPECT_EQ(run(Class::error, [](Writer& w, const TransactionId&) { add_error(w, 300); }),
            error_info(Errc::stun_redirected).name);
}

TEST(BindingClient, FollowsOneRedirectAndNoMore) {
  Subject subject;
  subject.receive(subject.redirect(k_other));
  EXPECT_EQ(subject.outcome(), "");
  EXPECT_EQ(subject.send(), k_other);
  subject.receive(subject.success());  // the first server has nothing more to say
  EXPECT_EQ(subject.outcome(), "");
  subject.receive(subject.success(), k_other);
  EXPECT_EQ(subject.outcome(), "30.0.0.7:40000");

  Subject loop;
  loop.receive(loop.redirect(k_other));
  loop.send();
  loop.receive(loop.redirect(k_server), k_other);
  EXPECT_EQ(loop.outcome(), "stun_redirected");
}

TEST(BindingClient, DoesNotFollowUnsafeRedirects) {
  for (const char* text : {"127.0.0.1:3478", "192.168.1.1:80", "10.0.0.1:53", "20.0.0.1:3478", "20.0.0.2:0",
                           "[2a00::2]:3478", "169.254.169.254:80"}) {
    Subject subject;
    subject.receive(subject.redirect(*Endpoint::parse(text)));
    EXPECT_EQ(subject.outcome(), "stun_redirected") << text;
    EXPECT_FALSE(subject.send());
  }
  Subject allowed({.server = k_server, .redirect_policy = AddressPolicy::any_unicast});
  allowed.receive(allowed.redirect(*Endpoint::parse("127.0.0.1:3478")));
  EXPECT_EQ(allowed.send(), *Endpoint::parse("127.0.0.1:3478"));
  Subject forbidden({.server = k_server, .follows_redirect = false});
  forbidden.receive(forbidden.redirect(k_other));
  EXPECT_EQ(forbidden.outcome(), "stun_redirected");
}

TEST(BindingClient, OverAStreamTheOwnerFollowsTheRedirect) {
  Subject subject({.server = k_server, .transport = StunTransport::tcp});
  subject.client.handle_bytes(k_start, subject.redirect(k_other));
  EXPECT_EQ(subject.outcome(), "stun_redirected -> 20.0.0.2:3478");
}

TEST(BindingClient, WorksOverStreamsCutAnywhere) {
  Subject subject({.server = k_server, .transport = StunTransport::tcp});
  const Bytes response = subject.success();
  for (const std::byte b : response) {
    EXPECT_EQ(subject.outcome(), "");
    subject.client.handle_bytes(k_start, BytesView(&b, 1));
  }
  EXPECT_EQ(subject.outcome(), "30.0.0.7:40000");

  Subject silent({.server = k_server, .transport = StunTransport::tls});
  EXPECT_EQ(silent.client.next_timeout(), k_start + 10s);
  silent.client.handle_timeout(k_start + 10s);
  EXPECT_FALSE(silent.send());
  EXPECT_EQ(silent.outcome(), "stun_silent");

  Subject foreign({.server = k_server, .transport = StunTransport::tcp});
  foreign.client.handle_bytes(k_start, as_bytes("SSH-2.0-x"));
  EXPECT_EQ(foreign.outcome(), "stun_bad_response");

  Subject large({.server = k_server, .transport = StunTransport::tcp});
  large.client.handle_bytes(k_start, as_bytes(std::string("\x01\x01\xFF\xFC", 4)));
  EXPECT_EQ(large.outcome(), "stun_bad_response");
}

TEST(BindingClient, EndsWithItsSocket) {
  Subject subject;
  subject.client.handle_closed(k_start, Error(Errc::connection_refused));
  subject.client.handle_closed(k_start, Error(Errc::connection_reset));
  EXPECT_EQ(subject.outcome(), "connection_refused");
  EXPECT_EQ(subject.outcome(), "");
}

TEST(BindingClient, TellsWhereElseTheServerIs) {
  Subject subject;
  subject.receive(subject.answer(Class::success, [](Writer& w, const TransactionId& t) {
    add_xor_address(w, Attribute::xor_mapped_address, k_mapped, t);
    add_address(w, Attribute::response_origin, k_server);
    add_address(w, Attribute::other_address, k_other);
  }));
  const auto event = subject.client.poll_event();
  EXPECT_EQ(std::get<BindingSucceeded>(*event).answer.other_address, k_other);
  EXPECT_EQ(std::get<BindingSucceeded>(*event).answer.response_origin, k_server);
}

// The contract suite sends from one address: the server is there.
class ContractClient : public BindingClient {
 public:
  explicit ContractClient(Instant now)
      : BindingClient(now, {.server = {IpAddress::v4({192, 0, 2, 1}), 4001}}, shared_rng()) {}

 private:
  static SeededRng& shared_rng() {
    static SeededRng rng(0);
    rng = SeededRng(5);  // the same transaction each time, so that the inputs fit
    return rng;
  }
};

struct BindingTraits {
  using Subject = ContractClient;
  static std::unique_ptr<ContractClient> make(Instant now) { return std::make_unique<ContractClient>(now); }
  static std::vector<Bytes> inputs() {
    ContractClient client(k_start);
    std::array<std::byte, 100> out;
    const auto transmit = client.poll_transmit(k_start, out);
    const TransactionId transaction = Message::parse(BytesView(out).first(transmit->size))->transaction();
    std::vector<Bytes> messages;
    for (const Class message_class : {Class::error, Class::success}) {
      Bytes bytes(200);
      Writer writer(bytes, {.method = Method::binding, .message_class = message_class, .transaction = transaction});
      if (message_class == Class::error) {
        add_error(writer, 300);
        add_address(writer, Attribute::alternate_server, k_other);
      } else {
        add_xor_address(writer, Attribute::xor_mapped_address, k_mapped, transaction);
      }
      bytes.resize(*writer.finish());
      messages.push_back(bytes);
    }
    return messages;
  }
};

}  // namespace
}  // namespace dig::stun

namespace dig::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(StunBinding, MachineContract, dig::stun::BindingTraits);

}  // namespace dig::testing
