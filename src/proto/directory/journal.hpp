// SPDX-License-Identifier: Apache-2.0
// What changed in the directory on its way to the disk: one batch is being written, the next one gathers. Knows who
// waits for which batch.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "base/strong_id.hpp"
#include "proto/directory/index.hpp"
#include "store/directory_rows.hpp"

namespace dig::directory {

using PersistToken = StrongId<struct PersistTokenTag>;
// Whom an acknowledgement is for; the stream chooses both.
struct RegistrationId {
  std::uint64_t stream = 0;
  std::uint64_t request = 0;
  friend bool operator==(const RegistrationId&, const RegistrationId&) = default;
};

// All of it or nothing, and durable before the answer.
struct Persist {
  PersistToken token;
  std::vector<store::DirectoryChange> changes;
};

class Journal {
 public:
  struct Waiting {
    RegistrationId registration;
    NodeKey key{};
    bool is_rest_replicated = true;  // what else was registered with it, and is unchanged
  };
  struct Written {
    NodeKey key{};
    std::uint32_t slot = 0;
    std::uint64_t sequence = 0;
  };
  struct Batch {
    std::vector<Written> written;
    std::vector<Waiting> waiting;
  };

  void put(const NodeKey& key, store::DirectoryRow row);
  // `sequence`: of the ended record, when that is forgotten too; 0: there is no room for it here.
  void erase(PeerId peer, std::uint32_t first_slot, std::uint64_t sequence = 0);
  // To be told when everything so far is durable.
  void wait(const Waiting& waiting) { gathering_.waiting.push_back(waiting); }

  // Who has been told to wait since the batch that is being written.
  [[nodiscard]] std::vector<Waiting> take_waiting() { return std::exchange(gathering_.waiting, {}); }

  // Nobody who waits now is told that what was registered with it before is replicated.
  void forget_replicas();

  // The next batch, unless one is being written or nobody needs it. Its changes may be none: what somebody waits for
  // was in the batch before.
  [[nodiscard]] std::optional<Persist> start_batch();
  // Nothing when it is not the one that is being written.
  [[nodiscard]] std::optional<Batch> finish_batch(PersistToken token);

  // About what the gathering batch takes in memory.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t changes() const noexcept { return changes_.size() + writing_size_; }

 private:
  static constexpr std::size_t k_change_bytes = 160;

  std::vector<store::DirectoryChange> changes_;
  Batch gathering_;
  std::size_t bytes_ = 0;
  std::optional<Batch> writing_;
  std::size_t writing_size_ = 0;
  PersistToken token_;
};

}  // namespace dig::directory
