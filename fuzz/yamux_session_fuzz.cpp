// SPDX-License-Identifier: Apache-2.0
// A yamux session of either role: the input is a list of operations (frames, raw bytes, commands of the owner, time).
// Whatever happens: the limits hold, what is sent is well-formed, and Closed is the last event.
#include <algorithm>
#include <cstdint>
#include <variant>

#include "input.hpp"
#include "proto/yamux/session.hpp"

namespace {

using namespace dig;
using fuzz::Input;
using fuzz::require;

void send_frame(Input& in, yamux::Session& session, Instant now) {
  YamuxHeader header{.type = static_cast<YamuxType>(in.byte() % 4),
                     .flags = static_cast<std::uint16_t>(in.byte() % 16),
                     .stream = in.byte(),
                     .length = in.byte()};
  const std::uint8_t scale = in.byte();
  if (scale > 128) header.length <<= scale % 32;  // reaches windows, overflows and the largest values
  Bytes bytes(YamuxHeader::size);
  header.encode(std::span(bytes).first<YamuxHeader::size>());
  if (header.type == YamuxType::data) bytes.resize(bytes.size() + std::min<std::size_t>(header.length, 300'000));
  session.handle_plaintext(now, bytes);
}

void drain_output(yamux::Session& session, Instant now, std::size_t room) {
  Bytes out(room);
  for (int i = 0; i < 64; ++i) {
    const std::size_t size = session.poll_plaintext(now, out);
    if (size == 0) return;
    BytesView rest = BytesView(out).first(size);
    while (!rest.empty()) {
      require(rest.size() >= YamuxHeader::size);
      const auto header = YamuxHeader::decode(rest.first(YamuxHeader::size));
      require(header.has_value());
      const std::size_t payload = header->type == YamuxType::data ? header->length : 0;
      require(rest.size() >= YamuxHeader::size + payload);
      rest = rest.subspan(YamuxHeader::size + payload);
    }
  }
}

void command(Input& in, yamux::Session& session, Instant now) {
  const StreamId stream{in.byte()};
  Bytes buffer(static_cast<std::size_t>(in.byte()) * 512);
  switch (in.byte() % 8) {
    case 0:
      (void)session.open_stream(now);
      return;
    case 1:
      (void)session.write(stream, buffer);
      return;
    case 2:
      (void)session.read(now, stream, buffer);
      return;
    case 3:
      return session.finish(stream);
    case 4:
      return session.reset(stream, 1);
    case 5:
      return session.stop_sending(stream, 1);
    case 6:
      return buffer.empty() ? session.close(now, Error(Errc::cancelled)) : void();
    default:
      return buffer.empty() ? session.handle_eof(now) : void();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in{data, size};
  const yamux::Limits limits{.max_inbound_streams = 8,
                             .max_outbound_streams = 8,
                             .max_unacknowledged = 3,
                             .max_receive_memory = 700'000,
                             .max_stream_send_buffer = 40'000,
                             .max_send_memory = 100'000,
                             .max_discarded = 100'000,
                             .max_queued_control = 16};
  Instant now{100s};
  const auto role = in.byte() % 2 == 0 ? yamux::Role::client : yamux::Role::server;
  yamux::Session session(role, limits, now);
  bool is_closed_seen = false;
  while (in.size > 0) {
    switch (in.byte() % 6) {
      case 0:
      case 1:
        send_frame(in, session, now);
        break;
      case 2:
        session.handle_plaintext(now, in.take(in.byte()));
        break;
      case 3:
        command(in, session, now);
        break;
      case 4:
        now = now + Duration(std::chrono::milliseconds(in.byte() * 100));
        session.handle_timeout(now);
        break;
      default:
        drain_output(session, now, static_cast<std::size_t>(in.byte()) * 300);
    }
    while (const auto event = session.poll_event()) {
      require(!is_closed_seen);
      is_closed_seen = std::holds_alternative<Closed>(*event);
    }
    const yamux::Status status = session.snapshot();
    require(status.receive_buffered <= limits.max_receive_memory);
    require(status.streams_inbound <= limits.max_inbound_streams);
    require(status.streams_outbound <= limits.max_outbound_streams);
    require(status.queued_control <= 8 * limits.max_queued_control);
    require(status.is_closed == is_closed_seen);
  }
  return 0;
}
