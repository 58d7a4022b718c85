// SPDX-License-Identifier: Apache-2.0
// The contract of stream machines on both sides of the directory protocol.
#include "base/testing/stream_machine_contract.hpp"

#include "proto/directory/client.hpp"
#include "proto/directory/server_stream.hpp"
#include "proto/directory/testing/signed_nodes.hpp"

namespace dig::testing {
namespace {

using namespace dig::directory;
using dig::directory::testing::k_wall;
using dig::directory::testing::k_wall_ms;
using dig::directory::testing::store_of;
using dig::directory::testing::TestNode;

const TestNode& alice() {
  static const TestNode node(1);
  return node;
}

void append_request(Bytes& out, const DirectoryRequest& request) {
  append_frame(out, encode_directory_request(request));
}
void append_response(Bytes& out, const DirectoryResponse& response) {
  append_frame(out, encode_directory_response(response));
}

class ClientOwner {
 public:
  void handle(DirectoryClient&, Instant, const ClientEvent& event) {
    EXPECT_FALSE(has_failed_) << "ClientFailed is the last event";
    if (const auto* done = std::get_if<RegistrationDone>(&event)) tell("registered", done->request);
    if (const auto* found = std::get_if<RecordsFound>(&event)) {
      tell("found", found->request);
      for (const VerifiedRecord& record : found->records) story_ += record.record.peer.to_string() + "\n";
    }
    if (const auto* refused = std::get_if<RequestRefused>(&event)) tell(refused->error.message(), refused->request);
    if (const auto* failed = std::get_if<ClientFailed>(&event)) {
      has_failed_ = true;
      story_ += failed->error.message();
    }
  }
  [[nodiscard]] std::string story() const { return story_; }

 private:
  void tell(const std::string& what, DirectoryRequestId request) {
    story_ += what + " " + std::to_string(request.value) + "\n";
  }

  std::string story_;
  bool has_failed_ = false;
};

struct ClientTraits {
  using Subject = DirectoryClient;
  using Owner = ClientOwner;
  static std::unique_ptr<DirectoryClient> make(Instant now) {
    auto client = std::make_unique<DirectoryClient>(now);
    EXPECT_TRUE(client->register_envelopes(now, {alice().signed_record(k_wall_ms)}));
    EXPECT_TRUE(client->find_holders(now, store_of(1), std::nullopt, 5));
    EXPECT_TRUE(client->find_peer(now, alice().peer()));
    return client;
  }
  static std::vector<Bytes> inputs() {
    Bytes good;
    append_response(good, {DirectoryStatus::ok, Registered{std::chrono::seconds(60), false}});
    const FoundRecord holder{alice().signed_record(k_wall_ms), alice().signed_page(k_wall_ms, 0, {store_of(1)})};
    append_response(good, {DirectoryStatus::ok, FoundRecords{{holder}, std::nullopt}});
    append_response(good, {DirectoryStatus::ok, FoundRecords{{{holder.record, {}}}, std::nullopt}});
    Bytes refusals;
    append_response(refusals, {DirectoryStatus::full, {}});
    append_response(refusals, {DirectoryStatus::busy, {}});
    return {good, refusals};
  }
  static Bytes flood() { return {}; }
};

// A directory of one stream, with a disk that works at once. `Stream` is the machine of the contract.
struct ServedStream {
  SeededRng rng{1};
  DirectoryServer server;
  DirectoryServerStream stream;

  using Event = DirectoryServerStream::Event;
  explicit ServedStream(Instant now) : server(now, k_wall, rng), stream(now, server, 1, {alice().peer(), 1}) {}

  void handle_bytes(Instant now, BytesView bytes) { stream.handle_bytes(now, bytes); }
  void handle_eof(Instant now) { stream.handle_eof(now); }
  void handle_timeout(Instant now) { stream.handle_timeout(now); }
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out) {
    acknowledge(now);
    return stream.poll_bytes(now, out);
  }
  [[nodiscard]] std::optional<Event> poll_event() { return stream.poll_event(); }
  [[nodiscard]] bool wants_bytes() const { return stream.wants_bytes(); }
  [[nodiscard]] std::optional<Instant> next_timeout() const { return stream.next_timeout(); }

 private:
  void acknowledge(Instant now) {
    while (auto event = server.poll_event()) {
      if (const auto* persist = std::get_if<Persist>(&*event)) {
        server.handle_persisted(now, persist->token, PersistOutcome{});
      } else if (const auto* done = std::get_if<Acknowledged>(&*event)) {
        stream.handle_acknowledged(now, *done);
      }
    }
  }
};

class ServerOwner {
 public:
  void handle(ServedStream&, Instant, const ServerStreamFinished& event) {
    EXPECT_TRUE(story_.empty()) << "ServerStreamFinished is the last event";
    story_ = event.error ? event.error->message() : "finished";
  }
  [[nodiscard]] std::string story() const { return story_; }

 private:
  std::string story_;
};

struct ServerTraits {
  using Subject = ServedStream;
  using Owner = ServerOwner;
  static std::unique_ptr<ServedStream> make(Instant now) { return std::make_unique<ServedStream>(now); }
  static std::vector<Bytes> inputs() {
    Bytes questions;
    append_request(questions, RegisterRequest{{alice().signed_record(k_wall_ms),
                                               alice().signed_page(k_wall_ms, 0, {store_of(1), store_of(2)})}});
    append_request(questions, FindHoldersRequest{store_of(1), std::nullopt, 5});
    append_request(questions, FindRolesRequest{{1}, DirectoryCursor{5, 6}, 5});
    append_request(questions, FindPeerRequest{alice().peer()});
    append_request(questions, RemoveRequest{alice().removal(k_wall_ms + 1)});
    return {questions, look_ups(1)};
  }
  static Bytes flood() { return registrations(20); }

 private:
  static Bytes look_ups(int count) {
    Bytes out;
    for (int i = 0; i < count; ++i) append_request(out, FindPeerRequest{alice().peer()});
    return out;
  }
  static Bytes registrations(std::uint64_t count) {
    Bytes out;
    for (std::uint64_t i = 0; i < count; ++i) {
      append_request(out, RegisterRequest{{alice().signed_record(k_wall_ms + i)}});
    }
    return out;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(DirectoryClient, StreamMachineContract, ClientTraits);
INSTANTIATE_TYPED_TEST_SUITE_P(DirectoryServerStream, StreamMachineContract, ServerTraits);

}  // namespace
}  // namespace dig::testing
