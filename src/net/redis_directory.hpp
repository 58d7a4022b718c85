// SPDX-License-Identifier: Apache-2.0
// How the directory stands in Redis, as commands and what their replies mean. No transport: net/directory_replica.
//
//   <prefix>row:<peer id>   a hash: slot -> shared row (store/shared_row.hpp). Expires `grace` after its record is
//   kept no longer.
//   <prefix>changes         a stream, capped: who wrote which slots of which peer, and with what sequences. Its entries
//   are numbered 0-1, 0-2, … without a gap, so that a reader knows when it missed some.
//   <prefix>epoch           a random word that is made when there is none: another one means that all was lost.
//
// Rows are written by scripts, each of which Redis runs as a whole: a row is put only where there is nothing newer. All
// scripts are sent with each call, as a server that was restarted does not know them any more.
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/redis_protocol.hpp"
#include "store/directory_rows.hpp"

namespace dig::net {

// A value that was read, and how long it is kept.
struct SharedValue {
  PeerId peer;
  std::uint32_t slot = 0;
  std::string value;
  std::optional<Duration> left;  // of the record's `kept`; nothing: for ever
};
// Which slots of a peer to read: these, or from the first of them on all.
struct WantedRows {
  PeerId peer;
  std::vector<std::uint32_t> slots;  // rising, at least one
  bool is_all_after = false;
};
struct RowsRead {
  std::vector<SharedValue> values;
  std::vector<WantedRows> rest;  // what did not fit into the reply
};

// One change as an operation of the script.
struct SharedPut {
  store::RowName name;
  std::string key;
  std::vector<std::string> words;
  [[nodiscard]] std::size_t size() const noexcept;
};
enum class PutOutcome : char {
  written = 'w',
  same = 's',
  superseded = 'o',      // what is there is newer
  conflict = 'c',        // something else with the same sequence is there
  without_record = 'm',  // a page whose record is not there
};
struct PutReply {
  std::string epoch;
  std::vector<PutOutcome> outcomes;  // one for each
};

// What was written of a peer: slots, and the sequence of each, as whoever wrote it said.
struct ChangedRows {
  PeerId peer;
  std::map<std::uint32_t, std::uint64_t> slots;
};
struct ChangesRead {
  std::vector<ChangedRows> rows;  // that other servers wrote
  std::uint64_t last = 0;         // number of the last entry
  bool has_gap = false;           // entries are missing: trimmed before they were read, or not ours
};

class RedisDirectory {
 public:
  // About, of the stream: whoever fills an empty Redis with a full directory can still read what others wrote
  // meanwhile.
  static constexpr std::size_t max_changes_kept = 262'144;
  static constexpr std::size_t changes_per_read = 512;
  static constexpr std::size_t keys_per_scan = 512;
  // A page that a server took while the record lived still finds it in Redis, though it waited on its way.
  static constexpr Duration grace = std::chrono::seconds(10);

  // `server` is this server's name among those that share the directory.
  RedisDirectory(std::string prefix, std::string server) : prefix_(std::move(prefix)), server_(std::move(server)) {}

  [[nodiscard]] std::string key_of(const PeerId& peer) const { return prefix_ + "row:" + peer.to_string(); }
  [[nodiscard]] std::string epoch_key() const { return prefix_ + "epoch"; }

  // Nothing for changes that say nothing to other servers.
  [[nodiscard]] std::optional<SharedPut> put_of(const store::DirectoryChange& change) const;
  // `new_epoch` is used when there is none.
  [[nodiscard]] std::vector<std::string> put(std::span<const SharedPut> puts, const std::string& new_epoch) const;
  [[nodiscard]] static Result<PutReply> read_put(const RedisReply& reply, std::size_t count);

  [[nodiscard]] std::vector<std::string> read(std::span<const WantedRows> wanted) const;
  [[nodiscard]] static Result<RowsRead> read_rows(const RedisReply& reply, std::span<const WantedRows> wanted);
  // Takes out a value that is no row, if it is still there.
  [[nodiscard]] std::vector<std::string> drop(const SharedValue& value) const;

  [[nodiscard]] std::vector<std::string> scan(const std::string& cursor) const;
  // Where to go on, "0" when that was all; and whose rows are there.
  [[nodiscard]] Result<std::pair<std::string, std::vector<WantedRows>>> read_scan(const RedisReply& reply) const;

  [[nodiscard]] std::vector<std::string> last_change() const;
  [[nodiscard]] static Result<std::uint64_t> read_last_change(const RedisReply& reply);
  // Waits at the server for at most `block`.
  [[nodiscard]] std::vector<std::string> changes_after(std::uint64_t last, Duration block) const;
  [[nodiscard]] Result<ChangesRead> read_changes(const RedisReply& reply, std::uint64_t last) const;

 private:
  [[nodiscard]] std::string stream() const { return prefix_ + "changes"; }

  std::string prefix_;
  std::string server_;
};

}  // namespace dig::net
