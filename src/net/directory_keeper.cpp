// SPDX-License-Identifier: Apache-2.0
#include "net/directory_keeper.hpp"

#include <utility>

#include "net/clock.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_queued = 8;                          // the core asks for one batch at a time
constexpr std::size_t k_bytes_at_once = std::size_t{64} * 1024;  // some hundred rows, which the loop takes in one turn

}  // namespace

DirectoryKeeper::DirectoryKeeper(Loop& loop, std::unique_ptr<store::DirectoryDatabase> database,
                                 OnPersisted on_persisted)
    : database_(std::move(database)),
      on_persisted_(std::move(on_persisted)),
      loop_(loop),
      worker_(loop, {.threads = 1, .max_queued = k_max_queued}) {}

Result<std::unique_ptr<DirectoryKeeper>> DirectoryKeeper::open(Loop& loop, const std::filesystem::path& file,
                                                               OnPersisted on_persisted) {
  DIG_TRY(auto database, store::DirectoryDatabase::open(file));
  return std::unique_ptr<DirectoryKeeper>(new DirectoryKeeper(loop, std::move(database), std::move(on_persisted)));
}

Result<void> DirectoryKeeper::load(Instant now, node::NodeCore& core) {
  return database_->read(wall_now(),
                         [&](const store::DirectoryRow& row) { std::ignore = core.load_directory_row(now, row); });
}

void DirectoryKeeper::persist(node::PersistDirectory request) {
  const directory::PersistToken token = request.token;
  const auto changes = std::make_shared<const std::vector<store::DirectoryChange>>(std::move(request.changes));
  const auto write = [database = database_, changes] { return database->write(wall_now(), *changes); };
  const bool is_running = worker_.run(
      write, [this, token, changes](const Result<void>& written) { handle_written(token, changes, written); });
  if (is_running) return;
  loop_.post([this, token] { on_persisted_(token, fail(Errc::limit_reached, "the directory's disk is busy")); });
}

void DirectoryKeeper::handle_written(directory::PersistToken token, const Changes& changes,
                                     const Result<void>& written) {
  if (!written) return on_persisted_(token, std::unexpected(written.error()));
  if (replica_ == nullptr) return on_persisted_(token, directory::PersistOutcome{.is_replicated = false});
  replica_->write(*changes, [this, token](bool is_replicated) {
    on_persisted_(token, directory::PersistOutcome{.is_replicated = is_replicated});
  });
}

void DirectoryKeeper::read_rows(const std::optional<PeerId>& after, ReplicaOwner::OnRows done) {
  const auto shared = std::make_shared<ReplicaOwner::OnRows>(std::move(done));
  const auto read = [database = database_, after] { return database->read_some(wall_now(), after, k_bytes_at_once); };
  if (worker_.run(read, [shared](Result<store::KeptRows> rows) { (*shared)(std::move(rows)); })) return;
  loop_.post([shared] { (*shared)(fail(Errc::limit_reached, "the directory's disk is busy")); });
}

}  // namespace dig::net
