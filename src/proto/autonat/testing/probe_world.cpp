// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/testing/probe_world.hpp"

#include <algorithm>
#include <array>

#include "proto/autonat/dial_back.hpp"

namespace dig::autonat::testing {
namespace {

Bytes framed(const Message& message) {
  Bytes out;
  append_frame(out, encode_message(message));
  return out;
}

Endpoint local_of(const Multiaddr& address) {
  return address.has(Protocol::ip6) ? address.tcp_endpoint().value() : Endpoint::parse("192.168.1.2:4001").value();
}

}  // namespace

// The server's end of a stream: takes bytes, has bytes to say, may want to be woken.
class ProbeWorld::ServerEnd {
 public:
  virtual ~ServerEnd() = default;
  virtual void handle_bytes(BytesView bytes) = 0;
  virtual void handle_timeout() = 0;
  [[nodiscard]] virtual Bytes poll() = 0;
  [[nodiscard]] virtual std::optional<Instant> next_timeout() const = 0;
  [[nodiscard]] virtual bool has_ended() const = 0;
};

class ProbeWorld::HonestEnd final : public ServerEnd {
 public:
  HonestEnd(ProbeWorld& world, const PeerId& peer, Server& server, ProbeId probe)
      : world_(world),
        peer_(peer),
        probe_(probe),
        machine_(world.now, PeerId(), world.seen_at.address, {}, *server.book, world.rng) {}

  void handle_bytes(BytesView bytes) override {
    machine_.handle_bytes(world_.now, bytes);
    drain();
  }
  void handle_timeout() override {
    machine_.handle_timeout(world_.now);
    drain();
  }
  [[nodiscard]] Bytes poll() override {
    Bytes out(4096);
    out.resize(machine_.poll_bytes(out));
    return out;
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override { return machine_.next_timeout(); }
  [[nodiscard]] bool has_ended() const override { return has_failed_ || machine_.is_done(); }

 private:
  void drain() {
    auto task = machine_.take_result();
    if (!task) return;
    has_failed_ = !*task;
    if (has_failed_) return;
    const auto dial = [&world = world_, server = peer_, probe = probe_, want = **task] {
      const DialBackOutcome outcome = world.dial(server, want.address, want.nonce);
      const auto stream = world.streams_.find(probe);
      if (stream == world.streams_.end()) return;
      static_cast<HonestEnd&>(*stream->second->end).machine_.handle_dial_back_result(outcome);
      world.pump(probe);
    };
    world_.at(world_.random_delay(4s), dial);
  }

  ProbeWorld& world_;
  PeerId peer_;
  ProbeId probe_;
  DialRequestServer machine_;
  bool has_failed_ = false;
};

class ProbeWorld::HostileEnd final : public ServerEnd {
 public:
  HostileEnd(ProbeWorld& world, const PeerId& peer, Habit habit, ProbeId probe)
      : world_(world), peer_(peer), habit_(habit), probe_(probe) {}

  void handle_bytes(BytesView bytes) override {
    while (!bytes.empty()) {
      const auto taken = frames_.feed(bytes);
      if (!taken) return;
      bytes = bytes.subspan(*taken);
      const auto frame = frames_.take_frame();
      if (!frame) continue;
      const auto message = decode_message(*frame);
      if (!message) continue;
      if (const auto* request = std::get_if<DialRequest>(&*message)) handle_request(*request);
      if (const auto* data = std::get_if<DialDataResponse>(&*message)) handle_data(data->data.size());
    }
  }
  void handle_timeout() override {}
  [[nodiscard]] Bytes poll() override { return std::exchange(output_, {}); }
  [[nodiscard]] std::optional<Instant> next_timeout() const override { return std::nullopt; }
  [[nodiscard]] bool has_ended() const override { return has_ended_; }

 private:
  void handle_request(const DialRequest& request) {
    const Multiaddr& address = request.addresses.front();
    const Bytes claim = framed(DialResponse{ResponseStatus::ok, 0, DialStatus::ok});
    switch (habit_) {
      case Habit::wrong_nonce:
        world_.arrive(world_.rng.u64(), address, world_.now);
        return say(claim, 3s);
      case Habit::old_connection:
        world_.arrive(request.nonce, address, world_.now - 1min);
        return say(claim, 3s);
      case Habit::other_family:
        world_.arrive(request.nonce, other_family(address), world_.now);
        return say(claim, 3s);
      case Habit::denies:
        return say(framed(DialResponse{ResponseStatus::ok, 0, DialStatus::dial_error}), 3s);
      case Habit::late:
        world_.at(31s, [&world = world_, server = peer_, address, nonce = request.nonce] {
          static_cast<void>(world.dial(server, address, nonce));
        });
        return say(claim, 25s + world_.random_delay(20s));
      case Habit::closes:
        if (world_.rng.below(2) == 0) output_.push_back(std::byte{0x05});
        has_ended_ = true;
        return;
      case Habit::greedy:
      case Habit::insatiable:
        return say(framed(DialDataRequest{0, 100'000}), 1s);
      case Habit::endless:
        return say(framed(DialDataRequest{0, 100'001 + world_.rng.below(std::uint64_t{1} << 60)}), 1s);
      case Habit::garbage: {
        Bytes garbage(1 + world_.rng.below(300));
        world_.rng.fill(garbage);
        return say(garbage, 1s);
      }
      case Habit::claims:
        return say(claim, 10s);
      case Habit::silent:
      case Habit::honest:
        return;
    }
  }
  void handle_data(std::size_t size) {
    received_ += size;
    if (received_ < 100'000) return;
    received_ = 0;
    say(habit_ == Habit::greedy ? framed(DialResponse{.status = ResponseStatus::request_rejected})
                                : framed(DialDataRequest{0, 100'000}),
        1s);
  }
  static Multiaddr other_family(const Multiaddr& address) {
    return Multiaddr::parse(address.has(Protocol::ip6) ? "/ip4/8.8.8.8/tcp/4001" : "/ip6/2a00::8/tcp/4001").value();
  }
  void say(const Bytes& what, Duration delay) {
    world_.at(delay, [&world = world_, probe = probe_, what] {
      const auto stream = world.streams_.find(probe);
      if (stream == world.streams_.end()) return;
      append(static_cast<HostileEnd&>(*stream->second->end).output_, what);
      world.pump(probe);
    });
  }

  ProbeWorld& world_;
  PeerId peer_;
  Habit habit_;
  ProbeId probe_;
  FrameReader frames_{k_max_message};
  Bytes output_;
  std::uint64_t received_ = 0;
  bool has_ended_ = false;
};

ProbeWorld::ProbeWorld(std::uint64_t seed, const ReachabilityProber::Limits& prober_limits)
    : limits(prober_limits),
      rng(seed),
      seen_at(Endpoint::parse("8.8.8.8:4001").value()),
      prober_rng_(seed + 1),
      keys_(seed + 2),
      prober_(prober_rng_, prober_limits) {}

ProbeWorld::~ProbeWorld() = default;

PeerId ProbeWorld::add_server(Habit habit, const IpAddress& address) {
  const PeerId peer = Identity::generate(keys_).peer_id();
  Server& server = servers_[peer];
  server.habit = habit;
  server.address = address;
  prober_.add_server(now, peer, address);
  drain();
  return peer;
}

void ProbeWorld::remove_server(const PeerId& server) {
  prober_.remove_server(now, server);
  std::vector<ProbeId> cut;
  for (const auto& [probe, stream] : streams_) {
    if (stream->server == server) cut.push_back(probe);
  }
  for (const ProbeId probe : cut) report(probe, fail(Errc::connection_closed));
  drain();
}

void ProbeWorld::set_candidates(std::vector<Candidate> candidates) {
  prober_.set_candidates(now, candidates);
  drain();
}

void ProbeWorld::at(Duration delay, std::function<void()> action) {
  actions_.push({now + delay, next_serial_++, std::move(action)});
}

Duration ProbeWorld::random_delay(Duration most) {
  return Duration(static_cast<Duration::rep>(rng.below(static_cast<std::uint64_t>(most.count()))));
}

Verdict ProbeWorld::verdict(const Multiaddr& address) const {
  for (const CandidateStatus& candidate : prober_.snapshot().candidates) {
    if (candidate.address == address) return candidate.verdict;
  }
  return Verdict::unknown;
}

void ProbeWorld::run(Duration time) {
  const Instant end = now + time;
  for (;;) {
    auto next = next_timeout();
    if (!actions_.empty()) next = earliest(next, actions_.top().at);
    if (!next || *next > end) break;
    now = std::max(now, *next);
    while (!actions_.empty() && actions_.top().at <= now) {
      const auto action = actions_.top().run;
      actions_.pop();
      action();
    }
    handle_timeouts();
    drain();
  }
  now = end;
}

std::optional<Instant> ProbeWorld::next_timeout() const {
  auto next = prober_.next_timeout();
  for (const auto& [probe, stream] : streams_) {
    next = earliest(next, earliest(stream->client.next_timeout(), stream->end->next_timeout()));
  }
  return next;
}

void ProbeWorld::handle_timeouts() {
  std::vector<ProbeId> open;
  for (const auto& [probe, stream] : streams_) open.push_back(probe);
  for (const ProbeId probe : open) {
    const auto stream = streams_.find(probe);
    if (stream == streams_.end()) continue;
    stream->second->client.handle_timeout(now);
    stream->second->end->handle_timeout();
    pump(probe);
  }
  prober_.handle_timeout(now);
}

void ProbeWorld::drain() {
  while (auto event = prober_.poll_event()) {
    if (const auto* question = std::get_if<AskServer>(&*event)) open(*question);
    if (const auto* confirmed = std::get_if<AddressConfirmed>(&*event)) check_confirmed(*confirmed);
  }
}

void ProbeWorld::open(const AskServer& question) {
  ++probes;
  Server& server = servers_.at(question.server);
  if (server.is_asked) violations.push_back("two requests at one server at once");
  if (server.last_asked && now - *server.last_asked < limits.between_requests) violations.push_back("asked too soon");
  if (server.lied && now - *server.lied < limits.rest_after_lie) violations.push_back("a liar was asked again");
  if (streams_.size() >= limits.max_probes + 1) violations.push_back("too many requests at once");
  server.is_asked = true;
  server.last_asked = now;
  auto stream =
      std::make_unique<Stream>(Stream{.server = question.server,
                                      .address = question.request.addresses.front(),
                                      .client = DialRequestClient(now, question.request, question.max_dial_data),
                                      .end = nullptr});
  if (server.habit == Habit::honest) {
    stream->end = std::make_unique<HonestEnd>(*this, question.server, server, question.probe);
  } else {
    stream->end = std::make_unique<HostileEnd>(*this, question.server, server.habit, question.probe);
  }
  streams_.emplace(question.probe, std::move(stream));
  at(Duration(), [this, probe = question.probe] { pump(probe); });
}

// Sends what there is, each way, and reports the end.
void ProbeWorld::pump(ProbeId probe) {
  const auto found = streams_.find(probe);
  if (found == streams_.end()) return;
  Stream& stream = *found->second;
  Bytes out(4096);
  while (const std::size_t size = stream.client.poll_bytes(out)) {
    stream.server_hears = std::max(stream.server_hears, now + random_delay(200ms));
    at(stream.server_hears - now, [this, probe, bytes = to_bytes(BytesView(out).first(size))] {
      const auto open = streams_.find(probe);
      if (open == streams_.end()) return;
      open->second->end->handle_bytes(bytes);
      pump(probe);
    });
  }
  const std::uint64_t sent = stream.client.snapshot().dial_data_sent;
  if (sent > stream.dial_data) {
    sent_.emplace_back(now, sent - stream.dial_data);
    dial_data += sent - stream.dial_data;
    stream.dial_data = sent;
    check_budget();
  }
  const auto client_hears = [&](const std::function<void(DialRequestClient&)>& what) {
    stream.client_hears = std::max(stream.client_hears, now + random_delay(200ms));
    at(stream.client_hears - now, [this, probe, what] {
      const auto open = streams_.find(probe);
      if (open == streams_.end()) return;
      what(open->second->client);
      pump(probe);
    });
  };
  for (Bytes said = stream.end->poll(); !said.empty(); said = stream.end->poll()) {
    client_hears([this, said](DialRequestClient& client) { client.handle_bytes(now, said); });
  }
  if (stream.end->has_ended()) client_hears([this](DialRequestClient& client) { client.handle_eof(now); });
  if (stream.client.result()) report(probe, *stream.client.result());
}

void ProbeWorld::report(ProbeId probe, const Result<DialResponse>& result) {
  const auto stream = streams_.extract(probe);
  Server& server = servers_.at(stream.mapped()->server);
  server.is_asked = false;
  const std::uint64_t lies_before = prober_.snapshot().lies;
  prober_.handle_result(now, probe, result, stream.mapped()->dial_data);
  const bool is_lie = server.habit != Habit::honest && server.habit != Habit::late && result &&
                      result->status == ResponseStatus::ok && result->dial_status == DialStatus::ok;
  if (is_lie) server.lied = now + limits.late_dial_back;
  if (prober_.snapshot().lies != lies_before) violations.push_back("called a liar before its nonce could come");
}

DialBackOutcome ProbeWorld::dial(const PeerId& server, const Multiaddr& address, std::uint64_t nonce) {
  if (!reachable.contains(address)) return DialBackOutcome::not_connected;
  dialled_[address].insert(server);
  DialBackSender sender(now, DialBack{nonce}, k_dial_back_timeout);
  DialBackReceiver receiver(now, k_dial_back_timeout);
  Bytes out(100);
  while (const std::size_t size = sender.poll_bytes(out)) receiver.handle_bytes(now, BytesView(out).first(size));
  const auto request = receiver.take_result();
  if (!request || !*request || !arrive((*request)->nonce, address, now)) return DialBackOutcome::not_delivered;
  receiver.answer({});
  while (const std::size_t size = receiver.poll_bytes(out)) sender.handle_bytes(now, BytesView(out).first(size));
  return sender.result() && *sender.result() ? DialBackOutcome::dialled_back : DialBackOutcome::not_delivered;
}

bool ProbeWorld::arrive(std::uint64_t nonce, const Multiaddr& address, Instant established) {
  const bool is_v6 = address.has(Protocol::ip6);
  return prober_.handle_dial_back(now, {.nonce = nonce,
                                        .local = local_of(address),
                                        .remote = Endpoint::parse(is_v6 ? "[2a00::1]:5000" : "1.0.0.1:5000").value(),
                                        .established = established,
                                        .is_stranger = false});
}

void ProbeWorld::check_confirmed(const AddressConfirmed& confirmed) {
  ++confirmations;
  if (confirmed.confidence.servers == 0) violations.push_back("confirmed by nobody");
  if (confirmed.confidence.servers > dialled_[confirmed.address].size()) {
    violations.push_back("confirmed by more than have dialled: " + confirmed.address.to_string());
  }
}

void ProbeWorld::check_budget() {
  while (now - sent_.front().first >= 1h) sent_.pop_front();
  std::uint64_t in_hour = 0;
  for (const auto& [when, size] : sent_) in_hour += size;
  if (in_hour > limits.dial_data_per_hour) violations.push_back("more dial data than the budget");
}

}  // namespace dig::autonat::testing
