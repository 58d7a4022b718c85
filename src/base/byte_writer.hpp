// SPDX-License-Identifier: Apache-2.0
// Appends big-endian integers and bytes to a growing buffer; the counterpart of ByteReader.
#pragma once

#include "base/bytes.hpp"

namespace dig {

class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) noexcept : out_(out) {}

  void u8(std::uint8_t value) { write_integer(value); }
  void u16(std::uint16_t value) { write_integer(value); }
  void u32(std::uint32_t value) { write_integer(value); }
  void u64(std::uint64_t value) { write_integer(value); }
  void bytes(BytesView value) { append(out_, value); }
  void text(std::string_view value) { append(out_, as_bytes(value)); }

 private:
  template <class Integer>
  void write_integer(Integer value) {
    for (std::size_t i = sizeof(Integer); i-- > 0;) {
      out_.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i)));
    }
  }

  Bytes& out_;
};

}  // namespace dig
