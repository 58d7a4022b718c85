// SPDX-License-Identifier: Apache-2.0
// A strict reader for the few DER structures (X.690 §10) that this project accepts from peers: definite, minimal
// lengths and no negative or padded integers. OpenSSL's own parsers see only what passed here.
#pragma once

#include "base/byte_reader.hpp"

namespace dig::crypto::der {

enum class Tag : std::uint8_t { integer = 0x02, bit_string = 0x03, octet_string = 0x04, sequence = 0x30 };

// The content of the next element, which must carry `tag`.
[[nodiscard]] Result<BytesView> read_element(ByteReader& reader, Tag tag);

// The magnitude of a positive integer, without the leading zero byte that DER puts before a set high bit.
[[nodiscard]] Result<BytesView> read_positive_integer(ByteReader& reader);

// Appends an element. Its content has at most 65535 bytes.
void append_element(Bytes& out, Tag tag, BytesView content);

}  // namespace dig::crypto::der
