// SPDX-License-Identifier: Apache-2.0
// A blocking form over Node for small programs and scripts: start an operation, run the node until it completes.
//
// Thread-safety: as Node; the calling thread is the one that runs process().
#pragma once

#include <poll.h>

#include <optional>

#include "dignet/node.hpp"

namespace dignet::blocking {

// Calls start(completion) and processes the node's events until the completion was called; returns its result.
//   auto added = dignet::blocking::wait<dignet::StoreInfo>(node, [&](auto done) {
//     node.add_store("folder", {}, std::move(done));
//   });
template <class T, class Start>
[[nodiscard]] Result<T> wait(Node& node, Start&& start) {
  std::optional<Result<T>> result;
  start(Completion<T>([&result](Result<T> value) { result.emplace(std::move(value)); }));
  while (!result) {
    if (node.process() > 0) continue;
    pollfd handle{node.event_handle(), POLLIN, 0};
    (void)::poll(&handle, 1, -1);
  }
  return std::move(*result);
}

[[nodiscard]] inline Result<StoreInfo> add_store(Node& node, const std::filesystem::path& path, AddOptions options = {},
                                                 Observer observer = nullptr) {
  return wait<StoreInfo>(
      node, [&](auto done) { node.add_store(path, std::move(options), std::move(observer), std::move(done)); });
}
[[nodiscard]] inline Result<std::vector<StoreInfo>> list_stores(Node& node) {
  return wait<std::vector<StoreInfo>>(node, [&](auto done) { node.list_stores(std::move(done)); });
}
[[nodiscard]] inline Result<void> remove_store(Node& node, const std::string& urn) {
  return wait<void>(node, [&](auto done) { node.remove_store(urn, std::move(done)); });
}
[[nodiscard]] inline Result<VerifyReport> verify_stores(Node& node, std::optional<std::string> urn = std::nullopt) {
  return wait<VerifyReport>(node, [&](auto done) { node.verify_stores(std::move(urn), std::move(done)); });
}
[[nodiscard]] inline Result<FetchReport> fetch(Node& node, FetchRequest request, Observer observer = nullptr) {
  return wait<FetchReport>(node,
                           [&](auto done) { node.fetch(std::move(request), std::move(observer), std::move(done)); });
}
[[nodiscard]] inline Result<ConnectReport> connect(Node& node, ConnectRequest request, Observer observer = nullptr) {
  return wait<ConnectReport>(
      node, [&](auto done) { node.connect(std::move(request), std::move(observer), std::move(done)); });
}
[[nodiscard]] inline Result<Stream> open_stream(Node& node, std::uint64_t connection, std::string protocol) {
  return wait<Stream>(node, [&](auto done) { node.open_stream(connection, std::move(protocol), std::move(done)); });
}
[[nodiscard]] inline Result<PingReport> ping(Node& node, std::uint64_t connection) {
  return wait<PingReport>(node, [&](auto done) { node.ping(connection, std::move(done)); });
}
[[nodiscard]] inline Result<ReadData> read(Node& node, Stream& stream, std::size_t max_bytes) {
  return wait<ReadData>(node, [&](auto done) { stream.read(max_bytes, std::move(done)); });
}
[[nodiscard]] inline Result<void> write(Node& node, Stream& stream, std::vector<std::byte> bytes) {
  return wait<void>(node, [&](auto done) { stream.write(std::move(bytes), std::move(done)); });
}

}  // namespace dignet::blocking
