// SPDX-License-Identifier: Apache-2.0
// Shared by the codecs of this folder: parse with a cap on the size before, serialise, and move between protobuf's
// strings and our bytes. The caps here are what bounds memory and time: a message is never parsed above its cap.
#pragma once

#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

template <class Message>
[[nodiscard]] Result<Message> parse_protobuf(BytesView bytes, std::size_t max_size) {
  if (bytes.size() > max_size) return fail(Errc::oversized, "a message longer than its limit");
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Errc::malformed, "not a protobuf message of its kind");
  }
  return message;
}

template <class Message>
[[nodiscard]] Bytes serialise_protobuf(const Message& message) {
  Bytes out(message.ByteSizeLong());
  message.SerializeToArray(out.data(), static_cast<int>(out.size()));
  return out;
}

[[nodiscard]] inline std::string to_field(BytesView bytes) { return std::string(as_text(bytes)); }

}  // namespace dig
