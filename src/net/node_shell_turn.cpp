// SPDX-License-Identifier: Apache-2.0
// The node as a TURN server for its peers: on its one port, with credentials that its core gives, as far as its owner
// wants it.
#include <utility>

#include "net/clock.hpp"
#include "net/node_shell.hpp"

namespace dig::net {

TurnRole NodeShell::turn_role(const ShellOptions& options) const {
  if (!options.turn_relay || !options.listen) return options.turn.value_or(TurnRole{});
  return {.shard = turn_shard_options(*options.turn_relay),
          .credentials = {std::shared_ptr<void>(), &core_->turn_credentials()},  // the core's, which outlives the shard
          .quotas = turn_quotas(*options.turn_relay)};
}

void NodeShell::prepare_turn(const ShellOptions& options) {
  if (!options.turn_relay || !options.listen) return;
  turn_volume_file_ = options.turn_relay->volume_file;
  const auto kept = read_turn_volume(turn_volume_file_);
  if (!kept) warnings_.push_back(kept.error());  // it begins anew
  kept_turn_volume_ = kept.value_or(turn::MonthlyVolume::State{});
  NodeTurn::Hooks hooks;
  hooks.set_wish = [this](Instant now, const node::TurnWish& wish, const std::string& why) {
    core_->set_turn_wish(now, wish, why);
    pump(now);
  };
  hooks.save = [this](const turn::MonthlyVolume::State& /*state*/) { keep_turn_volume(); };
  node_turn_ = std::make_unique<NodeTurn>(*loop_, *turn_, *options.turn_relay, kept_turn_volume_, std::move(hooks));
  loop_->post([this] { node_turn_->start(monotonic_now()); });
}

// Answered later: the core is being drained.
void NodeShell::open_udp_probe(const node::OpenUdpProbe& probe) {
  loop_->post([this, id = probe.id, relay = try_relay_port(probe)] {
    const Instant now = monotonic_now();
    core_->handle_udp_probe_listening(now, id, relay);
    pump(now);
  });
}

void NodeShell::send_udp_probe(const node::SendUdpProbe& probe) {
  loop_->post([this, id = probe.id, is_sent = UdpProbes::send(probe.to, probe.datagram)] {
    const Instant now = monotonic_now();
    core_->handle_udp_probe_sent(now, id, is_sent);
    pump(now);
  });
}

// Bound as that of an allocation. Whatever is in front of this machine keeps the port (RFC 4787 §4.2.2), as it must for
// every relay port.
Result<Endpoint> NodeShell::try_relay_port(const node::OpenUdpProbe& probe) {
  if (!node_turn_) return fail(Errc::unsupported, "no TURN server");
  const NodeTurnOptions& options = node_turn_->options();
  DIG_TRY(const RelayPlace place, node_turn_->relay_place(probe.reached));
  DIG_TRY(const std::uint16_t port, udp_probes_->open(probe.id.value, place.bound, options.min_port, options.max_port));
  return Endpoint{place.told, port};
}

void NodeShell::keep_turn_volume() {
  if (is_keeping_turn_volume_ || turn_volume_file_.empty() || !node_turn_) return;
  const turn::MonthlyVolume::State state = node_turn_->volume();
  if (state == kept_turn_volume_) return;
  is_keeping_turn_volume_ = pool_->run([file = turn_volume_file_, state] { return write_turn_volume(file, state); },
                                       [this, state](const Result<void>& written) {
                                         is_keeping_turn_volume_ = false;
                                         if (!written) return;  // tried again with the next one, and at the end
                                         kept_turn_volume_ = state;
                                         keep_turn_volume();
                                       });
}

// While the shard is still there.
void NodeShell::end_turn() {
  if (!node_turn_) return;
  node_turn_->stop();
  last_turn_volume_ = node_turn_->volume();
  node_turn_.reset();
}

// After the workers have ended.
void NodeShell::keep_last_turn_volume() {
  const auto last = std::exchange(last_turn_volume_, std::nullopt);
  if (!last || *last == kept_turn_volume_ || turn_volume_file_.empty()) return;
  std::ignore = write_turn_volume(turn_volume_file_, *last);
}

}  // namespace dig::net
