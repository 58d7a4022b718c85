// SPDX-License-Identifier: Apache-2.0
// Fetches a store from a peer: fetch_store URN ADDRESS FILE
#include <cstdio>

#include "dignet/blocking.hpp"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  auto node = dignet::Node::create({.home = "my-node", .listen = false});
  if (!node) {
    std::fprintf(stderr, "%s\n", node.error().message().c_str());
    return 1;
  }
  auto report = dignet::blocking::fetch(**node, {.urn = argv[1], .peers = {argv[2]}, .output = argv[3]});
  if (!report) {
    std::fprintf(stderr, "%s\n", report.error().message().c_str());
    return static_cast<int>(report.error().info().kind);
  }
  std::printf("%s: %llu bytes over %s\n", argv[3], static_cast<unsigned long long>(report->bytes),
              report->path.c_str());
}
