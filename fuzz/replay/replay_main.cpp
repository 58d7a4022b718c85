// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over its committed corpus, so that every test run covers what fuzzing has found.
// usage: NAME_replay CORPUS_FOLDER; a folder that is missing or has no file is a failure.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::filesystem::path> regular_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The input stands in a block of exactly its size: the address sanitizer then sees a read past its end.
bool run_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return false;
  const std::vector<char> content{std::istreambuf_iterator<char>(stream), {}};
  const auto input = std::make_unique<std::uint8_t[]>(content.size());
  std::transform(content.begin(), content.end(), input.get(), [](char c) { return static_cast<std::uint8_t>(c); });
  LLVMFuzzerTestOneInput(input.get(), content.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  const auto files = regular_files(argv[1]);
  if (files.empty()) {
    std::fprintf(stderr, "no corpus in %s\n", argv[1]);
    return 1;
  }
  const std::uint8_t nothing = 0;
  LLVMFuzzerTestOneInput(&nothing, 0);
  for (const auto& path : files) {
    std::fprintf(stderr, "%s\n", path.filename().c_str());  // the last name printed is the one that crashed
    if (!run_file(path)) {
      std::fprintf(stderr, "cannot read %s\n", path.c_str());
      return 1;
    }
  }
  std::fprintf(stderr, "%zu inputs ran\n", files.size() + 1);
  return 0;
}
