// SPDX-License-Identifier: Apache-2.0
#include "store/zip_fields.hpp"

namespace dig::store {
namespace {

constexpr std::uint64_t k_all_ones = 0xffff'ffff;

Result<void> expect_signature(ByteReaderLittle& reader, std::uint32_t expected) {
  DIG_TRY(const std::uint32_t signature, reader.u32());
  if (signature != expected) return fail(Errc::malformed);
  return {};
}

}  // namespace

Result<ZipEnd> ZipEnd::decode(BytesView input) {
  ByteReaderLittle reader(input);
  ZipEnd end{};
  DIG_CHECK(expect_signature(reader, 0x06054b50));
  DIG_TRY(end.disk, reader.u16());
  DIG_TRY(end.directory_disk, reader.u16());
  DIG_TRY(end.entries_here, reader.u16());
  DIG_TRY(end.entries, reader.u16());
  DIG_TRY(end.directory_size, reader.u32());
  DIG_TRY(end.directory_offset, reader.u32());
  DIG_TRY(end.comment_size, reader.u16());
  return end;
}

Result<ZipEnd64Locator> ZipEnd64Locator::decode(BytesView input) {
  ByteReaderLittle reader(input);
  ZipEnd64Locator locator{};
  DIG_CHECK(expect_signature(reader, 0x07064b50));
  DIG_TRY(locator.disk, reader.u32());
  DIG_TRY(locator.offset, reader.u64());
  DIG_TRY(locator.disks, reader.u32());
  return locator;
}

Result<ZipEnd64> ZipEnd64::decode(BytesView input) {
  ByteReaderLittle reader(input);
  ZipEnd64 end{};
  DIG_CHECK(expect_signature(reader, 0x06064b50));
  DIG_TRY(const std::uint64_t size, reader.u64());
  if (size != bytes - 12) return fail(Errc::malformed);  // the size counts what follows it
  DIG_CHECK(reader.skip(4));                             // versions
  DIG_TRY(end.disk, reader.u32());
  DIG_TRY(end.directory_disk, reader.u32());
  DIG_TRY(end.entries_here, reader.u64());
  DIG_TRY(end.entries, reader.u64());
  DIG_TRY(end.directory_size, reader.u64());
  DIG_TRY(end.directory_offset, reader.u64());
  return end;
}

Result<ZipDirectoryHeader> ZipDirectoryHeader::decode(ByteReaderLittle& reader) {
  ZipDirectoryHeader header{};
  DIG_CHECK(expect_signature(reader, 0x02014b50));
  DIG_CHECK(reader.skip(4));  // versions
  DIG_TRY(header.flags, reader.u16());
  DIG_TRY(header.method, reader.u16());
  DIG_CHECK(reader.skip(4));  // time and date
  DIG_TRY(header.crc, reader.u32());
  DIG_TRY(header.stored_size, reader.u32());
  DIG_TRY(header.size, reader.u32());
  DIG_TRY(const std::uint16_t name_size, reader.u16());
  DIG_TRY(const std::uint16_t extra_size, reader.u16());
  DIG_TRY(const std::uint16_t comment_size, reader.u16());
  DIG_TRY(header.disk, reader.u16());
  DIG_CHECK(reader.skip(2));  // internal attributes
  DIG_TRY(header.external_attributes, reader.u32());
  DIG_TRY(header.offset, reader.u32());
  DIG_TRY(header.name, reader.bytes(name_size));
  DIG_TRY(header.extra, reader.bytes(extra_size));
  DIG_CHECK(reader.skip(comment_size));
  return header;
}

Result<ZipLocalHeader> ZipLocalHeader::decode(BytesView input) {
  ByteReaderLittle reader(input);
  ZipLocalHeader header{};
  DIG_CHECK(expect_signature(reader, 0x04034b50));
  DIG_CHECK(reader.skip(2));  // version
  DIG_TRY(header.flags, reader.u16());
  DIG_TRY(header.method, reader.u16());
  DIG_CHECK(reader.skip(4));  // time and date
  DIG_TRY(header.crc, reader.u32());
  DIG_TRY(header.stored_size, reader.u32());
  DIG_TRY(header.size, reader.u32());
  DIG_TRY(header.name_size, reader.u16());
  DIG_TRY(header.extra_size, reader.u16());
  return header;
}

Result<ZipDescriptor> ZipDescriptor::decode(BytesView input) {
  ByteReaderLittle reader(input);
  ZipDescriptor descriptor{};
  const bool has_signature = input.size() == 16 || input.size() == 24;
  const bool is_wide = input.size() == 20 || input.size() == 24;
  if (!has_signature && !is_wide && input.size() != 12) return fail(Errc::malformed);
  if (has_signature) DIG_CHECK(expect_signature(reader, 0x08074b50));
  DIG_TRY(descriptor.crc, reader.u32());
  if (is_wide) {
    DIG_TRY(descriptor.stored_size, reader.u64());
    DIG_TRY(descriptor.size, reader.u64());
  } else {
    DIG_TRY(descriptor.stored_size, reader.u32());
    DIG_TRY(descriptor.size, reader.u32());
  }
  return descriptor;
}

Result<void> apply_zip64_extra(BytesView extra, std::uint64_t& size, std::uint64_t& stored_size,
                               std::uint64_t* offset) {
  std::optional<BytesView> field;
  ByteReaderLittle reader(extra);
  while (reader.remaining() != 0) {
    DIG_TRY(const std::uint16_t id, reader.u16());
    DIG_TRY(const std::uint16_t field_size, reader.u16());
    DIG_TRY(const BytesView value, reader.bytes(field_size));
    if (id != 0x0001) continue;
    if (field) return fail(Errc::bad_archive, "an entry has two ZIP64 fields");
    field = value;
  }
  // §4.5.3: only the values that are all ones in the header are in the field, in this order.
  ByteReaderLittle values(field.value_or(BytesView{}));
  for (std::uint64_t* value : {&size, &stored_size, offset}) {
    if (value == nullptr || *value != k_all_ones) continue;
    const auto wide = values.u64();
    if (!wide) return fail(Errc::bad_archive, "an entry lacks its ZIP64 sizes");
    *value = *wide;
  }
  return {};
}

}  // namespace dig::store
