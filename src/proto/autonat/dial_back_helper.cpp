// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/dial_back_helper.hpp"

#include <utility>

namespace dig::autonat {

DialBackOrderServer::DialBackOrderServer(Instant now, const PeerId& partner, const IpAddress& observed,
                                         const HelperConfig& config, RequestBook& book)
    : policy_(config.policy), stream_(now, k_ordered_stream) {
  if (config.partners.contains(partner)) {
    if (auto place = book.admit(now, partner, AcceptLimiter::prefix_of(observed))) place_.emplace(std::move(*place));
  }
  if (!place_) report(DialBackOutcome::not_tried);
}

void DialBackOrderServer::handle_bytes(Instant now, BytesView bytes) {
  stream_.handle_bytes(now, bytes);
  drain(now);
}

void DialBackOrderServer::handle_eof(Instant now) {
  stream_.handle_eof(now);
  drain(now);
}

void DialBackOrderServer::handle_timeout(Instant now) {
  stream_.handle_timeout(now);
  drain(now);
  if (dial_deadline_ && now >= *dial_deadline_) report(DialBackOutcome::not_connected);
}

void DialBackOrderServer::handle_dial_back_result(DialBackOutcome outcome) {
  if (dial_deadline_) report(outcome);
}

void DialBackOrderServer::drain(Instant now) {
  auto order = stream_.take_result();
  if (!order) return;
  if (!*order) {
    place_.reset();
    dial_deadline_.reset();
    result_ = std::unexpected(std::move(*order).error());
    return;
  }
  const auto remote = dialable((*order)->address, (*order)->peer, std::nullopt, policy_);
  if (!remote) return report(DialBackOutcome::not_tried);
  dial_deadline_ = now + k_ordered_dial;
  result_ = WantDialBack{(*order)->peer, (*order)->address.without_peer_id(), *remote, (*order)->nonce};
}

void DialBackOrderServer::report(DialBackOutcome outcome) {
  place_.reset();
  dial_deadline_.reset();
  result_.reset();
  stream_.answer({outcome});
}

}  // namespace dig::autonat
