// SPDX-License-Identifier: Apache-2.0
// One Node::fetch() from the URN to the report: looks into the local store, runs the core's fetch, completes the
// partial store or reads the resource out of it, hashes and exports. Runs on the loop; its disk work on the workers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "api/convert.hpp"
#include "api/export.hpp"
#include "dignet/store.hpp"
#include "ladder/tier_set.hpp"
#include "net/node_shell.hpp"
#include "store/urn.hpp"

namespace dignet {

class FetchJob : public std::enable_shared_from_this<FetchJob> {
 public:
  struct Spec {
    FetchRequest request;
    dig::store::Urn urn;
    std::vector<PeerAddresses> peers;
    dig::ladder::TierSet tiers;
  };
  // Checks what the user gave. Errors: bad_urn, bad_peer_id, what Multiaddr says.
  [[nodiscard]] static Result<Spec> parse(FetchRequest request, const dig::ladder::TierSet& tiers);

  // All are called on the loop; `done` once, as the last.
  struct Callbacks {
    std::function<void(const OperationEvent&)> event;
    // The core's facts about this operation are to come to handle_fact().
    std::function<void(dig::node::OperationId)> began;
    std::function<void(Result<FetchReport>)> done;
  };

  FetchJob(dig::net::NodeShell& shell, Spec spec, Callbacks callbacks);

  void start(dig::Instant now);
  void handle_fact(dig::node::NodeOutput& fact);
  // Ends it soon with this error; does nothing when it is over.
  void cancel(dig::Instant now, Errc why);

 private:
  void handle_found(Result<dig::store::StoreInfo> found);
  void fetch(dig::Instant now);
  void handle_holders(dig::node::HoldersFound& found);
  [[nodiscard]] Error failure_of(const Error& error) const;
  void try_resource(dig::node::PartialId partial);
  void handle_resource(Result<Exported> exported, const std::optional<dig::store::ResourceReader::Missing>& missing);
  void handle_ended(dig::node::FetchEnded& ended);
  void complete(dig::net::NodeShell::Partial partial);
  void export_local(const dig::store::StoreInfo& info);
  void set_aside(const dig::store::StoreInfo& info);
  void finish(Result<Exported> exported);
  void end(Result<FetchReport> result);
  // Runs work on a worker, then(result) on the loop.
  template <class Work, class Then>
  void on_worker(Work work, Then then);

  dig::net::NodeShell& shell_;
  Spec spec_;
  Callbacks callbacks_;
  dig::Instant started_;
  std::optional<dig::node::OperationId> operation_;
  std::optional<dig::node::OperationId> search_;  // for holders, while it runs
  bool has_found_holders_ = false;
  std::optional<Error> search_error_;              // of a bootstrap server
  std::optional<dig::store::StoreInfo> fallback_;  // is here, and perhaps outdated
  FetchReport report_;
  std::optional<Exported> resource_;  // once it was read out of the partial store
  std::optional<Error> failure_;      // why the core's fetch was cancelled
  bool is_over_ = false;
};

}  // namespace dignet
