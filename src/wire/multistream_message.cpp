// SPDX-License-Identifier: Apache-2.0
#include "wire/multistream_message.hpp"

#include "base/frame_reader.hpp"
#include "base/safe_text.hpp"

namespace dig {

Result<std::string> decode_multistream_line(BytesView frame) {
  if (frame.size() > k_max_multistream_message)
    return fail(Errc::oversized, "a multistream line longer than its limit");
  std::string_view line = as_text(frame);
  if (!line.ends_with('\n')) return fail(Errc::malformed, "a multistream line without a newline");
  line.remove_suffix(1);
  if (line.empty()) return fail(Errc::malformed, "an empty multistream line");
  if (!is_safe_text(line)) {
    return fail(Errc::malformed, "a multistream line with control characters");
  }
  return std::string(line);
}

void append_multistream_line(Bytes& out, std::string_view line) {
  append_frame(out, to_bytes(std::string(line) + '\n'));
}

void append_multistream_list(Bytes& out, std::span<const std::string> protocols) {
  Bytes list;
  for (const std::string& protocol : protocols) append_multistream_line(list, protocol);
  list.push_back(std::byte{'\n'});
  append_frame(out, list);
}

}  // namespace dig
