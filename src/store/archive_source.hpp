// SPDX-License-Identifier: Apache-2.0
// The bytes of an archive, some of which may not be here.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig::store {

class ArchiveSource {
 public:
  virtual ~ArchiveSource() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  // Fills `out` from `offset` on, up to the end of the archive; 0 at and past the end. Errc::not_here when a chunk of
  // it is missing.
  [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) = 0;
};

// An archive in memory.
class MemorySource final : public ArchiveSource {
 public:
  explicit MemorySource(BytesView bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override {
    if (offset >= bytes_.size()) return 0;
    const BytesView rest = bytes_.subspan(static_cast<std::size_t>(offset));
    const std::size_t size = rest.size() < out.size() ? rest.size() : out.size();
    if (size != 0) std::memcpy(out.data(), rest.data(), size);
    return size;
  }

 private:
  BytesView bytes_;
};

}  // namespace dig::store
