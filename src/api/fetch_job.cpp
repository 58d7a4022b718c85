// SPDX-License-Identifier: Apache-2.0
#include "api/fetch_job.hpp"

#include <chrono>
#include <utility>

#include "net/clock.hpp"
#include "store/chunk_set.hpp"

namespace dignet {
namespace {

std::int64_t milliseconds(dig::Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

Result<FetchJob::Spec> FetchJob::parse(FetchRequest request, const dig::ladder::TierSet& tiers) {
  DIG_TRY(auto urn, dig::store::Urn::parse(request.urn));
  DIG_TRY(auto peers, parse_peers(request.peers));
  return Spec{std::move(request), std::move(urn), std::move(peers), tiers};
}

FetchJob::FetchJob(dig::net::NodeShell& shell, Spec spec, Callbacks callbacks)
    : shell_(shell), spec_(std::move(spec)), callbacks_(std::move(callbacks)) {}

template <class Work, class Then>
void FetchJob::on_worker(Work work, Then then) {
  const bool is_running =
      shell_.run_on_worker(std::move(work), [self = shared_from_this(), then = std::move(then)](auto result) mutable {
        if (!self->is_over_) then(std::move(result));
        self->shell_.pump(dig::net::monotonic_now());
      });
  if (!is_running) end(dig::fail(Errc::limit_reached, "too much disk work is waiting"));
}

void FetchJob::start(dig::Instant now) {
  started_ = now;
  on_worker([&store = shell_.store(), urn = spec_.urn] { return store.find(urn.store_id, urn.root); },
            [this](Result<dig::store::StoreInfo> found) { handle_found(std::move(found)); });
}

void FetchJob::handle_found(Result<dig::store::StoreInfo> found) {
  const bool may_ask = !spec_.peers.empty() || shell_.has_bootstraps();
  // Without a root in the URN a holder may have a newer version than the one that is here.
  const bool is_here = found.has_value() && (spec_.urn.root || !may_ask);
  if (is_here) {
    export_local(*found);
  } else if (!found && found.error().code() != Errc::store_not_found) {
    end(std::unexpected(found.error()));
  } else if (!may_ask) {
    end(dig::fail(Errc::no_holder));
  } else {
    if (found && spec_.peers.empty()) fallback_ = *found;
    fetch(dig::net::monotonic_now());
  }
}

void FetchJob::fetch(dig::Instant now) {
  dig::node::FetchSpec fetch;
  fetch.target = {.store = spec_.urn.store_id,
                  .root = spec_.urn.root,
                  .accept_unpinned = spec_.request.accept_unpinned,
                  .only_wanted = !spec_.urn.resource.empty()};
  fetch.wants_sha256 = spec_.request.want_sha256 && spec_.urn.resource.empty();
  fetch.tiers = spec_.tiers;
  for (PeerAddresses& peer : spec_.peers) fetch.holders.push_back({peer.peer, std::move(peer.addresses)});
  fetch.more_holders_come = shell_.has_bootstraps();
  operation_ = shell_.core().fetch(now, std::move(fetch));
  callbacks_.began(*operation_);
  if (!shell_.has_bootstraps()) return;
  search_ = shell_.core().find_holders(now, spec_.urn.store_id);
  callbacks_.began(*search_);
}

void FetchJob::handle_holders(dig::node::HoldersFound& found) {
  std::vector<dig::node::HolderSpec> holders;
  for (dig::directory::VerifiedRecord& one : found.records) {
    holders.push_back({one.record.peer, std::move(one.record.addresses)});
  }
  has_found_holders_ = has_found_holders_ || !holders.empty();
  if (!found.errors.empty()) search_error_ = found.errors.front();
  if (found.is_last) search_.reset();
  if (operation_) {
    shell_.core().add_holders(dig::net::monotonic_now(), *operation_, std::move(holders), !found.is_last);
  }
}

void FetchJob::handle_fact(dig::node::NodeOutput& fact) {
  if (is_over_) {
    const auto* late = std::get_if<dig::node::FetchEnded>(&fact);
    if (late != nullptr && late->partial) shell_.close_partial(*late->partial);
    return;
  }
  if (auto* attempts = std::get_if<dig::node::AttemptsCompleted>(&fact)) {
    for (Attempt& attempt : attempts->attempts) callbacks_.event(AttemptEvent{std::move(attempt)});
  } else if (auto* path = std::get_if<dig::node::PathChosen>(&fact)) {
    if (report_.tier == 0) {
      report_.tier = path->path.tier;
      report_.tier_name = path->path.tier_name;
      report_.method = path->path.method;
    }
    callbacks_.event(std::move(path->path));
  } else if (const auto* progress = std::get_if<dig::node::FetchProgressed>(&fact)) {
    callbacks_.event(progress->progress);
  } else if (const auto* wanted = std::get_if<dig::node::FetchWantedComplete>(&fact)) {
    try_resource(wanted->partial);
  } else if (auto* holders = std::get_if<dig::node::HoldersFound>(&fact)) {
    handle_holders(*holders);
  } else if (auto* ended = std::get_if<dig::node::FetchEnded>(&fact)) {
    handle_ended(*ended);
  }
}

void FetchJob::try_resource(dig::node::PartialId id) {
  struct Tried {
    Result<Exported> exported;
    std::optional<dig::store::ResourceReader::Missing> missing;
  };
  on_worker(
      [partial = shell_.partial(id).store, key = spec_.urn.resource, output = spec_.request.output,
       want_sha256 = spec_.request.want_sha256] {
        Tried tried{dig::fail(Errc::cancelled), std::nullopt};
        if (partial) tried.exported = export_resource(*partial, key, output, want_sha256, tried.missing);
        return tried;
      },
      [this](Tried tried) { handle_resource(std::move(tried.exported), tried.missing); });
}

void FetchJob::handle_resource(Result<Exported> exported,
                               const std::optional<dig::store::ResourceReader::Missing>& missing) {
  const dig::Instant now = dig::net::monotonic_now();
  if (exported) {
    resource_ = std::move(*exported);
    shell_.core().finish_fetch(now, *operation_);
    return;
  }
  if (missing) {
    const auto chunks = dig::store::chunks_of_bytes(missing->offset, missing->size);
    const auto wanted = shell_.core().want_chunks(now, *operation_, chunks.first, chunks.count);
    if (wanted) return;
    failure_ = wanted.error();
  } else {
    failure_ = exported.error();
  }
  shell_.core().cancel(now, *operation_);
}

void FetchJob::handle_ended(dig::node::FetchEnded& ended) {
  operation_.reset();
  report_.attempts = std::move(ended.attempts);
  // Who still needs it has it by now or takes it below; an end of this job while a worker runs must not keep it open.
  const auto partial = ended.partial ? shell_.partial(*ended.partial) : dig::net::NodeShell::Partial{};
  if (ended.partial) shell_.close_partial(*ended.partial);
  if (!ended.result) {
    const Error why = failure_.value_or(failure_of(ended.result.error()));
    const bool is_out_of_reach = why.info().kind == ErrorKind::not_found || why.info().kind == ErrorKind::unreachable;
    if (fallback_ && !failure_ && is_out_of_reach) return export_local(*std::exchange(fallback_, std::nullopt));
    return end(std::unexpected(why));
  }
  const dig::node::FetchSummary& summary = *ended.result;
  report_.fetched_bytes = summary.fetched_bytes;
  report_.reused_bytes = summary.reused_bytes;
  report_.window_bytes = summary.window_bytes;
  report_.peer_id = summary.best_holder.to_string();
  report_.path = summary.path;
  if (summary.first_chunk) report_.first_byte_ms = milliseconds(*summary.first_chunk - started_);
  spec_.urn.root = summary.manifest.root;
  if (resource_) {
    finish(std::move(*resource_));
  } else {
    complete(partial);
  }
}

// That nobody is known to hold the store means little when those who would know did not answer.
Error FetchJob::failure_of(const Error& error) const {
  const bool nobody_answered = error.code() == Errc::no_holder && !has_found_holders_ && spec_.request.peers.empty();
  return nobody_answered && search_error_ ? *search_error_ : error;
}

// What was fetched was checked chunk by chunk as it came, and hashed on the way when the hash is wanted.
void FetchJob::complete(dig::net::NodeShell::Partial partial) {
  on_worker(
      [&store = shell_.store(), partial = std::move(partial), output = spec_.request.output]() -> Result<Exported> {
        if (!partial.store) return dig::fail(Errc::cancelled);
        std::string sha256;
        if (partial.hasher) {
          DIG_TRY(const dig::Hash256 hash, partial.hasher->finish());
          sha256 = hash.to_hex();
        }
        DIG_TRY(const auto info, store.complete(*partial.store));
        DIG_TRY(Exported exported, export_store(store, info, output));
        exported.sha256 = std::move(sha256);
        return exported;
      },
      [this](Result<Exported> exported) { finish(std::move(exported)); });
}

// What is here may have been damaged since it was added: every chunk is checked again before it is called verified.
void FetchJob::export_local(const dig::store::StoreInfo& info) {
  spec_.urn.root = info.root;
  on_worker(
      [&store = shell_.store(), info, key = spec_.urn.resource, output = spec_.request.output,
       want_sha256 = spec_.request.want_sha256]() -> Result<Exported> {
        DIG_TRY(const auto reader, store.open_reader(info.store_id, info.root));
        if (!key.empty()) {
          std::optional<dig::store::ResourceReader::Missing> none;
          return export_resource(*reader, key, output, want_sha256, none);
        }
        DIG_TRY(const dig::Hash256 hash, reader->sha256());
        DIG_TRY(Exported exported, export_store(store, info, output));
        if (want_sha256) exported.sha256 = hash.to_hex();
        return exported;
      },
      [this, info](Result<Exported> exported) {
        if (!exported && exported.error().code() == Errc::store_damaged &&
            (!spec_.peers.empty() || shell_.has_bootstraps())) {
          set_aside(info);
          return;
        }
        report_.reused_bytes = info.size;
        finish(std::move(exported));
      });
}

// The damaged copy goes to quarantine, and the store is fetched as if it had not been here.
void FetchJob::set_aside(const dig::store::StoreInfo& info) {
  on_worker([&store = shell_.store(), urn = info.urn()] { return store.verify(urn); },
            [this, info](Result<dig::store::VerifyReport> verified) {
              shell_.forget_store(info.store_id, info.root);
              if (verified) {
                fetch(dig::net::monotonic_now());
              } else {
                end(std::unexpected(verified.error()));
              }
            });
}

void FetchJob::finish(Result<Exported> exported) {
  if (!exported) {
    end(std::unexpected(exported.error()));
    return;
  }
  report_.urn = spec_.urn.to_string();
  report_.root_hash = spec_.urn.root->to_hex();
  report_.bytes = exported->bytes;
  report_.sha256 = std::move(exported->sha256);
  report_.output = std::move(exported->output);
  report_.seconds = std::chrono::duration<double>(dig::net::monotonic_now() - started_).count();
  end(std::move(report_));
}

void FetchJob::cancel(dig::Instant now, Errc why) {
  if (is_over_ || failure_) return;
  failure_ = Error(why);
  if (operation_) {
    shell_.core().cancel(now, *operation_);
  } else {
    end(std::unexpected(*failure_));
  }
}

void FetchJob::end(Result<FetchReport> result) {
  if (std::exchange(is_over_, true)) return;
  const dig::Instant now = dig::net::monotonic_now();
  if (search_) shell_.core().cancel(now, *search_);
  if (operation_) shell_.core().cancel(now, *operation_);
  callbacks_.done(std::move(result));
}

}  // namespace dignet
