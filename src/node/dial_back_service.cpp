// SPDX-License-Identifier: Apache-2.0
#include "node/dial_back_service.hpp"

#include <algorithm>
#include <utility>

#include "base/address_class.hpp"
#include "node/question_stream.hpp"

namespace dig::node {

using autonat::DialBackOutcome;
using autonat::WantDialBack;

// A client's dial-request stream, or a partner's order.
template <class Machine>
class DialBackService::Stream final : public AnswerStream<Machine>, private Waiter {
 public:
  template <class... Arguments>
  Stream(DialBackService& service, ConnectionId connection, Arguments&&... arguments)
      : AnswerStream<Machine>(std::forward<Arguments>(arguments)...), service_(service), connection_(connection) {}
  ~Stream() override { handle_over(); }

 protected:
  void handle_task(Instant /*now*/, const WantDialBack& wanted) override {
    if constexpr (std::is_same_v<Machine, autonat::DialBackOrderServer>) {
      // dial_back_helper.hpp: to the client's NAT this node is no stranger then.
      DialBackHost& host = service_.host_;
      if (host.find_direct_link(wanted.peer, std::nullopt) != nullptr || host.is_connected_to(wanted.remote.address)) {
        return this->machine().handle_dial_back_result(DialBackOutcome::not_tried);
      }
    }
    work_ = service_.start(*this, wanted, std::is_same_v<Machine, autonat::DialRequestServer>);
  }
  void handle_over() override {
    if (const auto work = std::exchange(work_, std::nullopt)) service_.abandon(*work);
  }

 private:
  void handle_outcome(DialBackOutcome outcome) override {
    work_.reset();
    this->machine().handle_dial_back_result(outcome);
    service_.host_.mark_stream_active(connection_, this->stream());
  }

  DialBackService& service_;
  ConnectionId connection_;
  std::optional<DialBackId> work_;
};

// To a partner. When nobody waits any more it ends by itself, and what comes of it is ignored.
class DialBackService::OrderStream final : public QuestionStream<autonat::DialBackOrderClient> {
 public:
  OrderStream(Instant now, DialBackService& service, DialBackId id, const WantDialBack& wanted)
      : QuestionStream(autonat::DialBackOrderClient(now, {wanted.peer, wanted.address, wanted.nonce},
                                                    autonat::k_dial_back_order_timeout)),
        service_(service),
        id_(id) {}

 protected:
  void handle_outcome(Instant now, const Result<autonat::DialBackReport>& report) override {
    service_.handle_report(now, id_, report ? report->outcome : DialBackOutcome::not_tried);
  }

 private:
  DialBackService& service_;
  DialBackId id_;
};

std::unique_ptr<StreamHandler> DialBackService::make_request_handler(Instant now, const PeerLink& link) {
  return std::make_unique<Stream<autonat::DialRequestServer>>(
      *this, link.id(), now, link.peer(), link.path().remote.address, config_.policy, requests_, rng_, limits_.request);
}

std::unique_ptr<StreamHandler> DialBackService::make_order_handler(Instant now, const PeerLink& link) {
  return std::make_unique<Stream<autonat::DialBackOrderServer>>(*this, link.id(), now, link.peer(),
                                                                link.path().remote.address, config_, orders_);
}

// --- one dial-back ----------------------------------------------------------------------------------------------

DialBackId DialBackService::start(Waiter& waiter, const WantDialBack& wanted, bool may_order) {
  const DialBackId id{next_id_++};
  work_.emplace(id, Work{.waiter = &waiter, .wanted = wanted, .may_order = may_order});
  waiting_.push_back(id);
  host_.mark_dial_backs_active();
  return id;
}

void DialBackService::settle(Instant now) {
  for (const DialBackId id : std::exchange(waiting_, {})) {
    const auto found = work_.find(id);
    if (found == work_.end()) continue;
    Work& work = found->second;
    PeerLink* const partner = work.may_order ? choose_partner(work.wanted) : nullptr;
    const bool is_ordered =
        partner != nullptr && partner->open(now, std::string(autonat::k_dial_back_order_protocol),
                                            std::make_unique<OrderStream>(now, *this, id, work.wanted));
    if (!is_ordered) dial(now, id, work);
  }
}

// One that dials from another address than this node, and not from where the client is. Partners know nothing of where
// the client was seen, so that they dial addresses of the Internet only.
PeerLink* DialBackService::choose_partner(const WantDialBack& wanted) {
  if (!is_global(wanted.remote.address)) return nullptr;
  std::vector<PeerLink*> usable;
  for (const auto& [peer, partner] : partners_) {
    PeerLink* const link = host_.find_direct_link(peer, std::nullopt);
    if (link == nullptr || peer == wanted.peer) continue;
    const IpAddress& address = link->path().remote.address;
    if (address != link->path().local.address && address != wanted.remote.address) usable.push_back(link);
  }
  return usable.empty() ? nullptr : usable[static_cast<std::size_t>(rng_.below(usable.size()))];
}

void DialBackService::handle_report(Instant now, DialBackId id, DialBackOutcome outcome) {
  const auto found = work_.find(id);
  if (found == work_.end()) return;
  if (outcome == DialBackOutcome::not_tried) return dial(now, id, found->second);
  ++ordered_;
  end(id, outcome);
}

void DialBackService::dial(Instant now, DialBackId id, Work& work) {
  work.is_dialled = true;
  ++dialled_;
  host_.dial_back(now, id, work.wanted);
}

void DialBackService::handle_dial_back_ended(Instant /*now*/, DialBackId id, DialBackOutcome outcome) {
  end(id, outcome);
}

void DialBackService::end(DialBackId id, DialBackOutcome outcome) {
  const auto work = work_.extract(id);
  if (!work.empty()) work.mapped().waiter->handle_outcome(outcome);
}

void DialBackService::abandon(DialBackId id) {
  const auto work = work_.extract(id);
  if (!work.empty() && work.mapped().is_dialled) host_.cancel_dial_back(id);
}

// --- partners ---------------------------------------------------------------------------------------------------

Result<void> DialBackService::add_partner(Instant now, const PeerId& id, std::vector<Multiaddr> addresses) {
  if (!partners_.contains(id) && partners_.size() >= max_partners) {
    return fail(Errc::limit_reached, "servers that dial back for each other");
  }
  config_.partners.insert(id);
  Partner& partner = partners_[id];
  partner.addresses = std::move(addresses);
  reach(now, id, partner);
  return {};
}

void DialBackService::reach(Instant now, const PeerId& id, Partner& partner) {
  partner.next_dial.reset();
  if (host_.find_direct_link(id, std::nullopt) == nullptr && !partner.addresses.empty()) {
    host_.dial_partner(now, id, partner.addresses);
  }
}

void DialBackService::handle_partner_reached(Instant now, const PeerId& id, bool is_connected) {
  const auto found = partners_.find(id);
  if (found == partners_.end()) return;
  Partner& partner = found->second;
  if (is_connected) {
    partner.retry = first_retry;
  } else {
    partner.next_dial = now + partner.retry;
    partner.retry = std::min(partner.retry * 2, max_retry);
  }
}

void DialBackService::handle_link_closed(Instant now, const PeerId& peer) {
  const auto found = partners_.find(peer);
  if (found != partners_.end() && !found->second.next_dial) found->second.next_dial = now + found->second.retry;
}

void DialBackService::handle_timeout(Instant now) {
  for (auto& [id, partner] : partners_) {
    if (partner.next_dial && *partner.next_dial <= now) reach(now, id, partner);
  }
}

std::optional<Instant> DialBackService::next_timeout() const {
  std::optional<Instant> next;
  for (const auto& [id, partner] : partners_) next = earliest(next, partner.next_dial);
  return next;
}

void DialBackService::stop() { partners_.clear(); }

DialBackStatus DialBackService::snapshot() const {
  return {.dial_backs = work_.size(),
          .partners = partners_.size(),
          .ordered = ordered_,
          .dialled = dialled_,
          .requests = requests_.snapshot(),
          .orders = orders_.snapshot()};
}

// --- saying the nonce -------------------------------------------------------------------------------------------

namespace {

class NonceStream final : public QuestionStream<autonat::DialBackSender> {
 public:
  NonceStream(Instant now, DialBackEnds& told, DialBackId id, std::uint64_t nonce)
      : QuestionStream(autonat::DialBackSender(now, {nonce}, autonat::k_dial_back_timeout)), told_(told), id_(id) {}

 protected:
  void handle_outcome(Instant /*now*/, const Result<autonat::DialBackResponse>& response) override {
    told_.handle_nonce_said(id_, response ? DialBackOutcome::dialled_back : DialBackOutcome::not_delivered);
  }

 private:
  DialBackEnds& told_;
  DialBackId id_;
};

}  // namespace

std::unique_ptr<StreamHandler> make_dial_back_sender(Instant now, DialBackEnds& told, DialBackId id,
                                                     std::uint64_t nonce) {
  return std::make_unique<NonceStream>(now, told, id, nonce);
}

}  // namespace dig::node
