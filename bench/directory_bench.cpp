// SPDX-License-Identifier: Apache-2.0
// The directory with 100,000 live records, five announced stores each: verified upserts a second on one core, look-ups
// (single, and their 99th percentile), and the memory of a record. A batch is written by nobody, so that the disk is
// left out; DirectoryWrite measures that with one transaction for each 100 records.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/accept_limiter.hpp"
#include "proto/directory/server.hpp"
#include "store/disk/directory_database.hpp"
#include "wire/identity.hpp"
#include "wire/signed_statement.hpp"
#include "wire/store_announcement.hpp"

namespace dig::directory {
namespace {

constexpr std::size_t k_records = 100'000;
constexpr std::size_t k_stores = 20'000;
constexpr std::size_t k_stores_each = 5;
constexpr std::size_t k_page = 16;
constexpr Instant k_start{1h};
constexpr UnixTime k_wall{1'800'000'000};
constexpr std::uint64_t k_wall_ms = 1'800'000'000'000;

StoreId store_of(std::uint64_t number) {
  SeededRng rng(number);
  return {rng.array<32>()};
}

std::uint64_t heap_in_use() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Ten peers behind an address, and addresses all over the Internet.
SourcePrefix source_of(std::size_t peer) {
  const auto number = static_cast<std::uint32_t>(peer / 10) * 2654435761U;
  const auto octet = [&](unsigned shift) { return static_cast<std::uint8_t>(number >> shift); };
  return AcceptLimiter::prefix_of(IpAddress::v4({octet(24), octet(16), octet(8), octet(0)}));
}

// Stores of which some are much wanted: every tenth record has the first one.
std::vector<StoreId> stores_of(std::size_t peer) {
  std::vector<StoreId> stores;
  for (std::size_t i = 0; i < k_stores_each; ++i) stores.push_back(store_of((peer * 7 + i * 4001) % k_stores));
  if (peer % 10 == 0) stores[0] = store_of(0);
  std::ranges::sort(stores);
  stores.erase(std::unique(stores.begin(), stores.end()), stores.end());
  return stores;
}

NodeRecord record_of(const Identity& identity, std::size_t peer, std::uint64_t sequence) {
  NodeRecord record{.peer = identity.peer_id(),
                    .sequence = sequence,
                    .lifetime = std::chrono::hours(2),
                    .addresses = {Multiaddr::parse("/ip4/203.0.113.7/tcp/4001").value(),
                                  Multiaddr::parse("/ip6/2001:db8::7/tcp/4001").value(),
                                  Multiaddr::parse("/ip4/198.51.100.9/udp/4001/quic-v1").value()},
                    .roles = {static_cast<std::uint32_t>(peer % 20 == 0 ? 3 : 0)},
                    .reachability = {.mapping = NatMapping::endpoint_independent,
                                     .filtering = NatFiltering::address_dependent,
                                     .udp = true,
                                     .tcp_443 = true,
                                     .port_mapped = false,
                                     .ipv6 = true},
                    .pages = 1};
  return record;
}

class Directory {
 public:
  // Built once for all benchmarks: most of it is signing.
  static Directory& shared() {
    static Directory directory;
    return directory;
  }

  bool take(std::size_t peer, const std::vector<Bytes>& envelopes) {
    const Registrant registrant{peers[peer], source_of(peer)};
    if (!server.register_envelopes(k_start, {1, 1}, registrant, envelopes)) return false;
    // What the disk would answer at once.
    while (auto event = server.poll_event()) {
      if (const auto* persist = std::get_if<Persist>(&*event)) {
        server.handle_persisted(k_start, persist->token, PersistOutcome{});
      }
    }
    return true;
  }
  // As at a start: from its own disk, without checking the signatures.
  void load(const store::DirectoryRow& row) {
    if (!server.load(k_start, row, RowOrigin::own_disk)) std::abort();
  }
  static Bytes seed_of(std::size_t peer) {
    SeededRng rng(peer + 1);
    Bytes seed(32);
    rng.fill(seed);
    return seed;
  }

  SeededRng rng{1};
  DirectoryServer server{k_start, k_wall, rng, {.verifications = {}}};  // as fast as it can
  std::vector<PeerId> peers;
  double bytes_per_record = 0;
  double envelope_bytes_per_record = 0;

 private:
  Directory() {
    peers.reserve(k_records);
    const std::uint64_t before = heap_in_use();
    std::uint64_t envelopes = 0;
    for (std::size_t peer = 0; peer < k_records; ++peer) {
      const Identity identity = Identity::from_seed(seed_of(peer)).value();
      peers.push_back(identity.peer_id());
      const StoreAnnouncement page{identity.peer_id(), k_wall_ms, 0, stores_of(peer)};
      Bytes record = sign_statement(identity, record_of(identity, peer, k_wall_ms)).encode();
      Bytes announcement = sign_statement(identity, page).encode();
      envelopes += record.size() + announcement.size();
      load({identity.peer_id(), 0, k_wall_ms, source_of(peer), 1h, 2h, std::move(record)});
      load({identity.peer_id(), 1, k_wall_ms, 0, {}, {}, std::move(announcement)});
    }
    // The list of peers here is not the directory's: a PeerId takes 32 bytes and a block of 48.
    const std::uint64_t own = k_records * (sizeof(PeerId) + 48);
    bytes_per_record = static_cast<double>(heap_in_use() - before - own) / k_records;
    envelope_bytes_per_record = static_cast<double>(envelopes) / k_records;
  }
};

// Signing is the peer's work: the records are made outside of the measured time.
void VerifiedUpserts(benchmark::State& state) {
  Directory& directory = Directory::shared();
  static std::uint64_t sequence = k_wall_ms;
  std::size_t peer = 0;
  constexpr std::size_t k_batch = 200;
  while (state.KeepRunningBatch(k_batch)) {
    state.PauseTiming();
    ++sequence;
    std::vector<std::pair<std::size_t, std::vector<Bytes>>> batch;
    for (std::size_t i = 0; i < k_batch; ++i) {
      peer = (peer + 7919) % k_records;
      const Identity identity = Identity::from_seed(Directory::seed_of(peer)).value();
      batch.push_back({peer, {sign_statement(identity, record_of(identity, peer, sequence)).encode()}});
    }
    state.ResumeTiming();
    for (const auto& [who, envelopes] : batch) {
      if (!directory.take(who, envelopes)) std::abort();
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
  state.counters["live"] = static_cast<double>(directory.server.snapshot().live);
  state.counters["bytes_per_record"] = directory.bytes_per_record;
  state.counters["index_bytes_per_record"] = static_cast<double>(directory.server.snapshot().index_memory) / k_records;
  state.counters["envelope_bytes_per_record"] = directory.envelope_bytes_per_record;
}
BENCHMARK(VerifiedUpserts)->Unit(benchmark::kMicrosecond);

// CPU time of this thread: the machine may be shared.
double cpu_microseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return 1e6 * static_cast<double>(time.tv_sec) + 1e-3 * static_cast<double>(time.tv_nsec);
}

// Times every look-up by itself and reports the 99th percentile beside the mean.
template <class LookUp>
void measure(benchmark::State& state, LookUp look_up) {
  std::vector<double> times;
  for (auto _ : state) {
    const double begin = cpu_microseconds();
    const FoundRecords found = look_up();
    times.push_back(cpu_microseconds() - begin);
    benchmark::DoNotOptimize(found.records.data());
  }
  std::ranges::sort(times);
  state.counters["p99_us"] = times[times.size() * 99 / 100];
  state.counters["max_us"] = times.back();
}

void HoldersOfAStore(benchmark::State& state) {
  Directory& directory = Directory::shared();
  std::uint64_t number = 0;
  measure(state, [&] { return directory.server.find_holders(store_of(++number * 31 % k_stores), {}, k_page); });
}
BENCHMARK(HoldersOfAStore)->Unit(benchmark::kMicrosecond);

void HoldersOfAMuchWantedStore(benchmark::State& state) {
  Directory& directory = Directory::shared();
  measure(state, [&] { return directory.server.find_holders(store_of(0), {}, k_max_found_records); });
}
BENCHMARK(HoldersOfAMuchWantedStore)->Unit(benchmark::kMicrosecond);

void PeersByRoles(benchmark::State& state) {
  Directory& directory = Directory::shared();
  measure(state, [&] { return directory.server.find_roles({3}, {}, k_page); });
}
BENCHMARK(PeersByRoles)->Unit(benchmark::kMicrosecond);

void PeerById(benchmark::State& state) {
  Directory& directory = Directory::shared();
  std::size_t peer = 0;
  measure(state, [&] { return directory.server.find_peer(directory.peers[++peer * 31 % k_records]); });
}
BENCHMARK(PeerById)->Unit(benchmark::kMicrosecond);

void DirectoryWrite(benchmark::State& state) {
  const std::string path = std::filesystem::temp_directory_path() / "dignet-directory-bench.db";
  const auto database = store::DirectoryDatabase::open(path);
  if (!database) return state.SkipWithError(database.error().message().c_str());
  Directory& directory = Directory::shared();
  std::size_t peer = 0;
  constexpr std::size_t k_batch = 100;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<store::DirectoryChange> changes;
    for (std::size_t i = 0; i < k_batch; ++i) {
      peer = (peer + 1) % k_records;
      changes.push_back(store::DirectoryRow{directory.peers[peer], 0, k_wall_ms, 1, 1h, 2h, Bytes(400)});
    }
    state.ResumeTiming();
    if (!(*database)->write(k_wall, changes)) return state.SkipWithError("a write failed");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(k_batch));
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
}
BENCHMARK(DirectoryWrite)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace dig::directory
