// SPDX-License-Identifier: Apache-2.0
// Stores through the public API, between real nodes on the loopback interface.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "node_fixture.hpp"

namespace dignet::testing {
namespace {

class FetchTest : public ApiTest {
 protected:
  // A store of one file of random bytes, held by a node of its own.
  StoreInfo hold(std::size_t size) {
    holder = start("holder");
    write_file(folder / "source/data.bin", random_text(size, 1));
    const auto added = add(holder, folder / "source");
    if (!added) throw std::runtime_error(added.error().message());
    return *added;
  }

  Node* holder = nullptr;
};

TEST_F(FetchTest, a_store_is_added_fetched_listed_and_removed) {
  const StoreInfo store = hold(700'000);
  EXPECT_TRUE(store.is_signed);
  Node* const getter = start("getter", false);
  const auto report = fetch(getter, {.urn = store.urn, .peers = holder->addresses(), .output = folder / "out.dig"});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->urn, store.urn);
  EXPECT_EQ(report->root_hash, store.root_hash);
  EXPECT_EQ(report->bytes, store.bytes);
  EXPECT_EQ(report->fetched_bytes, store.bytes);
  EXPECT_EQ(report->reused_bytes, 0U);
  EXPECT_EQ(report->tier, 1);
  EXPECT_EQ(report->method, "tcp");
  EXPECT_EQ(report->peer_id, holder->identity().peer_id);
  EXPECT_EQ(fs::file_size(folder / "out.dig"), store.bytes);
  EXPECT_TRUE(std::ranges::any_of(report->attempts, [](const Attempt& a) { return a.outcome == Outcome::won; }));

  const auto here = list(getter);
  ASSERT_TRUE(here);
  ASSERT_EQ(here->size(), 1U);
  EXPECT_EQ(here->front().urn, store.urn);
  const auto again = fetch(getter, {.urn = store.urn});
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->sha256, report->sha256);
  EXPECT_EQ(again->reused_bytes, store.bytes);

  EXPECT_TRUE(wait<void>([&](auto done) { getter->remove_store(store.urn, std::move(done)); }));
  EXPECT_TRUE(list(getter)->empty());
  EXPECT_EQ(code_of(fetch(getter, {.urn = store.urn})), Errc::no_holder);
}

TEST_F(FetchTest, a_fetch_goes_on_where_a_destroyed_node_left_it) {
  const StoreInfo store = hold(48 << 20);
  Node* const first = start("getter", false);
  std::uint64_t on_disk = 0;
  int completions = 0;
  std::optional<Errc> ended;
  first->fetch(
      {.urn = store.urn, .peers = holder->addresses(), .timeout = 1h},
      [&](const OperationEvent& event) {
        if (const auto* progress = std::get_if<ProgressEvent>(&event)) on_disk = progress->bytes;
      },
      [&](Result<FetchReport> result) {
        ++completions;
        if (!result) ended = result.error().code();
      });
  ASSERT_TRUE(run_until([&] { return on_disk > 0; }));
  stop(first);
  EXPECT_EQ(completions, 1);
  EXPECT_EQ(ended, Errc::cancelled);

  Node* const second = start("getter", false);
  const auto report = fetch(second, {.urn = store.urn, .peers = holder->addresses()});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GT(report->reused_bytes, 0U);
  EXPECT_LT(report->reused_bytes, store.bytes);
  EXPECT_EQ(report->reused_bytes + report->fetched_bytes, store.bytes);
}

TEST_F(FetchTest, a_cancelled_fetch_can_be_started_again_on_the_same_node) {
  const StoreInfo store = hold(24 << 20);
  Node* const getter = start("getter", false);
  for (int round = 0; round < 6; ++round) {
    bool has_begun = round < 3;  // the first rounds are cancelled at once, the others in the middle
    int completions = 0;
    std::optional<Result<FetchReport>> result;
    const OperationId operation = getter->fetch(
        {.urn = store.urn, .peers = holder->addresses()},
        [&](const OperationEvent& event) { has_begun = has_begun || std::holds_alternative<ProgressEvent>(event); },
        [&](Result<FetchReport> ended) {
          ++completions;
          result.emplace(std::move(ended));
        });
    ASSERT_TRUE(run_until([&] { return has_begun || result; }));
    getter->cancel(operation);
    ASSERT_TRUE(run_until([&] { return result.has_value(); }));
    getter->cancel(operation);  // too late: nothing happens
    ASSERT_TRUE(list(getter));
    EXPECT_EQ(completions, 1);
    ASSERT_FALSE(*result) << "it was faster than its cancellation, round " << round;
    EXPECT_EQ(result->error().code(), Errc::cancelled);
  }
  const auto report = fetch(getter, {.urn = store.urn, .peers = holder->addresses()});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->reused_bytes + report->fetched_bytes, store.bytes);
}

TEST_F(FetchTest, a_cancelled_add_leaves_nothing_and_a_cancelled_verify_does_not_begin) {
  Node* const node = start("node", false);
  write_file(folder / "source/data.bin", random_text(4 << 20, 1));
  // As another process that changes the home: no store can be added before this ends.
  const int stores = ::open((folder / "node/stores").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(::flock(stores, LOCK_EX), 0);
  bool has_begun = false;
  std::vector<Errc> ended;
  const auto note = [&](const auto& result) { ended.push_back(code_of(result)); };
  const OperationId adding =
      node->add_store(folder / "source", {}, [&](const OperationEvent&) { has_begun = true; }, note);
  const OperationId verifying = node->verify_stores(std::nullopt, note);  // long jobs run one after another
  EXPECT_TRUE(run_until([&] { return has_begun; }));
  node->cancel(verifying);
  node->cancel(adding);
  ::close(stores);
  ASSERT_TRUE(run_until([&] { return ended.size() == 2; }));
  EXPECT_EQ(ended, (std::vector{Errc::cancelled, Errc::cancelled}));
  node->cancel(adding);  // too late: nothing happens
  EXPECT_TRUE(list(node)->empty());
  EXPECT_TRUE(fs::is_empty(folder / "node/stores"));
  EXPECT_TRUE(fs::is_empty(folder / "node/tmp"));
  EXPECT_TRUE(add(node, folder / "source"));
}

TEST_F(FetchTest, one_resource_is_fetched_without_the_rest) {
  holder = start("holder");
  const std::string text = random_text(40'000, 2);
  write_file(folder / "site/docs/page.html", text);
  write_file(folder / "site/video.bin", random_text(8 << 20, 3));
  const auto store = add(holder, folder / "site");
  ASSERT_TRUE(store);
  Node* const getter = start("getter", false);
  const fs::path out = folder / "out";
  fs::create_directory(out);
  const auto page =
      fetch(getter, {.urn = store->urn + "/docs/page.html", .peers = holder->addresses(), .output = out / "page.html"});
  ASSERT_TRUE(page) << page.error().message();
  EXPECT_EQ(page->bytes, text.size());
  EXPECT_LT(page->fetched_bytes, store->bytes / 4);
  EXPECT_EQ(read_file(out / "page.html"), text);
  EXPECT_EQ(fs::status(out / "page.html").permissions(), fs::status(folder / "site/docs/page.html").permissions());

  const FetchRequest missing{
      .urn = store->urn + "/docs/none.html", .peers = holder->addresses(), .output = out / "none"};
  EXPECT_EQ(code_of(fetch(getter, missing)), Errc::resource_not_found);
  EXPECT_EQ(code_of(fetch(getter, missing)), Errc::resource_not_found);
  EXPECT_EQ(std::distance(fs::directory_iterator(out), {}), 1) << "only the page is left behind";
  const auto rest = fetch(getter, {.urn = store->urn, .peers = holder->addresses()});
  ASSERT_TRUE(rest) << rest.error().message();
  EXPECT_GT(rest->reused_bytes, 0U);
}

TEST_F(FetchTest, content_that_nothing_proves_is_refused_unless_accepted) {
  holder = start("holder");
  write_file(folder / "source/a.txt", "somebody else's");
  const std::string id(64, 'a');
  const auto store = add(holder, folder / "source", {.store_id = id});
  ASSERT_TRUE(store) << store.error().message();
  EXPECT_FALSE(store->is_signed);
  Node* const getter = start("getter", false);
  FetchRequest request{.urn = "urn:dig:chia:" + id, .peers = holder->addresses()};
  EXPECT_EQ(code_of(fetch(getter, request)), Errc::unpinned);
  EXPECT_TRUE(list(getter)->empty());
  request.accept_unpinned = true;
  const auto report = fetch(getter, request);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->root_hash, store->root_hash);
}

TEST_F(FetchTest, the_newest_version_that_the_owner_signed_is_found_without_a_root) {
  const StoreInfo first = hold(1000);
  Node* const getter = start("getter", false);
  const std::string urn = "urn:dig:chia:" + first.store_id;
  const auto old = fetch(getter, {.urn = urn, .peers = holder->addresses()});
  ASSERT_TRUE(old) << old.error().message();
  EXPECT_EQ(old->root_hash, first.root_hash);

  write_file(folder / "source/news.txt", "the second version");
  const auto second = add(holder, folder / "source", {.store_id = first.store_id});
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(second->sequence, 2U);
  const auto report = fetch(getter, {.urn = urn, .peers = holder->addresses()});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->root_hash, second->root_hash);
  EXPECT_EQ(report->urn, second->urn);
}

TEST_F(FetchTest, a_standing_connection_is_used) {
  const StoreInfo store = hold(300'000);
  Node* const getter = start("getter", false);
  ASSERT_TRUE(connect(getter, {.addresses = holder->addresses()}));
  const auto report = fetch(getter, {.urn = store.urn, .peers = holder->addresses()});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->fetched_bytes, store.bytes);
  EXPECT_EQ(report->peer_id, holder->identity().peer_id);
}

TEST_F(FetchTest, holders_that_cannot_be_reached_do_not_hurt_one_that_can) {
  const StoreInfo store = hold(300'000);
  Node* const getter = start("getter", false);
  const DeafPort refusing(false);
  const std::string other = start("other")->identity().peer_id;
  const std::string third = start("third")->identity().peer_id;
  // The first fails before it is dialled, the second at once; with a standing connection the good one never dials.
  std::vector<std::string> peers{"/ip4/127.0.0.1/udp/1/quic-v1/p2p/" + other, refusing.address(third)};
  std::ranges::copy(holder->addresses(), std::back_inserter(peers));
  const auto report = fetch(getter, {.urn = store.urn, .peers = peers});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->peer_id, holder->identity().peer_id);

  ASSERT_TRUE(wait<void>([&](auto done) { getter->remove_store(store.urn, std::move(done)); }));
  std::ranges::reverse(peers);
  const auto again = fetch(getter, {.urn = store.urn, .peers = peers});
  ASSERT_TRUE(again) << again.error().message();
}

TEST_F(FetchTest, a_holder_that_lacks_the_store_and_one_that_refuses_end_the_fetch) {
  const StoreInfo store = hold(1000);
  Node* const getter = start("getter", false);
  const std::string absent = "urn:dig:chia:" + std::string(64, 'b') + ":" + std::string(64, 'c');
  const auto result = fetch(getter, {.urn = absent, .peers = holder->addresses()});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().info().kind, ErrorKind::not_found) << result.error().message();

  Node* const other = start("other", false);
  const DeafPort refusing(false);
  const FetchRequest request{.urn = store.urn, .peers = {refusing.address(holder->identity().peer_id)}};
  EXPECT_EQ(code_of(fetch(other, request)), Errc::all_tiers_failed);
}

TEST_F(FetchTest, another_peer_than_the_one_asked_for_is_not_fetched_from) {
  const StoreInfo store = hold(1000);
  Node* const getter = start("getter", false);
  const std::string stranger = start("stranger")->identity().peer_id;
  std::string address = holder->addresses().front();
  address.replace(address.rfind('/') + 1, std::string::npos, stranger);
  EXPECT_EQ(code_of(fetch(getter, {.urn = store.urn, .peers = {address}})), Errc::peer_id_mismatch);
}

TEST_F(FetchTest, the_time_given_for_a_fetch_runs_out) {
  const StoreInfo store = hold(1000);
  Node* const getter = start("getter", false);
  const DeafPort silent(true);
  const auto begin = std::chrono::steady_clock::now();
  const FetchRequest request{.urn = store.urn, .peers = {silent.address(holder->identity().peer_id)}, .timeout = 300ms};
  EXPECT_EQ(code_of(fetch(getter, request)), Errc::timed_out);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 300ms);
}

TEST_F(FetchTest, the_longest_time_that_can_be_given_is_no_trouble) {
  const StoreInfo store = hold(1000);
  Node* const getter = start("getter", false);
  EXPECT_TRUE(
      fetch(getter, {.urn = store.urn, .peers = holder->addresses(), .timeout = std::chrono::milliseconds::max()}));
}

TEST_F(FetchTest, what_cannot_be_parsed_is_refused_by_its_completion) {
  Node* const getter = start("getter", false);
  EXPECT_EQ(code_of(fetch(getter, {.urn = "urn:dig:chia:xyz"})), Errc::bad_urn);
  const std::string urn = "urn:dig:chia:" + std::string(64, 'a');
  EXPECT_EQ(code_of(fetch(getter, {.urn = urn, .peers = {"/ip4/127.0.0.1/tcp/1"}})), Errc::bad_peer_id);
  EXPECT_EQ(code_of(fetch(getter, {.urn = urn, .peers = {"here"}})), Errc::bad_multiaddr);
}

}  // namespace
}  // namespace dignet::testing
