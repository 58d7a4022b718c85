// SPDX-License-Identifier: Apache-2.0
#include "wire/autonat_message.hpp"

#include <algorithm>

#include "autonat.pb.h"
#include "wire/protobuf.hpp"

namespace dig::autonat {
namespace {

// A request has as many addresses as its sender likes; those of low priority are not looked at.
DialRequest decode_request(const pb::DialRequest& message) {
  DialRequest request{.addresses = {}, .nonce = message.nonce()};
  const std::size_t count = std::min(static_cast<std::size_t>(message.addrs_size()), k_max_addresses);
  request.addresses.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& field = message.addrs(static_cast<int>(i));
    request.addresses.push_back(Multiaddr::from_bytes(as_bytes(field)).value_or(Multiaddr()));
  }
  return request;
}

Result<ResponseStatus> decode_status(int number) {
  for (const ResponseStatus status : {ResponseStatus::internal_error, ResponseStatus::request_rejected,
                                      ResponseStatus::dial_refused, ResponseStatus::ok}) {
    if (number == static_cast<int>(status)) return status;
  }
  return fail(Errc::unsupported, "an unknown status of a dial response");
}

Result<DialStatus> decode_dial_status(int number) {
  for (const DialStatus status :
       {DialStatus::unused, DialStatus::dial_error, DialStatus::dial_back_error, DialStatus::ok}) {
    if (number == static_cast<int>(status)) return status;
  }
  return fail(Errc::unsupported, "an unknown dial status");
}

Result<Message> decode_response(const pb::DialResponse& message) {
  DialResponse response;
  DIG_TRY(response.status, decode_status(message.status()));
  DIG_TRY(response.dial_status, decode_dial_status(message.dial_status()));
  response.address_index = message.addr_idx();
  return response;
}

Result<Message> decode_data(const pb::DialDataResponse& message) {
  if (message.data().size() > k_max_dial_data) return fail(Errc::oversized, "dial data in too large a piece");
  return DialDataResponse{to_bytes(message.data())};
}

void fill(pb::AutonatMessage& out, const DialRequest& request) {
  pb::DialRequest& message = *out.mutable_dial_request();
  for (std::size_t i = 0; i < std::min(request.addresses.size(), k_max_addresses); ++i) {
    message.add_addrs(to_field(request.addresses[i].bytes()));
  }
  message.set_nonce(request.nonce);
}
void fill(pb::AutonatMessage& out, const DialResponse& response) {
  pb::DialResponse& message = *out.mutable_dial_response();
  message.set_status(static_cast<pb::DialResponse::ResponseStatus>(response.status));
  message.set_addr_idx(response.address_index);
  message.set_dial_status(static_cast<pb::AutonatMessage::DialStatus>(response.dial_status));
}
void fill(pb::AutonatMessage& out, const DialDataRequest& request) {
  pb::DialDataRequest& message = *out.mutable_dial_data_request();
  message.set_addr_idx(request.address_index);
  message.set_num_bytes(request.size);
}
void fill(pb::AutonatMessage& out, const DialDataResponse& response) {
  out.mutable_dial_data_response()->set_data(to_field(response.data));
}

}  // namespace

Result<Message> decode_message(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::AutonatMessage>(bytes, k_max_message));
  switch (message.msg_case()) {
    case pb::AutonatMessage::kDialRequest:
      return decode_request(message.dial_request());
    case pb::AutonatMessage::kDialResponse:
      return decode_response(message.dial_response());
    case pb::AutonatMessage::kDialDataRequest:
      return DialDataRequest{message.dial_data_request().addr_idx(), message.dial_data_request().num_bytes()};
    case pb::AutonatMessage::kDialDataResponse:
      return decode_data(message.dial_data_response());
    case pb::AutonatMessage::MSG_NOT_SET:
      break;
  }
  return fail(Errc::unsupported, "an AutoNAT message of an unknown kind");
}

Bytes encode_message(const Message& message) {
  pb::AutonatMessage out;
  std::visit([&](const auto& kind) { fill(out, kind); }, message);
  return serialise_protobuf(out);
}

Result<DialBack> DialBack::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::DialBack>(bytes, max_encoded_size));
  return DialBack{message.nonce()};
}

Bytes DialBack::encode() const {
  pb::DialBack message;
  message.set_nonce(nonce);
  return serialise_protobuf(message);
}

Result<DialBackResponse> DialBackResponse::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::DialBackResponse>(bytes, max_encoded_size));
  if (message.status() != pb::DialBackResponse::OK) return fail(Errc::unsupported, "an unknown dial-back status");
  return DialBackResponse();
}

Bytes DialBackResponse::encode() const { return serialise_protobuf(pb::DialBackResponse()); }

}  // namespace dig::autonat
