// SPDX-License-Identifier: Apache-2.0
// Which version of the store a fetch takes, and what proves it.
//
// An owner's signature proves root and size. A root pinned by a URN proves the size only through the Merkle tree (the
// size is hashed into the root), so a holder that lies about the size is found out by one chunk: it is fetched and
// checked here before a file of that size is made.
#include <algorithm>
#include <utility>

#include "proto/store_exchange/fetch.hpp"
#include "store/merkle.hpp"

namespace dig::exchange {

// --- questions and answers ---------------------------------------------------------------------------------------

void Fetch::ask_version(Instant now, FetchHolder& holder) {
  const bool is_chosen = current_ && is_proven_;
  ask_have(now, holder, is_chosen ? candidates_[*current_].manifest.root : target_.root);
  if (!is_chosen) ask_manifest(now, holder);
}

void Fetch::ask_have(Instant now, FetchHolder& holder, const std::optional<RootHash>& root) {
  holder.asked_root = root;
  holder.have_asked = now;
  events_.push_back(AskHave{holder.id, root});
}

void Fetch::ask_manifest(Instant now, FetchHolder& holder) {
  holder.manifest_asked = now;
  events_.push_back(AskManifest{holder.id, target_.root});
}

void Fetch::handle_have(Instant now, HolderId id, Result<HaveResponse> have) {
  FetchHolder* const holder = find(id);
  if (holder == nullptr || !holder->have_asked || !is_running()) return;
  const Duration delay = now - *std::exchange(holder->have_asked, std::nullopt);
  if (!have && have.error().code() == Errc::limit_reached && holder->busy_count < limits_.max_busy) {
    holder->is_have_due = true;
    retry_later(now, *holder);
  } else if (!have) {
    drop(id, have.error());
  } else if (holder->asked_root && have->root != *holder->asked_root) {
    drop(id, Error(Errc::protocol_violation, "an answer for another version of the store"));
  } else {
    holder->note_rtt(delay);
    holder->chunks = {};
    for (const ChunkRange& range : have->ranges) holder->chunks.add(range.first, range.count);
    holder->have = std::move(*have);
    check_holder(now, *holder);
  }
  advance(now);
}

void Fetch::handle_manifest(Instant now, HolderId id, Result<SignedManifest> manifest) {
  FetchHolder* const holder = find(id);
  if (holder == nullptr || !holder->manifest_asked || !is_running()) return;
  holder->manifest_asked.reset();
  if (!manifest && manifest.error().code() == Errc::limit_reached && holder->busy_count < limits_.max_busy) {
    holder->is_manifest_due = true;
    retry_later(now, *holder);
  } else if (!manifest) {
    drop(id, manifest.error());
  } else if (const Result<std::size_t> candidate = add_candidate(std::move(*manifest))) {
    holder->candidate = *candidate;
    if (!first_manifest_) first_manifest_ = now;
  } else {
    drop(id, candidate.error());
  }
  advance(now);
}

Result<std::size_t> Fetch::add_candidate(SignedManifest manifest) {
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (candidates_[i].signed_manifest != manifest) continue;
    candidates_[i].is_refuted = false;  // it was for want of a holder with a chunk; liars are banned by themselves
    return i;
  }
  if (candidates_.size() >= limits_.max_candidates) return fail(Errc::limit_reached, "too many versions of one store");
  DIG_TRY(store::CheckedManifest checked, store::verify_manifest(manifest, target_.store, target_.root));
  candidates_.push_back({std::move(manifest), std::move(checked.manifest), checked.trust});
  return candidates_.size() - 1;
}

// --- the choice --------------------------------------------------------------------------------------------------

void Fetch::choose(Instant now) {
  const std::optional<std::size_t> best = best_candidate();
  // A pinned version needs no comparison; of others, the newest that comes within a short time.
  if (best && (target_.root || !is_waiting_for_manifests(now))) return adopt(now, *best);
  if (!best && first_manifest_ && !is_waiting_for_manifests(now)) drop_unpinned();
  if (holders_.empty() && !expects_holders_) fail_without_holders();
}

bool Fetch::is_waiting_for_manifests(Instant now) const {
  if (!first_manifest_) return true;
  if (now >= *first_manifest_ + limits_.manifest_wait) return false;
  if (expects_holders_) return true;
  return std::any_of(holders_.begin(), holders_.end(),
                     [](const auto& entry) { return entry.second.manifest_asked || entry.second.is_manifest_due; });
}

// The owner's word before none, then the newest, then what most holders say; first come, first served among equals.
std::optional<std::size_t> Fetch::best_candidate() const {
  std::optional<std::size_t> best;
  const auto is_better = [&](std::size_t a, std::size_t b) {
    if (is_signed(a) != is_signed(b)) return is_signed(a);
    // A sequence number without a signature is the holder's invention.
    if (is_signed(a)) return candidates_[a].manifest.sequence > candidates_[b].manifest.sequence;
    return supporters(a) > supporters(b);
  };
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const Candidate& candidate = candidates_[i];
    if (candidate.is_refuted) continue;
    if (candidate.trust == store::Trust::unpinned && !target_.accept_unpinned) continue;
    if (!is_signed(i) && supporters(i) == 0) continue;
    if (!best || is_better(i, *best)) best = i;
  }
  return best;
}

bool Fetch::is_signed(std::size_t candidate) const {
  return candidates_[candidate].trust == store::Trust::owner_signed;
}

std::size_t Fetch::supporters(std::size_t candidate) const {
  return static_cast<std::size_t>(std::count_if(
      holders_.begin(), holders_.end(), [&](const auto& entry) { return entry.second.candidate == candidate; }));
}

// Nothing proves what these holders have, and the user did not ask for that.
void Fetch::drop_unpinned() {
  std::vector<HolderId> dropped;
  for (const auto& [id, holder] : holders_) {
    if (holder.candidate) dropped.push_back(id);
  }
  for (const HolderId id : dropped) drop(id, Error(Errc::unpinned));
}

void Fetch::adopt(Instant now, std::size_t candidate) {
  if (current_) drop_other_probes(candidates_[candidate].manifest);
  current_ = candidate;
  phase_ = Phase::probing;
  check_all_holders(now);
  if (is_signed(candidate)) open(now);
}

// Holders that were to prove a version which is not fetched after all.
void Fetch::drop_other_probes(const Manifest& chosen) {
  const Manifest& old = candidates_[*current_].manifest;
  if (old.root == chosen.root && old.size == chosen.size) return;
  std::vector<HolderId> dropped;
  for (const auto& [id, holder] : holders_) {
    if (!holder.asked.empty()) dropped.push_back(id);
  }
  for (const HolderId id : dropped) drop(id, Error(Errc::manifest_mismatch, "the owner signed another version"));
}

void Fetch::check_all_holders(Instant now) {
  std::vector<HolderId> ids;
  for (const auto& [id, holder] : holders_) ids.push_back(id);
  for (const HolderId id : ids) check_holder(now, *find(id));
}

// Once a version is chosen: a holder whose newest is another one may still have this one.
void Fetch::check_holder(Instant now, FetchHolder& holder) {
  if (!current_ || !holder.have) return;
  const Manifest& manifest = candidates_[*current_].manifest;
  if (holder.have->root != manifest.root) {
    holder.have.reset();
    holder.chunks = {};
    if (!holder.have_asked) ask_have(now, holder, manifest.root);
  } else if (holder.have->size != manifest.size && is_proven_) {
    drop(holder.id, Error(Errc::manifest_mismatch, "the holder gives the store another size"));
  }
}

bool Fetch::is_matching(const FetchHolder& holder) const {
  if (!current_ || !holder.have) return false;
  const Manifest& manifest = candidates_[*current_].manifest;
  return holder.have->root == manifest.root && holder.have->size == manifest.size;
}

// --- the probe ---------------------------------------------------------------------------------------------------

void Fetch::probe(Instant now) {
  const Manifest& manifest = candidates_[*current_].manifest;
  if (manifest.size == 0) {
    if (store::root_hash(0, store::TopBuilder().top()) == manifest.root) return open(now);
    return refute_current();
  }
  if (const auto best = best_candidate(); best && is_signed(*best)) return adopt(now, *best);
  const bool is_waiting = std::any_of(holders_.begin(), holders_.end(), [&](const auto& entry) {
    return !entry.second.asked.empty() && !is_overdue(now, entry.second);
  });
  if (is_waiting) return;
  bool is_hopeful = asked_ != 0;
  for (auto& [id, holder] : holders_) {
    if (holder.candidate == current_ && (holder.have_asked || holder.is_have_due || holder.busy_until)) {
      is_hopeful = true;
    }
    if (!is_usable(now, holder) || holder.chunks.empty()) continue;
    // The last chunk is the shortest, and a reader of the archive's directory needs it first.
    return ask(now, holder, {.first = holder.chunks.last(), .count = 1});
  }
  if (!is_hopeful) refute_current();
}

// Nobody who names this version can show a chunk of it.
void Fetch::refute_current() {
  const std::size_t refuted = *std::exchange(current_, std::nullopt);
  candidates_[refuted].is_refuted = true;
  std::vector<HolderId> dropped;
  for (const auto& [id, holder] : holders_) {
    if (holder.candidate == refuted) dropped.push_back(id);
  }
  for (const HolderId id : dropped) drop(id, Error(Errc::manifest_mismatch, "no chunk proves the store's size"));
  phase_ = Phase::choosing;
}

void Fetch::handle_probe(Instant now, Probe probe) {
  const Manifest& manifest = candidates_[*current_].manifest;
  const Result<void> verified =
      store::verify_chunk(manifest.root, manifest.size, probe.index, store::leaf_hash(probe.data), probe.proof);
  if (!verified) {
    discard(probe.index, std::move(probe.data));
    return ban(probe.holder, verified.error());
  }
  probe_ = std::move(probe);
  open(now);
}

void Fetch::open(Instant now) {
  is_proven_ = true;
  is_opening_ = true;
  phase_ = Phase::opening;
  check_all_holders(now);
  const Candidate& candidate = candidates_[*current_];
  events_.push_back(OpenPartial{candidate.signed_manifest, candidate.manifest});
}

}  // namespace dig::exchange
