// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/testing/server_pair.hpp"

#include <algorithm>

#include "wire/turn_channel_data.hpp"

namespace dig::turn::testing {
namespace {

using stun::Attribute;
using stun::Class;
using stun::Method;

std::vector<ServerModel::Client> model_clients() {
  std::vector<ServerModel::Client> clients;
  for (const ClientSpec& spec : k_clients) {
    clients.push_back({Endpoint::parse(spec.remote).value(), spec.transport != StunTransport::udp});
  }
  return clients;
}

std::string signer_of(std::size_t client, const stun::Message& message) {
  if (!message.integrity() && !message.integrity_sha256()) return "nobody";
  const Habit& habit = k_clients[client].habit;
  for (const std::string_view user : {"user", "other"}) {
    const stun::LongTermKey key = key_of(user, habit);
    const bool fits = habit.uses_sha256 ? stun::has_valid_integrity_sha256(message, key.view())
                                        : stun::has_valid_integrity(message, key.view());
    if (fits) return std::string(user);
  }
  return "a stranger";
}

std::string text(const ServerModel::Lines& lines) {
  std::string all;
  for (const std::string& line : lines) all += "\n    " + line;
  return lines.empty() ? "\n    nothing" : all;
}

}  // namespace

ServerPair::ServerPair(const ServerConfig& config, const QuotaBook::Limits& quotas)
    : max_lifetime_(std::chrono::seconds(config.limits.max_lifetime)),
      quotas_(quotas),
      server_(config, users_, quotas_, rng_),
      model_(config, quotas, model_clients()),
      ports_(model_.free_ports()) {
  for (const std::string_view user : {"user", "other"}) users_.add(std::string(user), std::string(password_of(user)));
  for (std::size_t i = 0; i < k_clients.size(); ++i) {
    paths_[i] = {k_clients[i].transport, Endpoint::parse("203.0.113.1:3478").value(),
                 Endpoint::parse(k_clients[i].remote).value(), i};
  }
  model_.set_now(now_);
}

// --- inputs ---------------------------------------------------------------------------------------------------------

void ServerPair::route(std::size_t client, BytesView bytes, std::uint16_t segment) {
  server_.route(Server::FromClient{now_, {}, paths_[client], bytes, segment}, *this);
  compare("bytes of a client");
}

void ServerPair::route_stranger(std::size_t client, BytesView bytes) {
  server_.route(Server::FromClient{now_, {}, paths_[client], bytes, 0}, *this);
  settle();
  const std::string to = "to client " + std::to_string(client) + ": ";
  for (const std::string& line : std::exchange(outputs_, {})) {
    const bool is_refusal = line.find(" ok") == std::string::npos || line.starts_with(to + "binding");
    if (!line.starts_with(to) || !line.ends_with("nobody") || !is_refusal) fail("a stranger got " + line);
    const bool is_larger = answer_size_ > bytes.size() && paths_[client].transport == StunTransport::udp;
    if (is_larger && !model_.may_amplify(client)) fail("too many large answers to " + to);
  }
  for (const std::string& line : std::exchange(events_, {})) {
    if (line != "close client " + std::to_string(client)) fail("a stranger made it " + line);
    close(client);
  }
  compare("bytes of a stranger");
}

void ServerPair::route_peer(RelayId relay, const Endpoint& from, BytesView data, std::uint16_t segment) {
  server_.route(Server::FromPeer{now_, relay, from, data, segment}, *this);
  compare("data of a peer");
}

void ServerPair::pass(Duration duration, bool has_timer) {
  now_ = now_ + duration;
  model_.set_now(now_);
  if (has_timer) {
    const auto due = server_.next_timeout();
    if (due && *due <= now_) server_.handle_timeout(now_);
    model_.tick();
  }
  compare("time");
}

void ServerPair::close(std::size_t client) {
  server_.handle_client_closed(now_, paths_[client]);
  model_.close_client(client);
  compare("a client that went away");
}

void ServerPair::drain(const std::optional<Endpoint>& alternate) {
  server_.drain(alternate);
  model_.drain(alternate);
}

void ServerPair::plan_opening(Opening how) {
  if (openings_.size() < 4) openings_.push_back(how);
}

bool ServerPair::answer_held(Opening how) {
  if (held_.empty()) return false;
  const RelayId relay = held_.front();
  held_.pop_front();
  opened(relay, how);
  compare("a port that took its time");
  return true;
}

// --- what the server does -------------------------------------------------------------------------------------------

void ServerPair::to_client(const ClientPath& path, BytesView head, BytesView payload, std::size_t padding) {
  const auto found = std::ranges::find(paths_, path);
  if (found == paths_.end()) return fail("sends to nobody");
  const auto client = static_cast<std::size_t>(found - paths_.begin());
  Bytes whole = to_bytes(head);
  append(whole, payload);
  const std::size_t unpadded = whole.size();
  whole.resize(unpadded + padding);
  const bool is_stream = path.is_stream();
  if (!whole.empty() && starts_channel_data(whole.front())) {
    const auto data = decode_channel_data(whole);
    if (!data || padding != (is_stream ? channel_padding(payload.size()) : 0)) return fail("bad ChannelData");
    ++result_.answers["channel data"];
    return outputs_.push_back(channel_line(client, data->channel, data->data));
  }
  const auto message = stun::Message::parse(whole);
  if (!message) return fail("a malformed message");
  if (message->is(Method::data, Class::indication)) {
    const auto from = stun::xor_address(*message, Attribute::xor_peer_address);
    const auto data = message->find(Attribute::data);
    if (!from || !data) return fail("a malformed Data indication");
    ++result_.answers["data indication"];
    return outputs_.push_back(data_line(client, *from, *data));
  }
  answer_size_ = whole.size();
  see_answer(client, *message);
}

void ServerPair::to_peer(RelayId relay, const Endpoint& peer, BytesView payload, bool dont_fragment) {
  ++result_.answers["data to a peer"];
  outputs_.push_back(peer_line(relay, peer, payload, dont_fragment));
}

void ServerPair::see_answer(std::size_t client, const stun::Message& message) {
  const std::string signer = signer_of(client, message);
  const auto error = message.find(Attribute::error_code);
  std::string what(method_name(message.method()));
  if (message.message_class() == Class::error && error) {
    what += " " + std::to_string(stun::decode_error(*error).value().code);
  } else if (message.message_class() == Class::success) {
    what += " ok";
  } else {
    return fail("an answer of no class");
  }
  ++result_.answers[what];
  if (const auto nonce = message.find(Attribute::nonce)) {
    nonces_[client] = as_text(*nonce);
    nonces_made_[client] = now_;
  }
  outputs_.push_back(answer_line(client, what + details(client, message), signer));
  const bool is_wrong_size = signer == "nobody" && expected_size_ && *expected_size_ != message.bytes().size();
  if (is_wrong_size) fail("an answer to a stranger of " + std::to_string(message.bytes().size()) + " bytes");
}

std::string ServerPair::details(std::size_t client, const stun::Message& message) {
  std::string text;
  if (const auto lifetime = message.find(Attribute::lifetime)) {
    text += ", lifetime " + std::to_string(stun::decode_u32(*lifetime).value());
  }
  message.for_each(Attribute::xor_relayed_address, [&](BytesView value) {
    text += ", relayed " + stun::decode_xor_address(value, message.transaction()).value().to_string();
    return true;
  });
  if (const auto mapped = stun::xor_address(message, Attribute::xor_mapped_address)) {
    text += ", mapped " + mapped->to_string();
  }
  if (const auto token = message.find(Attribute::reservation_token)) {
    text += ", token";
    if (!model_.give_token(client, stun::decode_u64(*token).value())) fail("a token out of place");
  }
  if (const auto missing = message.find(Attribute::address_error_code)) {
    text += ", IPv6 " + std::to_string(stun::decode_address_error(*missing).value().error.code);
  }
  return text;
}

void ServerPair::opened(RelayId relay, Opening how) {
  const Error error(how == Opening::port_in_use ? Errc::port_in_use : Errc::network_error);
  model_.relay_opened(relay, how == Opening::works         ? ServerModel::Opened::yes
                             : how == Opening::port_in_use ? ServerModel::Opened::port_in_use
                                                           : ServerModel::Opened::failed);
  const auto result = how == Opening::works ? Result<void>() : Result<void>(std::unexpected(error));
  server_.handle_relay_opened(now_, relay, result, *this);
}

void ServerPair::settle() {
  do {
    while (const auto event = server_.poll_event()) {
      std::visit([&](const auto& fact) { see(fact); }, *event);
    }
  } while (answer_opening());
}

bool ServerPair::answer_opening() {
  if (asked_.empty()) return false;
  const RelayId relay = asked_.front();
  asked_.pop_front();
  const Opening how = openings_.empty() ? Opening::works : openings_.front();
  if (!openings_.empty()) openings_.pop_front();
  if (how == Opening::takes_time) {
    held_.push_back(relay);
  } else {
    opened(relay, how);
  }
  return true;
}

void ServerPair::see(const OpenRelay& open) {
  events_.push_back(open_line(open.family));
  if (!model_.give_port(open)) return fail("opens a port it may not have: " + std::to_string(open.port));
  asked_.push_back(open.relay);
}

// What was asked of the shell before may still be answered.
void ServerPair::see(const CloseRelay& closed) { events_.push_back(close_line(closed.relay)); }
void ServerPair::see(const CloseClient& closed) {
  const auto found = std::ranges::find(paths_, closed.client);
  events_.push_back("close client " + std::to_string(found - paths_.begin()));
}

void ServerPair::see(const AllocationMade& made) { events_.push_back(made_line(made.client.remote, made.user)); }
void ServerPair::see(const AllocationEnded& ended) {
  events_.push_back(ended_line(ended.client.remote, ended.user, ended.why, ended.bytes_relayed));
}

// --- the comparison -------------------------------------------------------------------------------------------------

void ServerPair::fail(std::string why) {
  if (result_.failure.empty()) result_.failure = "step " + std::to_string(step_) + ": " + std::move(why);
}

void ServerPair::compare_lines(std::string_view what, const ServerModel::Lines& expected,
                               const ServerModel::Lines& seen) {
  if (expected == seen) return;
  fail(std::string(what) + "\n  expected:" + text(expected) + "\n  seen:" + text(seen));
}

void ServerPair::compare_numbers(std::string_view what, std::size_t expected, std::size_t seen) {
  if (expected == seen) return;
  fail(std::string(what) + ": expected " + std::to_string(expected) + ", seen " + std::to_string(seen));
}

void ServerPair::compare(std::string_view what) {
  settle();
  compare_lines(what, model_.take_outputs(), std::exchange(outputs_, {}));
  ServerModel::Lines expected = model_.take_events();
  std::ranges::sort(expected);
  std::ranges::sort(events_);
  compare_lines(what, expected, std::exchange(events_, {}));
  compare_numbers("allocations", model_.allocations(), server_.allocations());
  compare_numbers("free ports", model_.free_ports(), server_.free_ports());
  compare_numbers("quotas", model_.allocations(), quotas_.taken());
  compare_numbers("a timer", model_.needs_time() ? 1 : 0, server_.next_timeout() ? 1 : 0);
  for (std::size_t i = 0; i < k_clients.size(); ++i) {
    compare_numbers("an allocation", model_.has_allocation(i) ? 1 : 0, server_.has_allocation(paths_[i]) ? 1 : 0);
  }
  expected_size_.reset();
}

// When all is over everything is given back.
void ServerPair::finish() {
  if (!result_.failure.empty()) return;
  pass(max_lifetime_, true);
  compare_numbers("allocations at the end", 0, server_.allocations());
  compare_numbers("ports at the end", ports_, server_.free_ports());
}

}  // namespace dig::turn::testing
