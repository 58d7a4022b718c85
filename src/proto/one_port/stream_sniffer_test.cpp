// SPDX-License-Identifier: Apache-2.0
#include "proto/one_port/stream_sniffer.hpp"

#include <gtest/gtest.h>

#include <map>

#include "base/base_encoding.hpp"
#include "base/rng.hpp"
#include "proto/multistream/negotiator.hpp"
#include "wire/stun_message.hpp"

namespace dig::one_port {
namespace {

using Layer = StreamSniffer::Layer;

constexpr Instant k_start{1000s};

// What the first bytes are taken for: a kind, why they are refused, or "?".
std::string sniffed(BytesView bytes, std::size_t piece = ~std::size_t{0}, Layer layer = Layer::tcp) {
  StreamSniffer sniffer(layer, k_start);
  std::size_t given = 0;
  while (given < bytes.size() && !sniffer.result()) {
    const BytesView part = bytes.subspan(given, std::min(piece, bytes.size() - given));
    sniffer.handle_bytes(part);
    EXPECT_TRUE(equal(sniffer.held(), bytes.first(sniffer.result() ? given : given + part.size())));
    given += part.size();
  }
  if (!sniffer.result()) return "?";
  const Result<StreamKind>& result = *sniffer.result();
  if (result) return std::string(to_text(*result));
  EXPECT_EQ(result.error().code(), Errc::protocol_not_supported);
  return result.error().detail();
}
std::string sniffed(std::string_view text, Layer layer = Layer::tcp) {
  const std::string whole = sniffed(as_bytes(text), ~std::size_t{0}, layer);
  EXPECT_EQ(sniffed(as_bytes(text), 1, layer), whole) << text;
  EXPECT_EQ(sniffed(as_bytes(text), 3, layer), whole) << text;
  return whole;
}
// How many bytes it takes until something is decided.
std::size_t needed(std::string_view text) {
  for (std::size_t size = 0; size <= text.size(); ++size) {
    if (sniffed(as_bytes(text.substr(0, size))) != "?") return size;
  }
  return ~std::size_t{0};
}
std::string hex(std::string_view digits) { return std::string(as_text(from_hex(digits).value())); }

std::string multistream() {
  auto dialler = multistream::Negotiator::dial({"/noise"});
  Bytes out(100);
  out.resize(dialler.poll_bytes(out));
  return std::string(as_text(out));
}
std::string stun(stun::Method method) {
  Bytes out(100);
  stun::Writer writer(out, {.method = method});
  writer.add_text(stun::Attribute::software, "x");
  out.resize(writer.finish().value());
  return std::string(as_text(out));
}
const std::string k_client_hello = hex("1603010200010001fc0303");

TEST(StreamSniffer, KnowsEachProtocolByItsFirstBytes) {
  EXPECT_EQ(sniffed(k_client_hello), "TLS");
  EXPECT_EQ(sniffed(multistream()), "multistream-select");
  for (const auto method : {stun::Method::binding, stun::Method::allocate, stun::Method::channel_bind}) {
    EXPECT_EQ(sniffed(stun(method)), "STUN");
  }
  for (const char* method : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"}) {
    EXPECT_EQ(sniffed(std::string(method) + " / HTTP/1.1\r\n"), "HTTP") << method;
  }
}

TEST(StreamSniffer, NeedsNoMoreThanAFewBytes) {
  EXPECT_EQ(needed(k_client_hello), 1u);
  EXPECT_EQ(needed(multistream()), 20u);
  EXPECT_EQ(needed(stun(stun::Method::binding)), 8u);
  EXPECT_EQ(needed("GET / HTTP/1.1\r\n"), 4u);
  EXPECT_EQ(needed("OPTIONS * HTTP/1.1\r\n"), 8u);
}

TEST(StreamSniffer, RefusesByName) {
  const std::map<std::string, std::string> names = {
      {"SSH-2.0-OpenSSH_9.2\r\n", "SSH"},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 without ALPN"},
      {hex("050100"), "SOCKS"},
      {hex("0300002f"), "remote desktop (TPKT)"},
      {"get / HTTP/1.1\r\n", "ChannelData or text before anything was agreed on"},
      {"GETX / HTTP/1.1\r\n", "ChannelData or text before anything was agreed on"},
      {"POKE / HTTP/1.1\r\n", "ChannelData or text before anything was agreed on"},
      {hex("40000004"), "ChannelData or text before anything was agreed on"},
      {hex("47455401"), "ChannelData or text before anything was agreed on"},   // "GET" and no space
      {hex("0020") + std::string(32, 'n'), "something that begins like STUN"},  // Noise without multistream-select
      {hex("000100002112a443"), "something that begins like STUN"},
      {hex("00010003"), "something that begins like STUN"},
      {"\x13/multistream/2.0.0\n", "something that begins like multistream-select"},
      {"\x13/multistream/1.0.0\r", "something that begins like multistream-select"},
      {hex("1303010200"), "something that begins like multistream-select"},
      {hex("1503010002"), "bytes of no protocol that is spoken here"},  // a TLS alert
      {hex("80"), "bytes of no protocol that is spoken here"},
      {hex("ff534d42"), "bytes of no protocol that is spoken here"},
      {"\r\n", "bytes of no protocol that is spoken here"},
  };
  for (const auto& [text, name] : names) EXPECT_EQ(sniffed(text), name) << to_hex(as_bytes(text));
}

// Each first byte: what may follow it is one protocol or none.
TEST(StreamSniffer, EveryFirstByteMeansOneThing) {
  for (unsigned first = 0; first < 256; ++first) {
    const auto byte = static_cast<std::byte>(first);
    const bool waits = first <= 0x01 || first == 0x03 || first == 0x05 || first == 0x13 ||
                       std::string_view("GHPDTCOS").contains(static_cast<char>(first));
    const std::string meant = sniffed(BytesView(&byte, 1));
    EXPECT_EQ(meant == "?", waits) << first;
    EXPECT_EQ(meant == "TLS", first == 0x16) << first;
  }
}

TEST(StreamSniffer, InsideTlsThereIsNoTls) {
  EXPECT_EQ(sniffed(k_client_hello, Layer::tls), "TLS inside TLS");
  EXPECT_EQ(sniffed(multistream(), Layer::tls), "multistream-select");
  EXPECT_EQ(sniffed(stun(stun::Method::allocate), Layer::tls), "STUN");
  EXPECT_EQ(sniffed("GET / HTTP/1.1\r\n", Layer::tls), "HTTP");
}

TEST(StreamSniffer, GarbageIsDecidedWithinItsBytes) {
  SeededRng rng(1);
  for (std::size_t i = 0; i < 100'000; ++i) {
    const auto bytes = rng.array<StreamSniffer::max_bytes>();
    EXPECT_NE(sniffed(bytes, 1 + i % 3), "?");
  }
}

TEST(StreamSniffer, SilenceHasADeadline) {
  StreamSniffer sniffer(Layer::tcp, k_start);
  sniffer.handle_bytes(as_bytes("GE"));
  EXPECT_EQ(sniffer.next_timeout(), k_start + 10s) << "of the first byte, not of the last one";
  sniffer.handle_timeout(k_start + 10s - 1ns);
  EXPECT_FALSE(sniffer.result());
  sniffer.handle_timeout(k_start + 10s);
  EXPECT_EQ(sniffer.result()->error().code(), Errc::phase_timeout);
  EXPECT_FALSE(sniffer.next_timeout());
  sniffer.handle_bytes(as_bytes("T "));
  sniffer.handle_eof();
  EXPECT_EQ(sniffer.result()->error().code(), Errc::phase_timeout) << "the first decision stands";
}

TEST(StreamSniffer, AnEndBeforeADecisionIsOne) {
  StreamSniffer silent(Layer::tcp, k_start);
  silent.handle_bytes({});
  EXPECT_FALSE(silent.result());
  silent.handle_eof();
  EXPECT_EQ(silent.result()->error().code(), Errc::connection_closed);
  StreamSniffer decided(Layer::tcp, k_start);
  decided.handle_bytes(as_bytes(k_client_hello));
  decided.handle_eof();
  decided.handle_timeout(k_start + 1h);
  EXPECT_EQ(decided.result()->value(), StreamKind::tls);
}

TEST(StreamSniffer, AlpnSaysWhatIsInsideTls) {
  EXPECT_EQ(kind_of_alpn("libp2p").value(), StreamKind::multistream);
  EXPECT_EQ(kind_of_alpn("stun.turn").value(), StreamKind::stun);
  EXPECT_EQ(kind_of_alpn("stun.nat-discovery").value(), StreamKind::stun);
  EXPECT_EQ(kind_of_alpn("http/1.1").value(), StreamKind::http);
  EXPECT_EQ(kind_of_alpn("").value(), std::nullopt) << "the first bytes say it";
  for (const char* other : {"h2", "h3", "HTTP/1.1", "libp2p2", "acme-tls/1"}) {
    EXPECT_EQ(kind_of_alpn(other).error().code(), Errc::protocol_not_supported) << other;
  }
  for (const std::string& name : alpn_names()) EXPECT_TRUE(kind_of_alpn(name).value()) << name;
  EXPECT_EQ(alpn_names().size(), 4u);
}

}  // namespace
}  // namespace dig::one_port
