// SPDX-License-Identifier: Apache-2.0
// A program outside the project that uses the installed package: it includes every public header, makes a node in the
// folder it is given, and adds itself to the node's stores. usage: consumer FOLDER
#include <cstdio>
#include <filesystem>

#include "dignet/blocking.hpp"
#include "dignet/connection.hpp"
#include "dignet/error.hpp"
#include "dignet/events.hpp"
#include "dignet/node.hpp"
#include "dignet/ports.hpp"
#include "dignet/store.hpp"

namespace {

int report(const dignet::Error& error) {
  std::fprintf(stderr, "%s\n", error.message().c_str());
  return static_cast<int>(error.info().kind);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  auto node = dignet::Node::create({.home = folder / "home", .listen = false});
  if (!node) return report(node.error());
  std::printf("%s\n", (*node)->identity().peer_id.c_str());

  const auto added = dignet::blocking::add_store(**node, argv[0]);
  if (!added) return report(added.error());
  const auto stores = dignet::blocking::list_stores(**node);
  if (!stores) return report(stores.error());
  std::printf("%s\n", added->urn.c_str());
  return stores->size() == 1 && stores->front().urn == added->urn ? 0 : 1;
}
