// SPDX-License-Identifier: Apache-2.0
#include "store/zip_directory.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "store/resource_name.hpp"
#include "store/zip_fields.hpp"

namespace dig::store {
namespace {

constexpr std::uint16_t k_flag_encrypted = 1U << 0;
constexpr std::uint16_t k_flag_descriptor = 1U << 3;
constexpr std::uint16_t k_flag_utf8 = 1U << 11;
// Bits 1 and 2 are hints of the deflater; every other bit changes the format in a way that is not supported.
constexpr std::uint16_t k_allowed_flags = k_flag_descriptor | k_flag_utf8 | (1U << 1) | (1U << 2);
constexpr std::uint16_t k_compared_flags = k_flag_descriptor | k_flag_utf8;

constexpr std::uint32_t k_mode_kind = 0170000;
constexpr std::uint32_t k_mode_file = 0100000;
constexpr std::uint32_t k_mode_folder = 0040000;
constexpr std::uint32_t k_mode_special = 07000;  // set-user-id, set-group-id, sticky

std::unexpected<Error> bad(std::string_view reason) { return fail(Errc::bad_archive, reason); }
std::unexpected<Error> bad(const std::string& name, std::string_view reason) {
  return fail(Errc::bad_archive, std::string(reason) + ": " + name);
}

Result<Bytes> read_exactly(ArchiveSource& source, std::uint64_t offset, std::size_t size) {
  Bytes bytes(size);
  DIG_TRY(const std::size_t got, source.read_at(offset, bytes));
  if (got != size) return bad("the archive ends too early");
  return bytes;
}

struct DirectoryPlace {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t entries = 0;
};

// The ZIP64 end record, if the 20 bytes before the end record are its locator. Where the end record has no all-ones
// value, both must agree.
Result<std::optional<DirectoryPlace>> read_zip64_end(ArchiveSource& source, std::uint64_t end_offset,
                                                     const ZipEnd& end) {
  if (end_offset < ZipEnd64Locator::bytes + ZipEnd64::bytes) return std::nullopt;
  const std::uint64_t locator_offset = end_offset - ZipEnd64Locator::bytes;
  DIG_TRY(const Bytes locator_bytes, read_exactly(source, locator_offset, ZipEnd64Locator::bytes));
  const auto locator = ZipEnd64Locator::decode(locator_bytes);
  if (!locator) return std::nullopt;
  const std::uint64_t offset = locator_offset - ZipEnd64::bytes;
  if (locator->offset != offset || locator->disk != 0 || locator->disks != 1) {
    return bad("the ZIP64 end record is not where it must be");
  }
  DIG_TRY(const Bytes bytes, read_exactly(source, offset, ZipEnd64::bytes));
  const auto end64 = ZipEnd64::decode(bytes);
  if (!end64 || end64->disk != 0 || end64->directory_disk != 0 || end64->entries_here != end64->entries) {
    return bad("the ZIP64 end record is damaged");
  }
  const bool agree = (end.entries == 0xffff || end.entries == end64->entries) &&
                     (end.directory_size == 0xffff'ffff || end.directory_size == end64->directory_size) &&
                     (end.directory_offset == 0xffff'ffff || end.directory_offset == end64->directory_offset);
  if (!agree) return bad("the two end records disagree");
  if (end64->directory_offset > offset || end64->directory_size != offset - end64->directory_offset) {
    return bad("the directory does not reach up to the end record");
  }
  return DirectoryPlace{end64->directory_offset, end64->directory_size, end64->entries};
}

Result<DirectoryPlace> find_any_directory(ArchiveSource& source) {
  if (source.size() < ZipEnd::bytes) return bad("it is too short for an archive");
  const std::uint64_t end_offset = source.size() - ZipEnd::bytes;
  DIG_TRY(const Bytes bytes, read_exactly(source, end_offset, ZipEnd::bytes));
  const auto end = ZipEnd::decode(bytes);
  // The end record must be the very last thing: a comment could hide a second one.
  if (!end || end->comment_size != 0) return bad("it does not end in a ZIP end record without a comment");
  if (end->disk != 0 || end->directory_disk != 0 || end->entries_here != end->entries) {
    return bad("archives of several disks are not supported");
  }
  DIG_TRY(const std::optional<DirectoryPlace> zip64, read_zip64_end(source, end_offset, *end));
  if (zip64) return *zip64;
  if (end->directory_offset > end_offset || end->directory_size != end_offset - end->directory_offset) {
    return bad("the directory does not reach up to the end record");
  }
  return DirectoryPlace{end->directory_offset, end->directory_size, end->entries};
}

Result<DirectoryPlace> find_directory(ArchiveSource& source, const ZipLimits& limits) {
  DIG_TRY(const DirectoryPlace place, find_any_directory(source));
  if (place.entries > limits.entries) return fail(Errc::limit_reached, "the archive has too many entries");
  if (place.size > limits.directory_bytes) return fail(Errc::limit_reached, "the archive's directory is too large");
  if (place.size / ZipDirectoryHeader::bytes < place.entries)
    return bad("the directory has fewer entries than it says");
  return place;
}

// Known extra fields that would give an entry another name, another size or another key than the header says.
Result<void> check_extra(const std::string& name, BytesView extra) {
  ByteReaderLittle reader(extra);
  while (reader.remaining() != 0) {
    const auto id = reader.u16();
    const auto size = reader.u16();
    if (!id || !size || !reader.bytes(*size)) return bad(name, "an extra field is damaged");
    if (*id == 0x7075 || *id == 0x6375) return bad(name, "Unicode path and comment fields are not supported");
    if (*id == 0x9901 || *id == 0x0017) return bad(name, "encrypted entries are not supported");
  }
  return {};
}

Result<void> check_kind(const ZipEntry& entry, std::uint32_t external_attributes) {
  const std::uint32_t mode = external_attributes >> 16;
  const std::uint32_t kind = mode & k_mode_kind;
  if ((mode & k_mode_special) != 0 && kind != 0) return bad(entry.name, "set-id bits are not allowed");
  if (kind != 0 && kind != (entry.is_folder ? k_mode_folder : k_mode_file)) {
    return bad(entry.name, "only files and folders are allowed, no links or devices");
  }
  return {};
}

Result<void> check_sizes(const ZipEntry& entry, const ZipLimits& limits) {
  if (entry.method != 0 && entry.method != 8) return bad(entry.name, "the compression method is not supported");
  if (entry.method == 0 && entry.stored_size != entry.size)
    return bad(entry.name, "the sizes of a stored entry differ");
  if (entry.is_folder && entry.size != 0) return bad(entry.name, "a folder has content");
  if (entry.stored_size > limits.content_bytes || entry.size > limits.entry_bytes) {
    return fail(Errc::limit_reached, "the entry is too large: " + entry.name);
  }
  if (entry.size >= limits.ratio_from && entry.size / limits.ratio > entry.stored_size) {
    return fail(Errc::limit_reached,
                "the entry would grow more than " + std::to_string(limits.ratio) + " times: " + entry.name);
  }
  return {};
}

Result<ZipEntry> read_entry(ByteReaderLittle& reader, const ZipLimits& limits) {
  const auto header = ZipDirectoryHeader::decode(reader);
  if (!header) return bad("the directory is damaged");
  ZipEntry entry{.name = std::string(as_text(header->name)),
                 .flags = header->flags,
                 .method = header->method,
                 .crc = header->crc,
                 .stored_size = header->stored_size,
                 .size = header->size,
                 .header_offset = header->offset};
  std::string_view name = entry.name;
  entry.is_folder = name.ends_with('/');
  if (entry.is_folder) name.remove_suffix(1);
  if (auto checked = check_resource_name(name); !checked) return bad(entry.name, checked.error().detail());
  if ((entry.flags & k_flag_encrypted) != 0) return bad(entry.name, "encrypted entries are not supported");
  if ((entry.flags & ~k_allowed_flags) != 0) return bad(entry.name, "an entry uses features that are not supported");
  if (header->disk != 0) return bad("archives of several disks are not supported");
  DIG_CHECK(check_extra(entry.name, header->extra));
  DIG_CHECK(apply_zip64_extra(header->extra, entry.size, entry.stored_size, &entry.header_offset));
  DIG_CHECK(check_kind(entry, header->external_attributes));
  DIG_CHECK(check_sizes(entry, limits));
  return entry;
}

// Entries must follow one another from the first byte to the directory. What lies between an entry's least and its
// greatest possible end (extra field, data descriptor) is compared exactly by check_local_entry.
Result<void> check_places(std::vector<ZipEntry>& entries, std::uint64_t directory_offset) {
  std::vector<ZipEntry*> order;
  for (ZipEntry& entry : entries) order.push_back(&entry);
  std::ranges::sort(order, {}, &ZipEntry::header_offset);
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    ZipEntry& entry = *order[i];
    if (i == 0 && entry.header_offset != 0) return bad("something stands before the first entry");
    entry.end = i + 1 < order.size() ? order[i + 1]->header_offset : directory_offset;
    const std::uint64_t least = ZipLocalHeader::bytes + entry.name.size() + entry.stored_size;
    if (entry.end < entry.header_offset || entry.end - entry.header_offset < least) {
      return bad(entry.name, "entries overlap");
    }
    if (entry.end - entry.header_offset - least > 0xffff + ZipDescriptor::max_bytes) {
      return bad(entry.name, "something stands between two entries");
    }
    next = entry.end;
  }
  if (next != directory_offset) return bad("something stands before the directory");
  return {};
}

// Sorted with '/' as the lowest character, an entry that lies in a file's path follows that file directly.
Result<void> check_collisions(const std::vector<ZipEntry>& entries) {
  struct Key {
    std::string text;
    const ZipEntry* entry;
  };
  constexpr char separator = '\x01';  // control characters are not allowed in names
  std::vector<Key> keys;
  for (const ZipEntry& entry : entries) {
    Key key{collision_key(entry.is_folder ? std::string_view(entry.name).substr(0, entry.name.size() - 1)
                                          : std::string_view(entry.name)),
            &entry};
    std::ranges::replace(key.text, '/', separator);
    keys.push_back(std::move(key));
  }
  std::ranges::sort(keys, {}, &Key::text);
  for (std::size_t i = 1; i < keys.size(); ++i) {
    const Key& previous = keys[i - 1];
    const std::string_view text = keys[i].text;
    if (text == previous.text)
      return bad(keys[i].entry->name, "two entries have the same name, or differ only in case");
    const bool below = text.starts_with(previous.text) && text[previous.text.size()] == separator;
    if (below && !previous.entry->is_folder) return bad(keys[i].entry->name, "a file is in the path of another entry");
  }
  return {};
}

bool is_crc_and_sizes(BytesView bytes, const ZipEntry& entry) {
  const auto descriptor = ZipDescriptor::decode(bytes);
  return descriptor && descriptor->crc == entry.crc && descriptor->stored_size == entry.stored_size &&
         descriptor->size == entry.size;
}

}  // namespace

const ZipEntry* ZipDirectory::find(std::string_view name) const {
  const auto it = std::ranges::find(entries, name, &ZipEntry::name);
  return it == entries.end() ? nullptr : &*it;
}

Result<std::uint64_t> zip_directory_offset(ArchiveSource& source, const ZipLimits& limits) {
  DIG_TRY(const DirectoryPlace place, find_directory(source, limits));
  return place.offset;
}

Result<ZipDirectory> read_zip_directory(ArchiveSource& source, const ZipLimits& limits) {
  DIG_TRY(const DirectoryPlace place, find_directory(source, limits));
  DIG_TRY(const Bytes bytes, read_exactly(source, place.offset, static_cast<std::size_t>(place.size)));
  ZipDirectory directory;
  directory.entries.reserve(static_cast<std::size_t>(place.entries));
  ByteReaderLittle reader(bytes);
  std::uint64_t content = 0;
  for (std::uint64_t i = 0; i < place.entries; ++i) {
    DIG_TRY(ZipEntry entry, read_entry(reader, limits));
    content += entry.size;  // at most 2^16 entries of 2^40 bytes: no overflow
    if (content > limits.content_bytes) return fail(Errc::limit_reached, "the archive's content is too large");
    directory.files += entry.is_folder ? 0 : 1;
    directory.entries.push_back(std::move(entry));
  }
  if (reader.remaining() != 0) return bad("the directory has more entries than it says");
  DIG_CHECK(check_places(directory.entries, place.offset));
  DIG_CHECK(check_collisions(directory.entries));
  return directory;
}

Result<std::uint64_t> check_local_entry(ArchiveSource& source, const ZipEntry& entry) {
  DIG_TRY(const Bytes fixed, read_exactly(source, entry.header_offset, ZipLocalHeader::bytes));
  const auto header = ZipLocalHeader::decode(fixed);
  if (!header) return bad(entry.name, "the entry has no local header");
  const std::size_t variable_size = std::size_t{header->name_size} + header->extra_size;
  const std::uint64_t data = entry.header_offset + ZipLocalHeader::bytes + variable_size;
  if (data > entry.end || entry.end - data < entry.stored_size) return bad(entry.name, "entries overlap");
  DIG_TRY(const Bytes variable, read_exactly(source, entry.header_offset + ZipLocalHeader::bytes, variable_size));
  const BytesView name = BytesView(variable).first(header->name_size);
  const BytesView extra = BytesView(variable).subspan(header->name_size);
  std::uint64_t size = header->size, stored_size = header->stored_size;
  DIG_CHECK(check_extra(entry.name, extra));
  DIG_CHECK(apply_zip64_extra(extra, size, stored_size, nullptr));

  const bool has_descriptor = (entry.flags & k_flag_descriptor) != 0;
  const bool deferred = has_descriptor && header->crc == 0 && size == 0 && stored_size == 0;
  const bool same = as_text(name) == entry.name && header->method == entry.method &&
                    (header->flags & k_compared_flags) == (entry.flags & k_compared_flags) &&
                    (header->flags & ~k_allowed_flags) == 0 &&
                    (deferred || (header->crc == entry.crc && size == entry.size && stored_size == entry.stored_size));
  if (!same) return bad(entry.name, "the local header and the directory disagree");

  const std::uint64_t rest = entry.end - data - entry.stored_size;
  if (!has_descriptor && rest != 0) return bad(entry.name, "something stands between two entries");
  if (has_descriptor) {
    if (rest > ZipDescriptor::max_bytes) return bad(entry.name, "something stands between two entries");
    DIG_TRY(const Bytes bytes, read_exactly(source, data + entry.stored_size, static_cast<std::size_t>(rest)));
    if (!is_crc_and_sizes(bytes, entry)) return bad(entry.name, "the data descriptor and the directory disagree");
  }
  return data;
}

}  // namespace dig::store
