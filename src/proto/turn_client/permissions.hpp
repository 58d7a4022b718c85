// SPDX-License-Identifier: Apache-2.0
// Which peers the server lets through (RFC 8656 §9): each permission lasts five minutes and is asked for again every
// four, until it is revoked. Knows when to ask for whom; the messages are the allocation's.
#pragma once

#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "proto/stun/transaction.hpp"

namespace dig::turn {

inline constexpr Duration k_permission_lifetime = 300s;  // RFC 8656 §9
inline constexpr Duration k_permission_refresh = 240s;   // leaves a minute for retries

class Permissions {
 public:
  explicit Permissions(std::size_t max_peers) : max_peers_(max_peers) {}

  // False when there is no room for another peer. A peer that is there already stays as it is.
  [[nodiscard]] bool add(const IpAddress& peer);
  void remove(const IpAddress& peer);
  [[nodiscard]] bool contains(const IpAddress& peer) const;
  [[nodiscard]] bool is_installed(const IpAddress& peer, Instant now) const;

  // The peers that the next CreatePermission is to name, at most `max`; empty if none is due. They stay due until
  // mark_requested().
  [[nodiscard]] std::vector<IpAddress> next_batch(Instant now, std::size_t max) const;
  [[nodiscard]] bool has_due() const;
  void mark_requested(const std::vector<IpAddress>& peers, stun::RequestId request);
  [[nodiscard]] std::vector<IpAddress> peers_of(stun::RequestId request) const;

  // The server agreed to a request that was first sent at `sent`. Returns the peers that had no permission before.
  std::vector<IpAddress> handle_success(stun::RequestId request, Instant sent, Instant now);
  // A ChannelBind installs or refreshes the permission too (RFC 8656 §12). Returns whether it had none before.
  bool handle_channel_bound(const IpAddress& peer, Instant sent, Instant now);
  // The server refused. CreatePermission is all or nothing (RFC 8656 §10.2): each peer of a batch is then asked for
  // alone, so that one that is forbidden costs the others nothing. Returns the peers that have lost their permission.
  std::vector<IpAddress> handle_refusal(stun::RequestId request);
  // No answer, or one that may be different soon: asked again at `again` where a permission still stands. Returns the
  // peers that have none.
  std::vector<IpAddress> handle_failure(stun::RequestId request, Instant now, Instant again);

  // Marks what is due. Returns the peers whose permission ran out.
  std::vector<IpAddress> handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] std::size_t installed(Instant now) const;

 private:
  struct Entry {
    IpAddress peer;
    std::optional<Instant> expires;     // installed until then
    std::optional<Instant> refresh_at;  // none while it is due or asked for
    std::optional<stun::RequestId> request;
    bool is_due = true;
    bool is_alone = false;  // in a batch of its own, since a batch with it was refused
  };

  bool install(Entry& entry, Instant sent, Instant now);
  template <class Decide>
  std::vector<IpAddress> remove_where(Decide decide);

  std::size_t max_peers_;
  std::vector<Entry> entries_;
};

}  // namespace dig::turn
