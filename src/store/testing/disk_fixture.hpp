// SPDX-License-Identifier: Apache-2.0
// Test-only: a folder of its own for each test, files with seeded content, and stores cut into chunks as a holder has
// them.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "store/manifest_check.hpp"
#include "store/merkle.hpp"

namespace dig::store::testing {

namespace fs = std::filesystem;

class DiskTest : public ::testing::Test {
 protected:
  DiskTest() {
    std::string name = (fs::temp_directory_path() / "dignet-test-XXXXXX").native();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
  }
  ~DiskTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  [[nodiscard]] const fs::path& folder() const { return folder_; }
  static void write(const fs::path& path, BytesView content) {
    fs::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
    ASSERT_TRUE(out.good()) << path;
  }
  static void write(const fs::path& path, std::string_view content) { write(path, as_bytes(content)); }
  static Bytes read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    return to_bytes(text);
  }
  static void flip_byte(const fs::path& path, std::uint64_t offset) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(offset));
    const int value = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(value ^ 0x20));
    ASSERT_TRUE(file.good());
  }
  static Bytes random_bytes(std::size_t size, std::uint64_t seed) {
    SeededRng rng(seed);
    Bytes out(size);
    rng.fill(out);
    return out;
  }
  // The names below a folder, relative and sorted.
  static std::vector<std::string> tree_of(const fs::path& root) {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      names.push_back(entry.path().lexically_relative(root).native());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  fs::path folder_;
};

// Content as a holder serves it.
struct HeldStore {
  Bytes content;
  MerkleTree tree;
  StoreId store_id;
  SignedManifest manifest;

  HeldStore(Bytes bytes, const StoreId& id)
      : content(std::move(bytes)),
        tree(content.size(), leaves_of(content)),
        store_id(id),
        manifest(make_unsigned_manifest(id, tree.root(), content.size())) {}

  [[nodiscard]] RootHash root() const { return tree.root(); }
  [[nodiscard]] BytesView chunk(std::uint64_t index) const {
    return BytesView(content).subspan(chunk_offset(index), chunk_size_at(content.size(), index));
  }
  [[nodiscard]] std::uint64_t chunks() const { return chunk_count(content.size()); }

  static std::vector<Hash256> leaves_of(BytesView bytes) {
    std::vector<Hash256> leaves;
    for (std::uint64_t i = 0; i < chunk_count(bytes.size()); ++i) {
      leaves.push_back(leaf_hash(bytes.subspan(chunk_offset(i), chunk_size_at(bytes.size(), i))));
    }
    return leaves;
  }
};

}  // namespace dig::store::testing
