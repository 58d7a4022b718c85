// SPDX-License-Identifier: Apache-2.0
#include "net/directory_sharing.hpp"

#include "net/clock.hpp"

namespace dig::net {

Result<std::unique_ptr<DirectorySharing>> DirectorySharing::start(Loop& loop, Resolver& resolver, Rng& rng,
                                                                  DirectoryReplica::Config config,
                                                                  std::string_view authorities, DirectoryKeeper& keeper,
                                                                  node::NodeCore& core, Hooks hooks) {
  if (config.url.is_tls && !config.leg.tls) {
    DIG_TRY(auto trust, crypto::TlsTrust::authorities(true, authorities));
    DIG_TRY(config.leg.tls, make_client_tls(crypto::TlsTransport::stream, std::move(trust), {}));
  }
  return std::unique_ptr<DirectorySharing>(
      new DirectorySharing(loop, resolver, rng, std::move(config), keeper, core, std::move(hooks)));
}

DirectorySharing::DirectorySharing(Loop& loop, Resolver& resolver, Rng& rng, DirectoryReplica::Config config,
                                   DirectoryKeeper& keeper, node::NodeCore& core, Hooks hooks)
    : keeper_(keeper),
      core_(core),
      hooks_(std::move(hooks)),
      replica_(loop, resolver, rng, std::move(config), static_cast<ReplicaOwner&>(*this)) {
  keeper_.write_into(&replica_);
}

DirectorySharing::~DirectorySharing() { keeper_.write_into(nullptr); }

Result<void> DirectorySharing::handle_shared_row(const store::DirectoryRow& row) {
  const Instant now = monotonic_now();
  Result<void> loaded = core_.load_shared_row(now, row);
  hooks_.pump(now);
  return loaded;
}

bool DirectorySharing::has_row(const store::RowName& row) const { return core_.has_directory_row(row); }

void DirectorySharing::read_rows(const std::optional<PeerId>& after, OnRows done) {
  keeper_.read_rows(after, std::move(done));
}

void DirectorySharing::handle_replicated(std::span<const store::RowName> rows) { core_.handle_replicated(rows); }

void DirectorySharing::handle_replica_loss() { core_.forget_replicas(); }

void DirectorySharing::handle_replica_state(const Result<void>& up_or_why) {
  is_up_ = up_or_why.has_value();
  hooks_.tell(dignet::DirectorySharingChanged{.is_up = is_up_,
                                              .error = is_up_ ? std::nullopt : std::optional(up_or_why.error())});
}

void DirectorySharing::handle_replica_warning(const Error& warning) { hooks_.tell(dignet::Warning{warning}); }

}  // namespace dig::net
