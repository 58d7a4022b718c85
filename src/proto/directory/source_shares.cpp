// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/source_shares.hpp"

namespace dig::directory {

Usage SourceShares::of(SourcePrefix source) const {
  const auto found = usages_.find(source);
  return found == usages_.end() ? Usage() : found->second;
}

void SourceShares::add(SourcePrefix source, std::uint64_t bytes) {
  const Usage before = of(source);
  set(source, before, {before.records + 1, before.bytes + bytes});
}

void SourceShares::remove(SourcePrefix source, std::uint64_t bytes) {
  const Usage before = of(source);
  set(source, before, {before.records - 1, before.bytes - bytes});
}

void SourceShares::set(SourcePrefix source, const Usage& before, const Usage& after) {
  if (before.records > 0) {
    by_records_.erase({before.records, source});
    by_bytes_.erase({before.bytes, source});
  }
  if (after.records > 0) {
    by_records_.insert({after.records, source});
    by_bytes_.insert({after.bytes, source});
    usages_.insert_or_assign(source, after);
  } else {
    usages_.erase(source);
  }
  total_.records += after.records - before.records;
  total_.bytes += after.bytes - before.bytes;
}

}  // namespace dig::directory
