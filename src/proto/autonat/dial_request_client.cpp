// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/dial_request_client.hpp"

#include <algorithm>
#include <utility>

namespace dig::autonat {

DialRequestClient::DialRequestClient(Instant now, const DialRequest& request, std::uint64_t max_dial_data,
                                     const Limits& limits)
    : deadline_(now + limits.timeout), addresses_(request.addresses.size()), max_dial_data_(max_dial_data) {
  send(request);
}

void DialRequestClient::handle_bytes(Instant, BytesView bytes) {
  while (!result_ && !bytes.empty()) {
    const auto taken = frames_.feed(bytes);
    if (!taken) return end(std::unexpected(taken.error()));
    bytes = bytes.subspan(*taken);
    const auto frame = frames_.take_frame();
    if (!frame) continue;
    const auto message = decode_message(*frame);
    if (!message) return end(std::unexpected(message.error()));
    if (const auto handled = handle_message(*message); !handled) return end(std::unexpected(handled.error()));
  }
}

Result<void> DialRequestClient::handle_message(const Message& message) {
  if (const auto* request = std::get_if<DialDataRequest>(&message)) return handle_data_request(*request);
  if (const auto* response = std::get_if<DialResponse>(&message)) return handle_response(*response);
  return fail(Errc::protocol_violation, "a message of the client from the server of a dial request");
}

Result<void> DialRequestClient::handle_data_request(const DialDataRequest& request) {
  if (is_data_asked_) return fail(Errc::protocol_violation, "dial data was asked for twice");
  if (request.address_index >= addresses_) return fail(Errc::protocol_violation, "an address that was not asked about");
  if (request.size > max_dial_data_) return fail(Errc::limit_reached, "the server wants more dial data than it may");
  is_data_asked_ = true;
  data_left_ = request.size;
  return {};
}

Result<void> DialRequestClient::handle_response(const DialResponse& response) {
  if (response.status == ResponseStatus::ok) {
    if (response.address_index >= addresses_) {
      return fail(Errc::protocol_violation, "an address that was not asked about");
    }
    if (response.dial_status == DialStatus::unused) {
      return fail(Errc::protocol_violation, "a dial response that says nothing");
    }
  }
  end(response);
  return {};
}

void DialRequestClient::handle_eof(Instant) {
  if (!result_) end(fail(Errc::stream_closed, "before the dial response"));
}

void DialRequestClient::handle_timeout(Instant now) {
  if (!result_ && now >= deadline_) end(fail(Errc::timed_out, "no dial response"));
}

std::size_t DialRequestClient::poll_bytes(MutableBytes out) {
  std::size_t size = 0;
  while (size < out.size()) {
    if (output_.empty() && data_left_ > 0) {
      const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(data_left_, k_max_dial_data));
      send(DialDataResponse{Bytes(piece)});
      data_left_ -= piece;
      data_sent_ += piece;
    }
    if (output_.empty()) break;
    size += output_.pop(out.subspan(size));
  }
  return size;
}

DialRequestClientStatus DialRequestClient::snapshot() const {
  return {.dial_data_sent = data_sent_, .buffered_bytes = frames_.buffered() + output_.size()};
}

void DialRequestClient::send(const Message& message) {
  Bytes framed;
  append_frame(framed, encode_message(message));
  output_.append(framed);
}

void DialRequestClient::end(Result<DialResponse> result) {
  result_ = std::move(result);
  output_.clear();
  data_left_ = 0;
}

}  // namespace dig::autonat
