// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "proto/relay/testing/relay_world.hpp"
#include "proto/relay/testing/relay_world_parts.hpp"

namespace dig::relay::testing {
namespace {

using circuit::Status;

constexpr UnixTime k_wall{1'800'000'000};

// The payload of a circuit: known by its place alone.
std::byte payload_at(std::uint64_t key, bool from_initiator, std::size_t place) {
  return static_cast<std::byte>(hash_mix(key * 2 + (from_initiator ? 1 : 0)) + place * 31 + place / 256);
}

template <class Machine>
void poll_into(Machine& machine, Pipe& pipe, std::size_t room) {
  Bytes out(room);
  append(pipe.bytes, BytesView(out).first(machine.poll_bytes(out)));
}

}  // namespace

// --- any end --------------------------------------------------------------------------------------------------------

void RelayWorld::pump(Hop& hop) {
  if (hop.is_over) return;
  switch (rng_.below(4)) {
    case 0:
      client_writes(hop);
      break;
    case 1:
      relay_reads(hop);
      break;
    case 2:
      relay_writes(hop);
      break;
    default:
      client_reads(hop);
      break;
  }
  settle_hop(hop);
}

void RelayWorld::pump(Stop& stop) {
  if (stop.is_over) return;
  switch (rng_.below(4)) {
    case 0:
      target_writes(stop);
      break;
    case 1:
      relay_reads(stop);
      break;
    case 2:
      relay_writes(stop);
      break;
    default:
      target_reads(stop);
      break;
  }
  settle_stop(stop);
}

void RelayWorld::write_payload(Stream& stream) {
  Pipe& pipe = stream.to_relay;
  if (pipe.is_ended) return;
  if (chance(20)) {
    pipe.is_ended = true;
    return;
  }
  for (std::size_t count = rng_.below(150); count > 0; --count) {
    pipe.bytes.push_back(payload_at(stream.key, stream.is_initiator, stream.sent++));
  }
}

void RelayWorld::read_payload(Stream& stream, BytesView bytes) {
  for (const std::byte byte : bytes) {
    require(byte == payload_at(stream.key, !stream.is_initiator, stream.received++), "a byte that nobody sent there");
  }
  tally_.bytes += bytes.size();
  require(limits_.circuit.data == 0 || stream.received <= limits_.circuit.data, "more bytes than the limit");
}

// --- hop streams ----------------------------------------------------------------------------------------------------

void RelayWorld::client_writes(Hop& hop) {
  const std::size_t room = rng_.below(40);
  if (hop.reserve) return poll_into(*hop.reserve, hop.to_relay, room);
  poll_into(*hop.connect, hop.to_relay, room);
  const bool is_sent = hop.connect->snapshot().buffered_bytes == 0 || hop.is_settled;
  // Some do not wait for the answer.
  if (is_sent && hop.key != 0 && (hop.is_payload || chance(3))) write_payload(hop);
}

void RelayWorld::relay_reads(Hop& hop) {
  const BytesView rest = hop.to_relay.rest();
  const BytesView piece = rest.first(rest.empty() ? 0 : rng_.below(rest.size() + 1));
  Splice* splice = hop.circuit != nullptr && hop.circuit->splice ? &*hop.circuit->splice : nullptr;
  std::size_t taken = 0;
  if (splice != nullptr) {
    taken = splice->handle_bytes(now_, CircuitEnd::hop, piece);
  } else if (!hop.responder.result()) {
    taken = hop.responder.handle_bytes(now_, piece);
    if (const auto request = hop.responder.take_request()) serve_request(hop, *request);
  }
  hop.to_relay.read += taken;
  if (!hop.to_relay.is_at_end()) return;
  if (splice != nullptr) {
    hop.to_relay.has_told_end = true;
    splice->handle_eof(CircuitEnd::hop);
  } else if (hop.circuit == nullptr && !hop.responder.result()) {
    hop.to_relay.has_told_end = true;
    hop.responder.handle_eof(now_);
  }
}

void RelayWorld::serve_request(Hop& hop, const HopProtocol::Request& request) {
  const RelayClient client = client_of(*hop.link);
  if (std::holds_alternative<ReserveAsked>(request)) {
    const bool is_refresh = model_.carrier_of(client.peer).has_value();
    const Status expected = model_.reserve(now_, client);
    const circuit::HopMessage answer = server_.reserve(now_, k_wall, client);
    require(answer.status == expected, "another answer to RESERVE");
    ++(expected == Status::ok ? (is_refresh ? tally_.refreshed : tally_.granted) : tally_.refused);
    return hop.responder.answer(answer);
  }
  const PeerId& target = std::get<ConnectAsked>(request).target;
  const Status expected = model_.connect(now_, client, target);
  const auto admitted = server_.connect(now_, client, target);
  require((admitted ? Status::ok : admitted.error()) == expected, "another answer to CONNECT");
  if (!admitted) {
    ++tally_.connects_refused;
    return hop.responder.answer(circuit::HopMessage::answer(admitted.error()));
  }
  require(model_.carrier_of(target) == admitted->target, "a circuit to another connection");
  model_.circuit_opened(admitted->circuit, client, target);
  auto circuit = std::make_unique<Circuit>();
  auto stop = std::make_unique<Stop>(now_, StopRequest{client.peer, admitted->limit});
  circuit->id = admitted->circuit;
  circuit->hop = &hop;
  circuit->stop = stop.get();
  hop.circuit = stop->circuit = circuit.get();
  stop->link = find_link(admitted->target);
  require(stop->link != nullptr, "a reservation on a connection that is gone");
  stop->key = hop.key = admitted->circuit.value;
  circuits_.push_back(std::move(circuit));
  stops_.push_back(std::move(stop));
}

void RelayWorld::relay_writes(Hop& hop) {
  const std::size_t room = rng_.below(100);
  poll_into(hop.responder, hop.from_relay, room);
  if (!hop.responder.result()) return;
  if (!*hop.responder.result()) return break_stream(hop);
  if (**hop.responder.result() == ResponseEnd::finished) {
    hop.from_relay.is_ended = true;
    return;
  }
  if (hop.circuit == nullptr || !hop.circuit->splice) return;
  Splice& splice = *hop.circuit->splice;
  const BytesView ready = splice.output(CircuitEnd::hop);
  const std::size_t size = std::min(ready.size(), room);
  append(hop.from_relay.bytes, ready.first(size));
  splice.handle_written(CircuitEnd::hop, size);
  if (splice.has_finished_writing(CircuitEnd::hop)) hop.from_relay.is_ended = true;
}

void RelayWorld::client_reads(Hop& hop) {
  const BytesView rest = hop.from_relay.rest();
  const BytesView piece = rest.first(rest.empty() ? 0 : rng_.below(rest.size() + 1));
  if (hop.is_payload) {
    read_payload(hop, piece);
    hop.from_relay.read += piece.size();
    return;
  }
  if (hop.is_settled) return;
  hop.from_relay.read += hop.reserve ? hop.reserve->handle_bytes(now_, piece) : hop.connect->handle_bytes(now_, piece);
  if (!hop.from_relay.is_at_end()) return;
  hop.from_relay.has_told_end = true;
  if (hop.reserve) {
    hop.reserve->handle_eof(now_);
  } else {
    hop.connect->handle_eof(now_);
  }
}

void RelayWorld::settle_hop(Hop& hop) {
  if (hop.is_over || hop.is_settled) return;
  if (hop.responder.result() && !*hop.responder.result()) return break_stream(hop);
  ReservationKeeper& keeper = peers_[hop.link->peer]->keeper;
  if (hop.reserve && hop.reserve->result()) {
    hop.is_settled = hop.is_over = true;
    const auto& result = *hop.reserve->result();
    if (result) {
      require(result->voucher.has_value(), "a reservation without a voucher");
      return keeper.handle_reserved(now_, k_wall, hop.attempt, *result);
    }
    keeper.handle_failed(now_, hop.attempt, result.error());
  } else if (hop.connect && hop.connect->result()) {
    hop.is_settled = true;
    hop.is_payload = hop.connect->result()->has_value();
    if (!hop.is_payload) return break_stream(hop);
    require(**hop.connect->result() == limits_.circuit, "another limit than the relay's");
  }
}

// --- stop streams ---------------------------------------------------------------------------------------------------

void RelayWorld::relay_writes(Stop& stop) {
  const std::size_t room = rng_.below(100);
  poll_into(stop.client, stop.from_relay, room);
  if (stop.circuit == nullptr || !stop.circuit->splice) return;
  Splice& splice = *stop.circuit->splice;
  const BytesView ready = splice.output(CircuitEnd::stop);
  const std::size_t size = std::min(ready.size(), room);
  append(stop.from_relay.bytes, ready.first(size));
  splice.handle_written(CircuitEnd::stop, size);
  if (splice.has_finished_writing(CircuitEnd::stop)) stop.from_relay.is_ended = true;
}

void RelayWorld::target_reads(Stop& stop) {
  const BytesView rest = stop.from_relay.rest();
  const BytesView piece = rest.first(rest.empty() ? 0 : rng_.below(rest.size() + 1));
  if (stop.is_payload) {
    read_payload(stop, piece);
    stop.from_relay.read += piece.size();
    return;
  }
  if (stop.responder.result()) return;
  stop.from_relay.read += stop.responder.handle_bytes(now_, piece);
  if (const auto offer = stop.responder.take_request()) {
    require(offer->limit == limits_.circuit, "another limit than the relay's");
    const bool accepts = !chance(6);
    if (!accepts) ++tally_.offers_refused;
    stop.responder.answer(circuit::StopMessage::answer(accepts ? Status::ok : Status::connection_failed));
  }
}

void RelayWorld::target_writes(Stop& stop) {
  if (stop.is_payload) return write_payload(stop);
  poll_into(stop.responder, stop.to_relay, rng_.below(40));
  if (!stop.responder.result()) return;
  if (!*stop.responder.result()) return break_stream(stop);
  stop.is_payload = **stop.responder.result() == ResponseEnd::circuit;
}

void RelayWorld::relay_reads(Stop& stop) {
  const BytesView rest = stop.to_relay.rest();
  const BytesView piece = rest.first(rest.empty() ? 0 : rng_.below(rest.size() + 1));
  if (!stop.is_settled) {
    stop.to_relay.read += stop.client.handle_bytes(now_, piece);
    return;
  }
  if (stop.circuit == nullptr || !stop.circuit->splice) return;
  Splice& splice = *stop.circuit->splice;
  stop.to_relay.read += splice.handle_bytes(now_, CircuitEnd::stop, piece);
  if (!stop.to_relay.is_at_end()) return;
  stop.to_relay.has_told_end = true;
  splice.handle_eof(CircuitEnd::stop);
}

void RelayWorld::settle_stop(Stop& stop) {
  if (stop.is_over) return;
  if (stop.responder.result() && !*stop.responder.result()) return break_stream(stop);
  if (!stop.is_settled && stop.client.result()) {
    stop.is_settled = true;
    if (!*stop.client.result()) return break_stream(stop);
    stop.circuit->splice.emplace(now_, limits_.circuit, SpliceLimits{.buffer = 1 + rng_.below(200), .drain = 5s});
    stop.circuit->began = now_;
    stop.circuit->hop->responder.answer(circuit::HopMessage::answer(Status::ok, limits_.circuit));
    ++tally_.circuits;
  }
  if (stop.circuit != nullptr) settle_circuit(*stop.circuit);
}

// --- circuits -------------------------------------------------------------------------------------------------------

void RelayWorld::settle_circuit(Circuit& circuit) {
  if (circuit.is_over || !circuit.splice || !circuit.splice->result()) return;
  const Splice& splice = *circuit.splice;
  if (*splice.result()) {
    ++tally_.ended_well;
    return end_circuit(circuit, false);
  }
  const bool is_time = now_ - circuit.began >= std::chrono::seconds(limits_.circuit.duration);
  const std::uint64_t most = std::max(splice.snapshot().bytes_from_hop, splice.snapshot().bytes_from_stop);
  require(splice.result()->error().code() == Errc::circuit_limit_reached, "a circuit that failed by itself");
  require(is_time || most == limits_.circuit.data, "a circuit that was cut off within its limit");
  ++(is_time ? tally_.time_used_up : tally_.bytes_used_up);
  end_circuit(circuit, true);
}

void RelayWorld::end_circuit(Circuit& circuit, bool is_broken) {
  if (circuit.is_over) return;
  circuit.is_over = true;
  server_.circuit_ended(circuit.id);
  model_.circuit_ended(circuit.id);
  Hop& hop = *circuit.hop;
  Stop& stop = *circuit.stop;
  hop.circuit = nullptr;
  stop.circuit = nullptr;
  if (is_broken) {
    const bool was_open = circuit.splice.has_value();
    stop.is_over = true;
    // A client that still waits hears why.
    if (was_open) {
      hop.is_over = true;
    } else {
      hop.responder.answer(circuit::HopMessage::answer(Status::connection_failed));
    }
  } else {
    // What is still under way arrives, the answer of the relay before all.
    if (!hop.is_settled) hop.from_relay.read += hop.connect->handle_bytes(now_, hop.from_relay.rest());
    read_payload(hop, hop.from_relay.rest());
    read_payload(stop, stop.from_relay.rest());
    require(hop.received == stop.sent && stop.received == hop.sent, "bytes were lost on a circuit that ended well");
    hop.is_over = stop.is_over = true;
  }
}

void RelayWorld::break_stream(Stream& stream) {
  if (stream.is_over) return;
  stream.is_over = true;
  for (const auto& circuit : circuits_) {
    if (circuit->hop != &stream && circuit->stop != &stream) continue;
    ++tally_.broken;
    end_circuit(*circuit, true);
  }
  for (const auto& hop : hops_) {
    if (hop.get() != &stream || !hop->reserve || hop->is_settled) continue;
    hop->is_settled = true;
    peers_[hop->link->peer]->keeper.handle_failed(now_, hop->attempt, Error(Errc::stream_reset));
  }
}

void RelayWorld::sweep() {
  std::erase_if(circuits_, [](const auto& circuit) { return circuit->is_over; });
  std::erase_if(hops_, [](const auto& hop) { return hop->is_over; });
  std::erase_if(stops_, [](const auto& stop) { return stop->is_over; });
}

}  // namespace dig::relay::testing
