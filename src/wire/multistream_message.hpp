// SPDX-License-Identifier: Apache-2.0
// The lines of multistream-select 1.0: a uvarint length that counts the newline, the text, the newline. To read them
// from a stream, use a FrameReader with a cap of k_max_multistream_message and decode each frame here.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

inline constexpr std::size_t k_max_multistream_message = 1024;  // with the newline, without the length
inline constexpr std::string_view k_multistream_header = "/multistream/1.0.0";
inline constexpr std::string_view k_multistream_na = "na";
inline constexpr std::string_view k_multistream_ls = "ls";

// The text without its newline: not empty, one line, valid UTF-8 without control characters.
[[nodiscard]] Result<std::string> decode_multistream_line(BytesView frame);

// `line` has no newline and at most k_max_multistream_message - 1 bytes.
void append_multistream_line(Bytes& out, std::string_view line);

// The answer to `ls`: one message that holds one length-prefixed line per protocol, and a newline of its own.
void append_multistream_list(Bytes& out, std::span<const std::string> protocols);

}  // namespace dig
