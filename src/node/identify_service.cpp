// SPDX-License-Identifier: Apache-2.0
#include "node/identify_service.hpp"

#include "node/question_stream.hpp"
#include "proto/identify/identify_stream.hpp"

namespace dig::node {
namespace {

class Teller final : public BriefStream {
 public:
  explicit Teller(const Identify& message) : machine_(message) {}

  void handle_eof(Instant /*now*/) override {}
  [[nodiscard]] bool has_finished_writing() const override { return machine_.is_done(); }
  void handle_closed(Instant /*now*/, const Error& /*why*/) override {}
  void handle_timeout(Instant now) override { end_if_due(now); }
  [[nodiscard]] std::optional<Instant> next_timeout() const override { return end(); }

 protected:
  // Nothing is to come on this half; what comes is not kept.
  [[nodiscard]] std::size_t take(Instant /*now*/, BytesView bytes) override { return bytes.size(); }
  [[nodiscard]] std::size_t give(Instant now, MutableBytes out) override {
    const std::size_t size = machine_.poll_bytes(out);
    if (machine_.is_done()) end_soon(now);
    return size;
  }

 private:
  identify::Sender machine_;
};

class Listener final : public BufferedHandler {
 public:
  Listener(Instant now, const PeerLink& link, IdentifyHost& host)
      : peer_(link.peer()),
        connection_(link.id()),
        host_(host),
        machine_(link.peer()),
        deadline_(now + IdentifyService::deadline) {}

  void handle_eof(Instant now) override {
    machine_.handle_eof();
    collect(now);
  }
  [[nodiscard]] bool has_finished_writing() const override { return true; }
  [[nodiscard]] std::optional<Error> failure() const override { return failure_; }
  void handle_closed(Instant /*now*/, const Error& /*why*/) override {}
  void handle_timeout(Instant now) override {
    if (now >= deadline_ && !is_told_) failure_ = Error(Errc::phase_timeout, "the peer did not say who it is");
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override {
    return is_told_ || failure_ ? std::nullopt : std::optional(deadline_);
  }

 protected:
  [[nodiscard]] std::size_t take(Instant now, BytesView bytes) override {
    machine_.handle_bytes(bytes);
    collect(now);
    return bytes.size();
  }
  [[nodiscard]] std::size_t give(Instant /*now*/, MutableBytes /*out*/) override { return 0; }

 private:
  void collect(Instant now) {
    if (is_told_ || failure_ || !machine_.result()) return;
    if (!*machine_.result()) {
      failure_ = machine_.result()->error();
      return;
    }
    is_told_ = true;
    const Identify& message = **machine_.result();
    dignet::PeerIdentified told{.peer_id = peer_.to_string(),
                                .agent_version = message.agent_version.str(),
                                .addresses = {},
                                .protocols = message.protocols,
                                .observed_address = {}};
    for (const Multiaddr& address : message.listen_addresses) told.addresses.push_back(address.to_string());
    if (message.observed_address) told.observed_address = message.observed_address->to_string();
    host_.put(NodeFact{std::move(told)});
    host_.handle_identified(now, connection_, message);
  }

  PeerId peer_;
  ConnectionId connection_;
  IdentifyHost& host_;
  identify::Reader machine_;
  Instant deadline_;
  bool is_told_ = false;
  std::optional<Error> failure_;
};

}  // namespace

bool IdentifyService::set_addresses(std::vector<Multiaddr> addresses) {
  if (addresses == addresses_) return false;
  addresses_ = std::move(addresses);
  return true;
}

Identify IdentifyService::own_message(const PeerLink& link, const std::vector<std::string>& protocols) const {
  Identify message;
  message.public_key = identity_.public_key();
  message.listen_addresses = addresses_;
  message.protocols = protocols;
  message.observed_address = link.path().address;
  message.protocol_version = SafeText("ipfs/0.1.0");
  message.agent_version = SafeText(agent_version_);
  return message;
}

std::unique_ptr<StreamHandler> IdentifyService::make_responder(const PeerLink& link,
                                                               const std::vector<std::string>& protocols) const {
  return std::make_unique<Teller>(own_message(link, protocols));
}

std::unique_ptr<StreamHandler> IdentifyService::make_push_receiver(Instant now, const PeerLink& link) const {
  return std::make_unique<Listener>(now, link, host_);
}

// A peer without identify can be talked to all the same, so a failure to open is not an error of the connection.
void IdentifyService::request(Instant now, PeerLink& link) const {
  (void)link.open(now, std::string(identify::k_protocol), std::make_unique<Listener>(now, link, host_));
}

void IdentifyService::push(Instant now, PeerLink& link, const std::vector<std::string>& protocols) const {
  (void)link.open(now, std::string(identify::k_push_protocol), std::make_unique<Teller>(own_message(link, protocols)));
}

}  // namespace dig::node
