// SPDX-License-Identifier: Apache-2.0
#include "wire/stun_message.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/testing/stun_vectors.hpp"

namespace dig::stun {
namespace {

constexpr std::string_view k_header_hex = "000100002112a442000102030405060708090a0b";

Bytes bytes_of(std::string_view hex) { return from_hex(hex).value(); }
// A Binding request with these attributes, its length right.
Bytes request(std::string_view attributes) {
  Bytes bytes = bytes_of(k_header_hex);
  append(bytes, bytes_of(attributes));
  bytes[2] = static_cast<std::byte>((bytes.size() - k_header_size) >> 8U);
  bytes[3] = static_cast<std::byte>(bytes.size() - k_header_size);
  return bytes;
}
Errc code_of(const Bytes& bytes) {
  const auto message = Message::parse(bytes);
  return message ? Errc::internal : message.error().code();
}

TEST(StunMessage, EveryMethodAndClassSurvives) {
  const Method methods[] = {Method::binding, Method::allocate,          Method::refresh,      Method::send,
                            Method::data,    Method::create_permission, Method::channel_bind, Method{0xFFF}};
  for (const Method method : methods) {
    for (unsigned number = 0; number < 4; ++number) {
      const Header header{method, static_cast<Class>(number), {std::byte{7}}};
      std::array<std::byte, 20> buffer{};
      const Writer writer(buffer, header);
      ASSERT_EQ(writer.finish(), k_header_size);
      const auto message = Message::parse(buffer);
      ASSERT_TRUE(message);
      EXPECT_EQ(message->header(), header);
    }
  }
}

TEST(StunMessage, EmptyAndEveryPrefixAreRefused) {
  const Bytes sample = bytes_of(testing::k_sample_request);
  for (std::size_t size = 0; size < sample.size(); ++size) {
    const Bytes prefix(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(code_of(prefix), Errc::truncated) << size;
  }
  EXPECT_TRUE(Message::parse(sample));
}

TEST(StunMessage, WhatIsNotStunIsRefused) {
  Bytes bytes = request("");
  EXPECT_TRUE(is_stun(bytes));
  EXPECT_EQ(header_of(bytes), Message::parse(bytes).value().header());
  for (const unsigned first : {0x40U, 0x80U, 0xC0U, 0x16U << 2U}) {
    Bytes other = bytes;
    other[0] = static_cast<std::byte>(first);
    EXPECT_EQ(code_of(other), Errc::malformed);
    EXPECT_FALSE(is_stun(other));
  }
  Bytes classic = bytes;  // RFC 3489: no magic cookie
  classic[4] = std::byte{0};
  EXPECT_EQ(code_of(classic), Errc::malformed);
  EXPECT_FALSE(is_stun(classic));
  EXPECT_FALSE(is_stun({}));
}

TEST(StunMessage, LyingLengthsAreRefused) {
  for (const unsigned length : {1U, 2U, 3U, 5U}) {
    Bytes bytes = request("");
    bytes[3] = static_cast<std::byte>(length);
    bytes.resize(k_header_size + length);
    EXPECT_EQ(code_of(bytes), Errc::malformed) << length;
  }
  Bytes longer = request("80220000");
  longer.push_back(std::byte{0});
  EXPECT_EQ(code_of(longer), Errc::malformed);
  EXPECT_EQ(code_of(request("8022000161")), Errc::malformed);        // the length is not a multiple of four
  EXPECT_EQ(code_of(request("8022000561626364")), Errc::truncated);  // the value goes beyond the message
  EXPECT_EQ(code_of(request("8022ffff61626364")), Errc::truncated);
  EXPECT_EQ(code_of(request("80220005616263646500")), Errc::malformed);
  EXPECT_TRUE(Message::parse(request("8022000561626364650000ff")));  // padding may be anything
}

TEST(StunMessage, TheFirstOfSeveralEqualAttributesCounts) {
  const Bytes bytes = request("80220001610000008022000162000000");
  const auto message = Message::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(as_text(*message->find(Attribute::software)), "a");
  std::string all;
  message->for_each(Attribute::software, [&](BytesView value) {
    all += as_text(value);
    return true;
  });
  EXPECT_EQ(all, "ab");
}

TEST(StunMessage, AttributesAreBounded) {
  std::string most;
  for (std::size_t i = 0; i < k_max_attributes; ++i) most += "80220000";
  EXPECT_TRUE(Message::parse(request(most)));
  EXPECT_EQ(code_of(request(most + "80220000")), Errc::oversized);
}

TEST(StunMessage, NothingFollowsAFingerprint) {
  EXPECT_TRUE(Message::parse(request("8028000400000000")));
  EXPECT_EQ(code_of(request("802800040000000080220000")), Errc::malformed);
  EXPECT_EQ(code_of(request("80280000")), Errc::malformed);
  EXPECT_EQ(code_of(request("802800080000000000000000")), Errc::malformed);
}

TEST(StunMessage, IntegrityAttributesHaveTheirSizeAndTheFirstCounts) {
  const std::string mac = "00080014" + std::string(40, 'a');
  const std::string other = "00080014" + std::string(40, 'b');
  EXPECT_EQ(code_of(request("00080010" + std::string(32, 'a'))), Errc::malformed);
  const Bytes bytes = request(mac + other);
  const auto message = Message::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->integrity()->value.front(), std::byte{0xaa});
  // MESSAGE-INTEGRITY behind the stronger one does not count (RFC 8489 §14.6).
  const Bytes late = request("001c0010" + std::string(32, 'c') + mac);
  EXPECT_FALSE(Message::parse(late)->integrity());
}

TEST(StunMessage, WriterPadsWithZerosAndKeepsTheLength) {
  std::array<std::byte, 64> buffer;
  buffer.fill(std::byte{0xee});  // secrets of an earlier message
  Writer writer(buffer, {});
  writer.add_text(Attribute::software, "abcde");
  writer.add_flag(Attribute::use_candidate);
  EXPECT_EQ(to_hex(writer.written().subspan(2, 2)), "0010");
  EXPECT_EQ(to_hex(writer.written().subspan(k_header_size)), "80220005616263646500000000250000");
}

TEST(StunMessage, WriterNeverWritesPastItsBuffer) {
  for (std::size_t size = 0; size < 48; ++size) {
    std::array<std::byte, 64> buffer;
    buffer.fill(std::byte{0xee});
    Writer writer(MutableBytes(buffer).first(size), {});
    writer.add_text(Attribute::software, "abcde");
    writer.add_u32(Attribute::lifetime, 600);
    writer.add_u64(Attribute::reservation_token, 1);
    EXPECT_EQ(writer.finish().has_value(), false) << size;
    EXPECT_TRUE(std::all_of(buffer.begin() + static_cast<std::ptrdiff_t>(size), buffer.end(),
                            [](std::byte b) { return b == std::byte{0xee}; }));
  }
  Bytes large(70'000);
  Writer writer(large, {});
  (void)writer.reserve(Attribute::data, 65'528);
  EXPECT_TRUE(writer.finish());  // the longest message there is
  writer.add_flag(Attribute::use_candidate);
  EXPECT_FALSE(writer.finish());
}

TEST(StunAttributes, AddressesOfBothFamiliesSurviveAndTheirSizesAreExact) {
  const TransactionId transaction{std::byte{1}, std::byte{2}, std::byte{3}};
  for (const std::string_view text : {"192.0.2.1:32853", "[2001:db8::1]:1", "0.0.0.0:0", "255.255.255.255:65535"}) {
    const Endpoint endpoint = *Endpoint::parse(text);
    std::array<std::byte, 128> buffer{};
    Writer writer(buffer, {Method::binding, Class::success, transaction});
    add_address(writer, Attribute::mapped_address, endpoint);
    add_xor_address(writer, Attribute::xor_mapped_address, endpoint, transaction);
    const auto message = Message::parse(writer.written());
    ASSERT_TRUE(message);
    EXPECT_EQ(decode_address(*message->find(Attribute::mapped_address)), endpoint);
    EXPECT_EQ(xor_address(*message, Attribute::xor_mapped_address), endpoint);
    const BytesView value = *message->find(Attribute::mapped_address);
    for (std::size_t size = 0; size < value.size(); ++size) EXPECT_FALSE(decode_address(value.first(size))) << size;
    Bytes longer = to_bytes(value);
    longer.push_back(std::byte{0});
    EXPECT_FALSE(decode_address(longer));
  }
  EXPECT_EQ(decode_address(bytes_of("0003001000000000")).error().code(), Errc::unsupported);
  EXPECT_EQ(decode_address(bytes_of("0001001000000000")).value().port, 16);
  EXPECT_FALSE(xor_address(*Message::parse(request("")), Attribute::xor_peer_address));
}

TEST(StunAttributes, ErrorCodesAreThreeDigitsFromThreeHundred) {
  for (const std::uint16_t code : std::initializer_list<std::uint16_t>{300, 401, 438, 699}) {
    std::array<std::byte, 64> buffer{};
    Writer writer(buffer, {});
    add_error(writer, code, "why");
    const auto message = Message::parse(writer.written());
    const auto error = decode_error(*message->find(Attribute::error_code));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, code);
    EXPECT_EQ(error->reason, "why");
  }
  for (const std::string_view bad : {"", "000004", "00000200", "00000700", "00000464"}) {
    EXPECT_FALSE(decode_error(bytes_of(bad))) << bad;
  }
  EXPECT_EQ(decode_address_error(bytes_of("02000428")).value().error.code, 440);
  EXPECT_EQ(decode_address_error(bytes_of("02000428")).value().family, AddressFamily::ipv6);
  EXPECT_FALSE(decode_address_error({}));
}

TEST(StunAttributes, SmallFormsWantTheirExactSize) {
  EXPECT_EQ(decode_u32(bytes_of("00000258")), 600u);
  EXPECT_EQ(decode_channel_number(bytes_of("4001ffff")), 0x4001);
  EXPECT_EQ(decode_requested_transport(bytes_of("11ffffff")), k_transport_udp);
  EXPECT_EQ(decode_address_family(bytes_of("02000000")), AddressFamily::ipv6);
  EXPECT_EQ(decode_address_family(bytes_of("03000000")).error().code(), Errc::unsupported);
  EXPECT_EQ(decode_even_port(bytes_of("80")), true);
  EXPECT_EQ(decode_even_port(bytes_of("7f")), false);
  EXPECT_EQ(decode_u64(bytes_of("0000000000000001")), 1u);
  for (const std::size_t size : {0U, 3U, 5U}) {
    EXPECT_FALSE(decode_u32(Bytes(size)));
    EXPECT_FALSE(decode_channel_number(Bytes(size)));
    EXPECT_FALSE(decode_requested_transport(Bytes(size)));
    EXPECT_FALSE(decode_address_family(Bytes(size)));
  }
  EXPECT_FALSE(decode_even_port({}));
  EXPECT_FALSE(decode_even_port(Bytes(2)));
  EXPECT_FALSE(decode_u64(Bytes(7)));
  EXPECT_EQ(decode_icmp(bytes_of("ffff0b0100000000")), (IcmpError{.type = 11, .code = 1}));
  EXPECT_EQ(decode_icmp(bytes_of("00000200ffffffff")), (IcmpError{.type = 2, .data = 0xFFFFFFFF}));
  EXPECT_FALSE(decode_icmp(Bytes(7)));
  EXPECT_FALSE(decode_icmp(Bytes(9)));
  std::array<std::uint16_t, 2> types{};
  EXPECT_EQ(decode_unknown_attributes(bytes_of("000100020003"), types), 2u);
  EXPECT_FALSE(decode_unknown_attributes(bytes_of("000100"), types));
}

}  // namespace
}  // namespace dig::stun
