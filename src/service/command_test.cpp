// SPDX-License-Identifier: Apache-2.0
#include "service/command.hpp"

#include <gtest/gtest.h>

#include "service/json_text.hpp"

namespace dig::service {
namespace {

using namespace std::chrono_literals;

Result<Command> read(std::string_view method, std::string_view params = "{}") {
  return read_command(method, parse_line(params).value());
}

template <class Wanted>
Wanted read_as(std::string_view method, std::string_view params = "{}") {
  const auto command = read(method, params);
  if (!command) throw std::runtime_error(command.error().message());
  return std::get<Wanted>(*command);
}

Error error_of(std::string_view method, std::string_view params = "{}") {
  const auto command = read(method, params);
  return command ? Error(Errc::internal, "it was read") : command.error();
}

std::string texts(std::size_t count) {
  std::string list = "[";
  for (std::size_t i = 0; i < count; ++i) list += i == 0 ? "\"a\"" : ",\"a\"";
  return list + "]";
}

TEST(Command, EveryMethodIsRead) {
  read_as<IdCommand>("id");
  read_as<ListCommand>("ls");
  read_as<PortsCommand>("ports");
  read_as<StatusCommand>("status");
  read_as<PeersCommand>("peers");
  EXPECT_EQ(read_as<AddCommand>("add", R"({"path":"/a"})").path, "/a");
  EXPECT_EQ(read_as<AddCommand>("add", R"({"path":"/a","store_id":"ab"})").options.store_id, "ab");
  EXPECT_EQ(read_as<RemoveCommand>("rm", R"({"urn":"u"})").urn, "u");
  EXPECT_EQ(read_as<VerifyCommand>("verify").urn, std::nullopt);
  EXPECT_EQ(read_as<VerifyCommand>("verify", R"({"urn":"u"})").urn, "u");
  const auto get = read_as<GetCommand>("get", R"({"urn":"u","peers":["p"],"output":"o","accept_unpinned":true,
                                                  "sha256":true,"timeout_ms":5})")
                       .request;
  EXPECT_EQ(get.urn, "u");
  EXPECT_EQ(get.peers, std::vector<std::string>{"p"});
  EXPECT_EQ(get.output, "o");
  EXPECT_TRUE(get.accept_unpinned && get.want_sha256);
  EXPECT_EQ(get.timeout, 5ms);
  const auto connect = read_as<ConnectCommand>("connect", R"({"addresses":["a"],"count":3,"timeout_ms":7})");
  EXPECT_EQ(connect.request.addresses, std::vector<std::string>{"a"});
  EXPECT_EQ(connect.pings, 3U);
  EXPECT_EQ(connect.request.timeout, 7ms);
}

TEST(Command, WhatIsNotGivenHasItsDefault) {
  const auto get = read_as<GetCommand>("get", R"({"urn":"u"})").request;
  EXPECT_TRUE(get.peers.empty() && get.output.empty());
  EXPECT_FALSE(get.accept_unpinned || get.want_sha256);
  EXPECT_EQ(get.timeout, 0ms) << "none";
  const auto connect = read_as<ConnectCommand>("connect");
  EXPECT_EQ(connect.pings, 1U);
  EXPECT_EQ(connect.request.timeout, 30s);
  EXPECT_EQ(read_as<ConnectCommand>("connect", R"({"timeout_ms":0})").request.timeout, 1'000'000s) << "the longest";
}

TEST(Command, AnUnknownMethodIsUnsupported) {
  for (const char* method : {"", "cancel", "ID", "id ", "getx"}) {
    EXPECT_EQ(error_of(method).code(), Errc::unsupported) << method;
  }
}

TEST(Command, AWrongParameterIsNamed) {
  const std::vector<std::tuple<const char*, std::string, const char*>> wrong = {
      {"add", "{}", "path"},
      {"add", R"({"path":""})", "path"},
      {"add", R"({"path":1})", "path"},
      {"add", R"({"path":"a","store_id":null})", "store_id"},
      {"rm", "{}", "urn"},
      {"verify", R"({"urn":[]})", "urn"},
      {"get", "{}", "urn"},
      {"get", R"({"urn":"u","peers":"p"})", "peers"},
      {"get", R"({"urn":"u","peers":[1]})", "peers"},
      {"get", R"({"urn":"u","peers":)" + texts(65) + "}", "peers"},
      {"get", R"({"urn":"u","output":{}})", "output"},
      {"get", R"({"urn":"u","accept_unpinned":1})", "accept_unpinned"},
      {"get", R"({"urn":"u","sha256":"yes"})", "sha256"},
      {"get", R"({"urn":"u","timeout_ms":-1})", "timeout_ms"},
      {"get", R"({"urn":"u","timeout_ms":1.5})", "timeout_ms"},
      {"get", R"({"urn":"u","timeout_ms":1000000001})", "timeout_ms"},
      {"connect", R"({"addresses":)" + texts(65) + "}", "addresses"},
      {"connect", R"({"count":1000001})", "count"},
      {"connect", R"({"timeout_ms":1000000001})", "timeout_ms"},
  };
  for (const auto& [method, params, name] : wrong) {
    const Error error = error_of(method, params);
    EXPECT_EQ(error.code(), Errc::invalid_argument) << method << params;
    EXPECT_TRUE(error.detail().starts_with(name)) << error.detail();
  }
}

TEST(Command, WhatIsAtABoundIsRead) {
  EXPECT_EQ(read_as<GetCommand>("get", R"({"urn":"u","peers":)" + texts(64) + "}").request.peers.size(), 64U);
  EXPECT_EQ(read_as<GetCommand>("get", R"({"urn":"u","timeout_ms":1000000000})").request.timeout, 1'000'000s);
  EXPECT_EQ(read_as<ConnectCommand>("connect", R"({"count":1000000})").pings, 1'000'000U);
  EXPECT_EQ(read_as<ConnectCommand>("connect", R"({"count":0})").pings, 0U);
}

}  // namespace
}  // namespace dig::service
