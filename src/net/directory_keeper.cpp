// SPDX-License-Identifier: Apache-2.0
#include "net/directory_keeper.hpp"

#include <utility>

#include "net/clock.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_queued = 8;  // the core asks for one batch at a time

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
  const auto write = [database = database_, changes = std::move(request.changes)] {
    return database->write(wall_now(), changes);
  };
  const bool is_running = worker_.run(write, [this, token](const Result<void>& written) {
    if (written) {
      on_persisted_(token, directory::PersistOutcome{.is_replicated = false});
    } else {
      on_persisted_(token, std::unexpected(written.error()));
    }
  });
  if (is_running) return;
  loop_.post([this, token] { on_persisted_(token, fail(Errc::limit_reached, "the directory's disk is busy")); });
}

}  // namespace dig::net
