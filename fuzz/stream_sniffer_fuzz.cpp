// SPDX-License-Identifier: Apache-2.0
// The first bytes of a connection: decided within a few of them, the same however they are cut, and none is lost.
#include <cstdint>

#include "input.hpp"
#include "proto/one_port/stream_sniffer.hpp"

namespace {

using dig::BytesView;
using dig::fuzz::require;
using dig::one_port::StreamSniffer;

std::optional<dig::Result<dig::one_port::StreamKind>> sniff(BytesView input, StreamSniffer::Layer layer,
                                                            std::size_t piece) {
  StreamSniffer sniffer(layer, {});
  std::size_t given = 0;
  while (given < input.size() && !sniffer.result()) {
    const BytesView part = input.subspan(given, std::min(piece, input.size() - given));
    sniffer.handle_bytes(part);
    require(dig::equal(sniffer.held(), input.first(sniffer.result() ? given : given + part.size())));
    given += part.size();
  }
  require(sniffer.result() || given < StreamSniffer::max_bytes);
  return sniffer.result();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  for (const auto layer : {StreamSniffer::Layer::tcp, StreamSniffer::Layer::tls}) {
    const auto whole = sniff(input, layer, size + 1);
    require(sniff(input, layer, 1) == whole);
    require(sniff(input, layer, 3) == whole);
  }
  (void)dig::one_port::kind_of_alpn(dig::as_text(input));
  return 0;
}
