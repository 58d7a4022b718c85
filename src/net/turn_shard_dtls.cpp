// SPDX-License-Identifier: Apache-2.0
// DTLS clients of a TURN shard.
#include <algorithm>
#include <array>

#include "net/turn_shard_impl.hpp"

namespace dig::net {
namespace {

constexpr Duration k_timer_step = 250ms;  // while handshakes are under way: finer than their first retransmission

}  // namespace

bool TurnShard::Impl::is_dtls(BytesView datagram) const {
  // RFC 7983 §7: 20 … 63.
  return tls_.datagram && !datagram.empty() && datagram.front() >= std::byte{20} && datagram.front() <= std::byte{63};
}

void TurnShard::Impl::handle_dtls(UnixTime wall, const Received& batch) {
  const std::size_t segment = batch.segment_size == 0 ? batch.bytes.size() : batch.segment_size;
  const turn::ClientPath path{StunTransport::dtls, batch.local, batch.remote, 0};
  for (BytesView rest = batch.bytes; !rest.empty(); rest = rest.subspan(std::min(segment, rest.size()))) {
    Received in = batch;
    in.bytes = rest.first(std::min(segment, rest.size()));
    in.segment_size = 0;
    const auto client = dtls_clients_.find(path);
    if (client == dtls_clients_.end() || crypto::DtlsListener::is_client_hello(in.bytes)) {
      meet_stranger(wall, in, path);
      continue;
    }
    client->second.last_datagram = in.now;
    const auto size = client->second.session.receive(in.now, in.bytes, plaintext_);
    if (size) {
      server_.route(turn::Server::FromClient{in.now, wall, path, BytesView(plaintext_).first(*size)}, *this);
      scatter_.flush();  // the plaintext is gone with the next one
    }
    while (const auto more = client->second.session.read(plaintext_)) {
      server_.route(turn::Server::FromClient{in.now, wall, path, BytesView(plaintext_).first(*more)}, *this);
      scatter_.flush();
    }
    drain_dtls(in.now, client);
  }
}

// Nothing is kept of a client before it has echoed its cookie. One that has an established session and proves itself
// again has restarted (RFC 6347 §4.2.8).
void TurnShard::Impl::meet_stranger(UnixTime wall, const Received& in, const turn::ClientPath& path) {
  const auto known = dtls_clients_.find(path);
  if (known != dtls_clients_.end() && !known->second.session.snapshot().is_established) {
    known->second.session.handle_datagram(in);  // a retransmission of a handshake that is under way
    return drain_dtls(in.now, known);
  }
  const auto answer = dtls_listener_.handle_datagram(in, rng_, ciphertext_);
  if (answer.verdict == crypto::DtlsListener::Verdict::challenged) {
    send_to_client(path, {}, BytesView(ciphertext_).first(answer.size), 0);
    scatter_.flush();
  }
  if (answer.verdict != crypto::DtlsListener::Verdict::proven ||
      dtls_listener_.snapshot().half_open >= options_.max_half_open_dtls ||
      (known == dtls_clients_.end() && dtls_clients_.size() >= options_.max_dtls_sessions)) {
    return;
  }
  auto session = dtls_listener_.accept(in, tls_.datagram, wall);
  if (!session) return;
  if (known != dtls_clients_.end()) {
    server_.handle_client_closed(in.now, path);
    dtls_clients_.erase(known);
  }
  const auto client = dtls_clients_.emplace(path, DtlsClient{std::move(*session), path, in.now}).first;
  drain_dtls(in.now, client);
}

void TurnShard::Impl::drain_dtls(Instant now, DtlsClients::iterator client) {
  bool is_closed = false;
  while (const auto event = client->second.session.poll_event()) {
    is_closed = is_closed || std::holds_alternative<crypto::TlsClosed>(*event);
  }
  while (const auto transmit = client->second.session.poll_transmit(now, ciphertext_)) {
    send_to_client(client->second.path, {}, BytesView(ciphertext_).first(transmit->size), 0);
    scatter_.flush();
  }
  if (!is_closed) return;
  server_.handle_client_closed(now, client->second.path);
  dtls_clients_.erase(client);
}

void TurnShard::Impl::seal_to_client(const turn::ClientPath& path, BytesView head, BytesView payload,
                                     std::size_t padding) {
  const auto client = dtls_clients_.find(path);
  if (client == dtls_clients_.end()) return;
  std::array<std::byte, 4096> plain;  // the most that a session seals
  const std::size_t size = head.size() + payload.size() + padding;
  if (size > plain.size()) return;
  const auto payload_at = std::ranges::copy(head, plain.begin()).out;
  const auto padding_at = std::ranges::copy(payload, payload_at).out;
  std::fill_n(padding_at, padding, std::byte{});
  const auto sealed = client->second.session.seal(BytesView(plain).first(size), ciphertext_);
  if (!sealed) return;  // larger than the path takes: lost, as a relay loses it
  send_to_client(path, {}, BytesView(ciphertext_).first(*sealed), 0);
  scatter_.flush();
}

void TurnShard::Impl::handle_dtls_timers(Instant now) {
  for (auto client = dtls_clients_.begin(); client != dtls_clients_.end();) {
    const auto current = client++;  // draining may take it out
    const auto due = current->second.session.next_timeout();
    if (due && *due <= now) current->second.session.handle_timeout(now);
    const bool is_idle =
        now - current->second.last_datagram >= options_.idle && !server_.has_allocation(current->second.path);
    if (is_idle) current->second.session.close();
    if (is_idle || due) drain_dtls(now, current);
  }
}

Duration TurnShard::Impl::dtls_timer_step() const {
  return dtls_listener_.snapshot().half_open > 0 ? k_timer_step : Duration(1s);
}

}  // namespace dig::net
