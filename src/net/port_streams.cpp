// SPDX-License-Identifier: Apache-2.0
#include "net/port_streams.hpp"

#include <algorithm>
#include <utility>

#include "net/clock.hpp"
#include "proto/http/response_head.hpp"
#include "wire/peer_certificate.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_read_size = std::size_t{64} * 1024;
constexpr std::size_t k_write_size = std::size_t{16} * 1024;  // what a record of TLS holds

using Carrier = Multiaddr::Carrier;

Carrier carrier_of(const one_port::Identified& what) {
  if (!what.is_websocket) return Carrier::plain;
  return what.is_tls ? Carrier::secure_websocket : Carrier::websocket;
}

}  // namespace

PortStreams::PortStreams(Loop& loop, PortOwner& owner, Rng& rng, const Limits& limits)
    : owner_(owner),
      rng_(rng),
      limits_(limits),
      read_buffer_(std::make_unique_for_overwrite<std::byte[]>(k_read_size)),
      write_buffer_(std::make_unique_for_overwrite<std::byte[]>(k_write_size)),
      transports_(loop, static_cast<TransportOwner&>(*this), limits.tcp),
      timer_(loop, [this](Instant now) { handle_timer(now); }) {}

PortStreams::~PortStreams() = default;

PortStreamsStatus PortStreams::snapshot() const {
  PortStreamsStatus status = counters_;
  status.tcp = transports_.snapshot();
  for (const auto& [id, stream] : streams_) {
    if (stream.role == Role::unknown && !stream.is_closing) ++status.unidentified;
    if (stream.role == Role::libp2p && !stream.is_closing) ++status.layered;
  }
  for (const auto& [key, count] : refused_) status.refused.push_back({key.first, key.second, count});
  return status;
}

// --- from the sockets -----------------------------------------------------------------------------------------------

bool PortStreams::admits(Instant now, const Endpoint& local, const Endpoint& remote) {
  return owner_.admits(now, local, remote);
}

void PortStreams::handle_accepted(Instant now, TransportId id, const Endpoint& local, const Endpoint& remote) {
  Stream& stream = streams_[id];
  stream.local = local;
  stream.remote = remote;
  stream.machine =
      std::make_unique<Machine>(std::in_place_type<one_port::ServerStream>, tls_, now, wall_now(), limits_.server);
  reschedule(id, stream);
}

void PortStreams::handle_bytes(Instant now, TransportId id, BytesView bytes) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return owner_.handle_bytes(now, id, bytes);
  Stream& stream = found->second;
  if (stream.is_closing) return;
  if (!stream.machine) return hand_on(now, id, stream, bytes);
  std::visit([&](auto& machine) { machine.handle_bytes(now, bytes); }, *stream.machine);
  pump(now, id);
}

void PortStreams::handle_eof(Instant now, TransportId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return owner_.handle_eof(now, id);
  Stream& stream = found->second;
  if (stream.is_closing) return;
  if (!stream.machine) return end(now, id, stream, Error(Errc::connection_closed));
  std::visit([&](auto& machine) { machine.handle_eof(now); }, *stream.machine);
  pump(now, id);
}

void PortStreams::handle_error(Instant now, TransportId id, const Error& error) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return owner_.handle_error(now, id, error);
  if (!found->second.is_closing) end(now, id, found->second, error);
  forget(id);
}

std::size_t PortStreams::poll_bytes(Instant now, TransportId id, MutableBytes out) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return owner_.poll_bytes(now, id, out);
  Stream& stream = found->second;
  if (!stream.machine) {
    const std::size_t size = poll_bare(now, id, stream, out);
    if (size == 0 && stream.is_closing) forget(id);
    return size;
  }
  touched_.insert(id);  // room in the machine is an event of it
  std::size_t size = poll_machine(now, id, stream, out);
  if (size > 0 || !stream.is_closing) return size;
  // Whoever wrote has said all; what lies around it says its goodbye.
  if (!std::exchange(stream.is_finished, true)) {
    std::visit([&](auto& machine) { machine.close(now); }, *stream.machine);
    size = poll_machine(now, id, stream, out);
  }
  if (size == 0) forget(id);
  return size;
}

bool PortStreams::wants_bytes(TransportId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return owner_.wants_bytes(id);
  const Stream& stream = found->second;
  if (!stream.machine) return turn_->wants_stream_bytes(id);
  return std::visit([](const auto& machine) { return machine.wants_bytes(); }, *stream.machine);
}

void PortStreams::settle(Instant now) {
  for (const TransportId id : std::exchange(touched_, {})) service(now, id);
  while (std::exchange(is_turn_touched_, false)) turn_->settle(now);
  touched_.clear();  // by what was just done
  set_timer();
  owner_.settle(now);
}

void PortStreams::service(Instant now, TransportId id) {
  pump(now, id);
  transports_.flush(id);
  pump(now, id);  // there may be room now
  if (const auto found = streams_.find(id); found != streams_.end() && is_writing_page(found->second)) {
    write_page(now, id, found->second);
  }
  if (const auto found = streams_.find(id); found != streams_.end()) reschedule(id, found->second);
}

void PortStreams::set_timer() {
  timer_.set(schedule_.empty() ? std::nullopt : std::optional(schedule_.begin()->first));
}

void PortStreams::handle_timer(Instant now) {
  std::vector<TransportId> due;
  for (const auto& [deadline, id] : schedule_) {
    if (deadline > now) break;
    due.push_back(id);
  }
  for (const TransportId id : due) {
    const auto found = streams_.find(id);
    if (found == streams_.end()) continue;
    Stream& stream = found->second;
    if (!stream.deadline || *stream.deadline > now) {
      std::visit([&](auto& machine) { machine.handle_timeout(now); }, *stream.machine);
      touched_.insert(id);
      continue;
    }
    if (!stream.is_closing) end(now, id, stream, Error(Errc::phase_timeout, "a page that nobody takes"));
    transports_.close(id, CloseMode::abort);
    forget(id);
  }
  settle(now);
}

void PortStreams::reschedule(TransportId id, Stream& stream) {
  std::optional<Instant> next = stream.deadline;
  if (stream.machine && !stream.is_closing) {
    next = earliest(next, std::visit([](const auto& machine) { return machine.next_timeout(); }, *stream.machine));
  }
  if (next == stream.scheduled) return;
  if (stream.scheduled) schedule_.erase({*stream.scheduled, id});
  stream.scheduled = next;
  if (next) schedule_.emplace(*next, id);
}

void PortStreams::forget(TransportId id) {
  const auto stream = streams_.extract(id);
  if (!stream.empty() && stream.mapped().scheduled) schedule_.erase({*stream.mapped().scheduled, id});
}

// --- what a machine tells -------------------------------------------------------------------------------------------

void PortStreams::pump(Instant now, TransportId id) {
  for (;;) {
    const auto found = streams_.find(id);
    if (found == streams_.end() || !found->second.machine || found->second.is_closing) return;
    Stream& stream = found->second;
    touched_.insert(id);
    const auto hand_on_event = [&](auto& machine) {
      auto event = machine.poll_event();
      return event && handle_event(now, id, stream, *event);
    };
    if (!std::visit(hand_on_event, *stream.machine) && !deliver(now, id)) return;
  }
}

bool PortStreams::handle_event(Instant now, TransportId id, Stream& stream, one_port::ServerStream::Event& event) {
  if (const auto* what = std::get_if<one_port::Identified>(&event)) return identify(now, id, stream, *what);
  if (const auto* closed = std::get_if<one_port::Closed>(&event)) {
    // Who has said all he had to say still wants his page.
    if (!closed->is_clean || !is_writing_page(stream)) end(now, id, stream, closed->error);
    return false;
  }
  if (stream.role == Role::page) return write_page(now, id, stream);
  return true;
}

bool PortStreams::handle_event(Instant now, TransportId id, Stream& stream, one_port::StreamLayers::Event& event) {
  if (const auto* closed = std::get_if<one_port::Closed>(&event)) {
    end(now, id, stream, closed->error);
    return false;
  }
  if (std::holds_alternative<one_port::Opened>(event) && stream.role == Role::dialling) {
    stream.role = Role::libp2p;
    const DialOutcome outcome = *std::exchange(stream.dialled, std::nullopt);
    owner_.handle_dialled(now, stream.dial, outcome);
  }
  return true;
}

bool PortStreams::identify(Instant now, TransportId id, Stream& stream, const one_port::Identified& what) {
  switch (what.application) {
    case one_port::Application::libp2p:
      return begin_libp2p(now, id, stream, what);
    case one_port::Application::stun:
      return begin_stun(now, id, stream, what.is_tls);
    case one_port::Application::page:
      return begin_page(now, id, stream, *what.request);
  }
  return false;
}

bool PortStreams::begin_libp2p(Instant now, TransportId id, Stream& stream, const one_port::Identified& what) {
  ++counters_.libp2p;
  stream.role = Role::libp2p;
  owner_.handle_accepted(now, id, stream.local, stream.remote, carrier_of(what));
  if (what.is_tls || what.is_websocket) return true;
  const std::unique_ptr<Machine> machine = std::move(stream.machine);
  forget(id);
  pass_through(now, id, *machine);
  return false;
}

bool PortStreams::begin_stun(Instant now, TransportId id, Stream& stream, bool is_tls) {
  owner_.handle_not_libp2p(now, stream.remote);
  stream.role = Role::stun;
  const StunTransport transport = is_tls ? StunTransport::tls : StunTransport::tcp;
  if (turn_ == nullptr ||
      !turn_->adopt(now, id, {transport, stream.local, stream.remote}, static_cast<StreamCarrier&>(*this))) {
    ++refused_[{"STUN", turn_ == nullptr ? Errc::protocol_not_supported : Errc::limit_reached}];
    transports_.close(id, CloseMode::abort);
    forget(id);
    return false;
  }
  ++counters_.stun;
  if (is_tls) return true;
  const std::unique_ptr<Machine> machine = std::move(stream.machine);
  reschedule(id, stream);
  pass_through(now, id, *machine);
  return false;
}

bool PortStreams::begin_page(Instant now, TransportId id, Stream& stream, const http::RequestHead& request) {
  stream.role = Role::page;
  stream.deadline = now + limits_.page_timeout;
  PageAnswer answer{.status = 404, .content_type = "text/plain; charset=utf-8", .body = "Not found\n"};
  if (!is_ours(request.host, stream)) {
    ++counters_.misdirected;
    answer.status = 421;
    answer.body = "This server has no such name\n";
  } else if (pages_) {
    ++counters_.pages;
    answer = pages_(request);
  }
  const http::Page page{.status = answer.status, .content_type = answer.content_type, .body = answer.body};
  http::append_page(stream.page, page, request.is_head);
  return write_page(now, id, stream);
}

// The connection ends with its page.
bool PortStreams::write_page(Instant now, TransportId id, Stream& stream) {
  fill(now, id, stream);
  if (!stream.pending.empty() || stream.page_sent < stream.page.size()) return true;
  owner_.handle_not_libp2p(now, stream.remote);
  leave(now, id, stream);
  return false;
}

bool PortStreams::is_ours(const std::string& host, const Stream& stream) const {
  std::string_view name = host;
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  if (name == "localhost" || hosts_.contains(std::string(name))) return true;
  const auto address = IpAddress::parse(name);
  return address && *address == stream.local.address;
}

void PortStreams::count_refusal(const Stream& stream, Errc reason) {
  std::string_view phase = "first bytes";
  if (stream.machine) {
    const auto status = std::get<one_port::ServerStream>(*stream.machine).snapshot();
    phase = status.phase == "over" ? status.ended_in : status.phase;
  }
  ++refused_[{phase, reason}];
}

// The machine, or the transport below it, has ended.
void PortStreams::end(Instant now, TransportId id, Stream& stream, const Error& why) {
  switch (stream.role) {
    case Role::unknown:
      count_refusal(stream, why.code());
      owner_.handle_not_libp2p(now, stream.remote);
      break;
    case Role::libp2p:
      owner_.handle_error(now, id, why);
      break;
    case Role::stun:
      take_answers(now, id, stream);
      turn_->handle_stream_closed(now, id);
      is_turn_touched_ = true;
      break;
    case Role::page:
      owner_.handle_not_libp2p(now, stream.remote);
      break;
    case Role::dialling:
      stream.dialled->result = std::unexpected(why);
      owner_.handle_dialled(now, stream.dial, *stream.dialled);
      break;
  }
  leave(now, id, stream);
}

void PortStreams::leave(Instant now, TransportId id, Stream& stream) {
  stream.is_closing = true;
  stream.deadline = now + limits_.linger;
  reschedule(id, stream);
  transports_.close(id, CloseMode::graceful);  // polls, and so may forget the stream
}

// --- bytes of the layers --------------------------------------------------------------------------------------------

void PortStreams::hand_on(Instant now, TransportId id, const Stream& stream, BytesView bytes) {
  if (stream.role != Role::stun) return owner_.handle_bytes(now, id, bytes);
  turn_->handle_stream_bytes(now, id, bytes);
  is_turn_touched_ = true;
}

bool PortStreams::deliver(Instant now, TransportId id) {
  for (bool is_any = false;; is_any = true) {
    const auto found = streams_.find(id);
    if (found == streams_.end()) return is_any;
    Stream& stream = found->second;
    const bool is_read = stream.role == Role::libp2p || stream.role == Role::stun;
    if (stream.is_closing || !stream.machine || !is_read) return is_any;
    if (!(stream.role == Role::stun ? turn_->wants_stream_bytes(id) : owner_.wants_bytes(id))) return is_any;
    const MutableBytes buffer(read_buffer_.get(), k_read_size);
    const auto got = std::visit([&](auto& machine) { return machine.read(now, buffer); }, *stream.machine);
    if (!got || got->size == 0) return is_any;  // an end is an event of the machine
    hand_on(now, id, stream, buffer.first(got->size));
  }
}

// What `machine` holds of a stream without layers, which needs it no longer.
void PortStreams::pass_through(Instant now, TransportId id, Machine& machine) {
  auto& stream = std::get<one_port::ServerStream>(machine);
  const MutableBytes buffer(read_buffer_.get(), k_read_size);
  const bool is_stun = streams_.contains(id);
  for (;;) {
    const auto got = stream.read(now, buffer);
    if (!got) return;
    if (got->size > 0 && is_stun) {
      turn_->handle_stream_bytes(now, id, buffer.first(got->size));
    } else if (got->size > 0) {
      owner_.handle_bytes(now, id, buffer.first(got->size));
    }
    if (got->size == 0 || got->is_end) break;
  }
  if (is_stun) is_turn_touched_ = true;
}

std::size_t PortStreams::poll_source(Instant now, TransportId id, Stream& stream, MutableBytes out) {
  switch (stream.role) {
    case Role::libp2p:
      return owner_.poll_bytes(now, id, out);
    case Role::stun:
      return turn_->poll_stream(now, id, out);
    case Role::page: {
      const std::size_t size = std::min(out.size(), stream.page.size() - stream.page_sent);
      std::ranges::copy(BytesView(stream.page).subspan(stream.page_sent, size), out.begin());
      stream.page_sent += size;
      return size;
    }
    case Role::unknown:
    case Role::dialling:
      break;
  }
  return 0;
}

std::size_t PortStreams::poll_bare(Instant now, TransportId id, Stream& stream, MutableBytes out) {
  if (stream.pending.empty()) return poll_source(now, id, stream, out);
  const std::size_t size = std::min(out.size(), stream.pending.size());
  std::copy_n(stream.pending.begin(), size, out.begin());
  stream.pending = to_bytes(BytesView(stream.pending).subspan(size));
  return size;
}

void PortStreams::take_answers(Instant now, TransportId id, Stream& stream) {
  const MutableBytes buffer(write_buffer_.get(), k_write_size);
  while (const std::size_t size = poll_source(now, id, stream, buffer)) {
    append(stream.pending, BytesView(buffer).first(size));
  }
}

void PortStreams::fill(Instant now, TransportId id, Stream& stream) {
  if (stream.is_finished) return;
  const MutableBytes buffer(write_buffer_.get(), k_write_size);
  for (;;) {
    const BytesView bytes = stream.pending.empty() ? BytesView(buffer).first(poll_source(now, id, stream, buffer))
                                                   : BytesView(stream.pending);
    if (bytes.empty()) return;
    const auto written = std::visit([&](auto& machine) { return machine.write(bytes); }, *stream.machine);
    // Nobody is there any more for whom a closed machine would take bytes.
    const std::size_t taken = written.value_or(bytes.size());
    stream.pending = to_bytes(bytes.subspan(taken));
    if (!stream.pending.empty()) return;
  }
}

std::size_t PortStreams::poll_machine(Instant now, TransportId id, Stream& stream, MutableBytes out) {
  std::size_t used = 0;
  while (used < out.size()) {
    fill(now, id, stream);
    const std::size_t size =
        std::visit([&](auto& machine) { return machine.poll_bytes(now, out.subspan(used)); }, *stream.machine);
    if (size == 0) break;
    used += size;
  }
  return used;
}

// So that a message has a TLS record of its own.
void PortStreams::take(Instant now, TransportId id) {
  const auto found = streams_.find(id);
  if (found != streams_.end() && found->second.machine) fill(now, id, found->second);
}

// --- from the owner -------------------------------------------------------------------------------------------------

void PortStreams::flush(TransportId id) {
  if (!streams_.contains(id)) return transports_.flush(id);
  service(monotonic_now(), id);
  set_timer();
}

void PortStreams::close(TransportId id, CloseMode mode) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return transports_.close(id, mode);
  if (found->second.is_closing) return;
  if (mode == CloseMode::graceful) {
    if (found->second.role == Role::stun) take_answers(monotonic_now(), id, found->second);
    leave(monotonic_now(), id, found->second);
  } else {
    transports_.close(id, mode);
    forget(id);
  }
  set_timer();
}

void PortStreams::drain(Duration limit, Task done) {
  std::vector<TransportId> others;
  for (const auto& [id, stream] : streams_) {
    if (stream.role != Role::libp2p) others.push_back(id);
  }
  for (const TransportId id : others) {
    transports_.close(id, CloseMode::abort);
    forget(id);
  }
  transports_.drain(limit, std::move(done));
}

void PortStreams::dial(const StreamDial& wanted) {
  if (wanted.carrier != Carrier::plain) dials_.insert_or_assign(wanted.id, wanted);
  // The race between addresses is the owner's, which also waits for the handshake; here is one address at a time.
  transports_.dial(wanted.id, {wanted.remote}, {.from_listener = !wanted.is_from_fresh_port, .limits = {}});
}

void PortStreams::cancel_dial(DialId id) {
  dials_.erase(id);
  transports_.cancel_dial(id);
  for (auto& [transport, stream] : streams_) {
    if (stream.role != Role::dialling || stream.dial != id || stream.is_closing) continue;
    transports_.close(transport, CloseMode::abort);
    return forget(transport);
  }
}

void PortStreams::handle_dialled(Instant now, DialId id, const DialOutcome& outcome) {
  const auto wanted = dials_.extract(id);
  if (wanted.empty() || !outcome.result) return owner_.handle_dialled(now, id, outcome);
  const DialSuccess& made = *outcome.result;
  auto layers = make_layers(now, wanted.mapped());
  if (!layers) {
    transports_.close(made.transport, CloseMode::abort);
    return owner_.handle_dialled(now, id, {std::unexpected(layers.error()), outcome.attempts});
  }
  Stream& stream = streams_[made.transport];
  stream.role = Role::dialling;
  stream.local = made.local;
  stream.remote = made.remote;
  stream.machine = *std::move(layers);
  stream.dialled = outcome;
  stream.dial = id;
  touched_.insert(made.transport);
  pump(now, made.transport);
}

Result<std::unique_ptr<PortStreams::Machine>> PortStreams::make_layers(Instant now, const StreamDial& wanted) {
  auto machine = std::make_unique<Machine>(std::in_place_type<one_port::StreamLayers>, limits_.server.plain);
  auto& layers = std::get<one_port::StreamLayers>(*machine);
  if (wanted.carrier == Carrier::secure_websocket) {
    DIG_TRY(auto tls, make_tls(now, wanted));
    layers.add(now, std::move(tls));
  }
  layers.add(now, websocket::Session::connect(now, wanted.http_host, rng_, limits_.server.websocket));
  return machine;
}

// A server shows a certificate that an authority has issued for its name, or one that is bound to the PeerId that is
// dialled. The second kind needs no authority: it is signed by the peer's own key, and Noise inside proves who is there
// in any case, with either kind. TLS is here to get through what only lets TLS pass, and to hide from others what
// multistream-select and Noise show in clear.
Result<crypto::TlsSession> PortStreams::make_tls(Instant now, const StreamDial& wanted) {
  if (!client_tls_) {
    DIG_TRY(authorities_, crypto::TlsTrust::authorities(true, more_authorities_));
    DIG_TRY(client_tls_, crypto::TlsContext::create(crypto::TlsTransport::stream,
                                                    {.role = crypto::TlsRole::client, .alpn = {"http/1.1"}}));
  }
  const crypto::TlsTrust trust = authorities_->or_check([peer = wanted.peer](BytesView leaf) -> Result<void> {
    DIG_TRY(const PeerId named, peer_of_certificate(leaf));
    if (named == peer) return {};
    return fail(Errc::certificate_refused, "it names another peer");
  });
  return crypto::TlsSession::connect(client_tls_, {.server_name = wanted.tls_name, .trust = trust}, now, wall_now(),
                                     limits_.server.tls);
}

}  // namespace dig::net
