// SPDX-License-Identifier: Apache-2.0
#include "sim/network.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace dig::sim {

// --- dialling ---------------------------------------------------------------------------------------------------

void Network::dial(SocketOwner& owner, DialToken token, Endpoint from, const Endpoint& to) {
  dials_.insert({&owner, token});
  events_.after(limits_.dial_timeout,
                [this, &owner, token] { answer_dial(owner, token, fail(Errc::connect_timeout)); });
  if (from.port == 0) {
    from.port = next_port_++;
    if (next_port_ == 0) next_port_ = 32'768;
  }
  if (is_silent(from.address, to.address)) return;
  const auto way = route(from, to);
  if (!way) return;
  events_.after(link_of(from.address, to.address).delay,
                [this, &owner, token, from, to, way = *way] { handle_syn(owner, token, from, to, way); });
}

Gateway* Network::gateway_of(const IpAddress& inside) {
  const auto found = std::ranges::find_if(gateways_, [&](const Gateway& gateway) { return gateway.is_inside(inside); });
  return found == gateways_.end() ? nullptr : &*found;
}

std::optional<Network::Route> Network::route(const Endpoint& from, const Endpoint& to) {
  Gateway* const near = gateway_of(from.address);
  Gateway* const far = gateway_of(to.address);
  if (near == far && near != nullptr) return Route{from, to};  // the same home
  if (far != nullptr) return std::nullopt;                     // a private address of another one
  const auto source = near == nullptr ? std::optional(from) : near->outbound(events_.now(), from, to);
  if (!source) return std::nullopt;
  const auto door = std::ranges::find(gateways_, to.address, &Gateway::outside);
  if (door == gateways_.end()) return Route{*source, to};
  if (&*door == near) return std::nullopt;  // no hairpinning
  const auto target = door->inbound(events_.now(), *source, to);
  return target ? std::optional(Route{*source, *target}) : std::nullopt;
}

void Network::handle_syn(SocketOwner& owner, DialToken token, const Endpoint& from, const Endpoint& to,
                         const Route& route) {
  if (!dials_.contains({&owner, token}) || is_silent(from.address, to.address)) return;
  const Duration back = link_of(from.address, to.address).delay;
  const auto listener = listeners_.find(route.target);
  if (listener == listeners_.end()) {
    events_.after(
        back, [this, &owner, token, to] { answer_dial(owner, token, fail(Errc::connection_refused, to.to_string())); });
    return;
  }
  const auto [near, far] = connect(owner, from, to, *listener->second, route);
  // Whoever listens decides after the kernel has answered, as with accept().
  events_.after(back, [this, &owner, token, id = near] { answer_dial(owner, token, id); });
  if (!listener->second->admits(route.source)) {
    trace_.add(events_.now(), listener->second->number().value, TraceKind::refused, far.value);
    remove(far);
    break_later(near, events_.now() + back);
    return;
  }
  Socket& accepted = sockets_.at(far);
  note(accepted, TraceKind::accepted, far);
  accepted.is_up = true;
  listener->second->handle_accepted(far, route.target, route.source);
  pump_out(far);
  listener->second->settle();
}

void Network::answer_dial(SocketOwner& owner, DialToken token, Result<SocketId> result) {
  const bool is_open = dials_.erase({&owner, token}) != 0;
  if (!result) {
    if (!is_open) return;
    trace_.add(events_.now(), owner.number().value, TraceKind::failed, token.value);
    owner.handle_dial_failed(token, result.error());
    owner.settle();
    return;
  }
  Socket* const socket = find(*result);
  if (socket == nullptr) {  // broken before the answer arrived
    if (is_open) {
      owner.handle_dial_failed(token, Error(Errc::connection_reset));
      owner.settle();
    }
    return;
  }
  if (!is_open) {
    close(*result, false);
    return;
  }
  note(*socket, TraceKind::dialled, *result);
  socket->is_up = true;
  owner.handle_dialled(token, *result, socket->local, socket->remote);
  pump_out(*result);
  owner.settle();
  schedule_delivery(*result);
}

std::pair<SocketId, SocketId> Network::connect(SocketOwner& dialler, const Endpoint& from, const Endpoint& to,
                                               SocketOwner& listener, const Route& route) {
  const LinkSpec spec = link_of(from.address, to.address);
  const SocketId near{next_socket_++};
  const SocketId far{next_socket_++};
  sockets_.emplace(near, Socket{&dialler, from, to, far, ByteLink(spec, rng_)});
  sockets_.emplace(far, Socket{&listener, route.target, route.source, near, ByteLink(spec, rng_)});
  ++connections_;
  return {near, far};
}

// --- bytes ------------------------------------------------------------------------------------------------------

void Network::schedule_delivery(SocketId id) {
  Socket* const socket = find(id);
  if (socket == nullptr || !socket->is_up) return;
  const Socket* const sender = find(socket->other);
  if (sender == nullptr || is_silent(socket->local.address, socket->remote.address)) return;
  const auto arrival = sender->out.next_arrival();
  if (!arrival || (socket->delivery && *socket->delivery <= *arrival)) return;
  socket->delivery = std::max(*arrival, events_.now());
  events_.at(*arrival, [this, id] { deliver(id); });
}

void Network::deliver(SocketId id) {
  Socket* const socket = find(id);
  if (socket == nullptr) return;
  socket->delivery.reset();
  Socket* const sender = find(socket->other);
  if (sender == nullptr || is_silent(socket->local.address, socket->remote.address)) return;
  // Who does not want bytes leaves them in the link; flush() comes back.
  if (!socket->is_closing && !socket->owner->wants_bytes(id)) return;
  if (auto segment = sender->out.receive(events_.now())) hand_over(id, *socket, std::move(*segment));
  schedule_delivery(id);
}

void Network::hand_over(SocketId id, Socket& socket, ByteLink::Segment segment) {
  note(socket, TraceKind::arrived, id, {});
  const SocketId sender = socket.other;
  if (!segment.bytes.empty()) {
    events_.after(socket.out.spec().delay, [this, sender, size = segment.bytes.size()] { acknowledge(sender, size); });
  }
  if (segment.is_end) socket.has_received_end = true;
  if (socket.is_closing) {  // thrown away: the owner has let go
    remove_if_done(id);
    return;
  }
  SocketOwner& owner = *socket.owner;
  if (segment.is_end) {
    owner.handle_eof(id);
  } else {
    owner.handle_bytes(id, segment.bytes);
  }
  pump_out(id);
  owner.settle();
}

void Network::acknowledge(SocketId sender, std::size_t size) {
  Socket* const socket = find(sender);
  if (socket == nullptr) return;
  SocketOwner& owner = *socket->owner;
  const bool was_full = socket->out.room() == 0;
  socket->out.acknowledge(size);
  if (!was_full) return;
  const bool is_owned = !socket->is_closing;
  pump_out(sender);
  if (is_owned) owner.settle();
}

void Network::pump_out(SocketId id) {
  std::array<std::byte, 64 * 1024> buffer;
  Socket* socket = find(id);
  if (socket == nullptr || socket->has_sent_end || !socket->is_up) return;
  bool is_drained = false;
  while (!is_drained && socket->out.room() > 0) {
    const MutableBytes out = MutableBytes(buffer).first(std::min(buffer.size(), socket->out.room()));
    const std::size_t size = socket->owner->poll_bytes(id, out);
    is_drained = size == 0;
    if (is_drained) break;
    note(*socket, TraceKind::sent, id, out.first(size));
    socket->out.send(events_.now(), out.first(size));
    bytes_sent_ += size;
  }
  if (is_drained && socket->is_closing) {
    socket->has_sent_end = true;
    socket->out.send_end(events_.now());
  }
  if (find(socket->other) == nullptr) {
    // The other end is gone: its kernel answers with a reset.
    if (socket->out.under_way() > 0 || socket->has_sent_end)
      break_later(id, events_.now() + socket->out.spec().delay * 2);
    return;
  }
  if (is_silent(socket->local.address, socket->remote.address)) watch(id);
  schedule_delivery(socket->other);
  remove_if_done(id);
  // What was sent may have made room for an answer, so that the owner wants bytes again.
  schedule_delivery(id);
}

void Network::flush(SocketId id) {
  const Socket* const socket = find(id);
  if (socket == nullptr || socket->is_closing) return;
  pump_out(id);
}

// --- the end of connections --------------------------------------------------------------------------------------

void Network::close(SocketId id, bool is_graceful) {
  Socket* const socket = find(id);
  if (socket == nullptr || socket->is_closing) return;
  if (!is_graceful) {
    const SocketId other = socket->other;
    const Instant arrives = std::max(socket->out.last_arrival(), events_.now() + socket->out.spec().delay);
    remove(id);
    break_later(other, arrives);
    return;
  }
  socket->is_closing = true;
  pump_out(id);
  schedule_delivery(id);
  events_.after(limits_.linger, [this, id] {
    if (const Socket* late = find(id)) {
      const SocketId other = late->other;
      remove(id);
      break_later(other, events_.now());
    }
  });
}

void Network::remove_if_done(SocketId id) {
  const Socket* const socket = find(id);
  if (socket == nullptr || !socket->is_closing || !socket->has_sent_end || !socket->has_received_end) return;
  // The last bytes are still on their way: both ends go when the other one has heard the end too.
  const Socket* const other = find(socket->other);
  if (other != nullptr && !other->has_received_end) return;
  const SocketId other_id = socket->other;
  remove(id);
  if (other != nullptr) remove_if_done(other_id);
}

void Network::break_later(SocketId id, Instant when) {
  events_.at(when, [this, id] {
    const Socket* const socket = find(id);
    if (socket == nullptr || is_silent(socket->local.address, socket->remote.address)) return;
    break_now(id, Error(Errc::connection_reset, socket->remote.to_string()));
  });
}

void Network::break_now(SocketId id, const Error& error) {
  const Socket* const socket = find(id);
  if (socket == nullptr) return;
  SocketOwner& owner = *socket->owner;
  const bool is_owned = socket->is_up && !socket->is_closing;
  note(*socket, TraceKind::failed, id);
  remove(id);
  if (!is_owned) return;
  owner.handle_error(id, error);
  owner.settle();
}

// --- faults -----------------------------------------------------------------------------------------------------

void Network::cut(const IpAddress& a, const IpAddress& b) {
  for (const auto& [id, socket] : sockets_) {
    if (path(socket.local.address, socket.remote.address) == path(a, b)) break_later(id, events_.now());
  }
}

void Network::silence(const IpAddress& a, const IpAddress& b) {
  silent_.insert(path(a, b));
  for (const auto& [id, socket] : sockets_) {
    if (path(socket.local.address, socket.remote.address) == path(a, b) && socket.out.under_way() > 0) watch(id);
  }
}

void Network::heal(const IpAddress& a, const IpAddress& b) {
  silent_.erase(path(a, b));
  std::vector<SocketId> affected;
  for (const auto& [id, socket] : sockets_) {
    if (path(socket.local.address, socket.remote.address) == path(a, b)) affected.push_back(id);
  }
  for (const SocketId id : affected) {
    schedule_delivery(id);
    // Who was left alone by the other end hears of it now.
    if (const Socket* socket = find(id); socket != nullptr && find(socket->other) == nullptr) {
      break_later(id, events_.now() + socket->out.spec().delay);
    }
  }
}

void Network::watch(SocketId id) {
  Socket& socket = sockets_.at(id);
  if (std::exchange(socket.is_watched, true)) return;
  events_.after(limits_.silence_timeout, [this, id] {
    Socket* const late = find(id);
    if (late == nullptr) return;
    late->is_watched = false;
    if (is_silent(late->local.address, late->remote.address) && late->out.under_way() > 0) {
      break_now(id, Error(Errc::peer_silent, late->remote.to_string()));
    }
  });
}

void Network::forget(SocketOwner& owner, bool says_so) {
  std::erase_if(dials_, [&](const auto& dial) { return dial.first == &owner; });
  std::vector<SocketId> owned;
  for (const auto& [id, socket] : sockets_) {
    if (socket.owner == &owner) owned.push_back(id);
  }
  for (const SocketId id : owned) {
    const SocketId other = sockets_.at(id).other;
    const Duration delay = sockets_.at(id).out.spec().delay;
    remove(id);
    if (says_so) break_later(other, events_.now() + delay);
  }
}

Network::Socket* Network::find(SocketId socket) {
  const auto found = sockets_.find(socket);
  return found == sockets_.end() ? nullptr : &found->second;
}

LinkSpec Network::link_of(const IpAddress& a, const IpAddress& b) const {
  const auto found = links_.find(path(a, b));
  return found == links_.end() ? default_link_ : found->second;
}

void Network::note(const Socket& socket, TraceKind kind, SocketId id, BytesView bytes) {
  trace_.add(events_.now(), socket.owner->number().value, kind, id.value, bytes);
}

Network::Status Network::snapshot() const {
  return {.sockets = sockets_.size(), .dials = dials_.size(), .bytes_sent = bytes_sent_, .connections = connections_};
}

}  // namespace dig::sim
