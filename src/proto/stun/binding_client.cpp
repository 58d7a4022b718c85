// SPDX-License-Identifier: Apache-2.0
#include "proto/stun/binding_client.hpp"

#include <array>

#include "wire/stun_integrity.hpp"

namespace dig::stun {
namespace {

constexpr std::uint16_t k_try_alternate = 300;

bool is_stream(StunTransport transport) noexcept {
  return transport == StunTransport::tcp || transport == StunTransport::tls;
}

}  // namespace

static_assert(Machine<BindingClient>);

BindingClient::BindingClient(Instant now, const BindingConfig& config, Rng& rng)
    : config_(config),
      rng_(rng),
      transactions_(is_stream(config.transport), config.timers, 1),
      server_(config.server),
      may_redirect_(config.follows_redirect) {
  ask(now);
}

void BindingClient::ask(Instant now) {
  std::array<std::byte, k_header_size + k_attribute_header_size + 4> buffer;
  Writer writer(buffer,
                {.method = Method::binding, .message_class = Class::request, .transaction = random_transaction(rng_)});
  // RFC 8489 §14.7: tells the request from other protocols on the port of the server.
  add_fingerprint(writer);
  if (const auto started = transactions_.start(now, writer.written(), server_); !started) {
    end(BindingFailed{.error = started.error(), .alternate = std::nullopt});
  }
}

void BindingClient::handle_datagram(const Received& in) {
  for_each_segment(in, [&](BytesView datagram) { handle_message(in.now, in.remote, datagram); });
}

void BindingClient::handle_bytes(Instant now, BytesView bytes) {
  while (!is_done_) {
    const auto frame = framer_.next(bytes);
    if (!frame) {
      end(BindingFailed{.error = Error(Errc::stun_bad_response, frame.error().detail()), .alternate = std::nullopt});
      return;
    }
    if (!*frame) return;
    handle_message(now, server_, **frame);
  }
}

void BindingClient::handle_closed(Instant, Error error) {
  if (!is_done_) end(BindingFailed{.error = std::move(error), .alternate = std::nullopt});
}

void BindingClient::handle_timeout(Instant now) {
  transactions_.handle_timeout(now);
  if (transactions_.poll_expired()) {
    end(BindingFailed{.error = Error(Errc::stun_silent, server_.to_string()), .alternate = std::nullopt});
  }
}

std::optional<Transmit> BindingClient::poll_transmit(Instant, MutableBytes out) {
  return transactions_.poll_transmit(out);
}

std::optional<BindingClient::Event> BindingClient::poll_event() { return std::exchange(event_, std::nullopt); }

void BindingClient::handle_message(Instant now, const Endpoint& source, BytesView bytes) {
  if (is_done_) return;
  const auto message = Message::parse(bytes);
  if (!message || message->message_class() == Class::request || message->message_class() == Class::indication) return;
  const auto request = transactions_.find(message->header(), source);
  if (!request) return;
  // RFC 8489 §6.3: what fails the check is not STUN, so the response may still come.
  if (message->fingerprint() && !has_valid_fingerprint(*message)) return;
  const auto completion = transactions_.finish(now, *request);
  Event event = outcome_of(*message, completion.rtt);
  const auto* failed = std::get_if<BindingFailed>(&event);
  if (failed != nullptr && failed->alternate && config_.transport == StunTransport::udp) {
    may_redirect_ = false;
    server_ = failed->alternate->server;
    ask(now);
    return;
  }
  end(std::move(event));
}

BindingClient::Event BindingClient::outcome_of(const Message& message, std::optional<Duration> rtt) {
  if (message.message_class() == Class::error) return refusal_of(message);
  const auto answer = read_binding(message);
  if (!answer) return BindingFailed{.error = answer.error(), .alternate = std::nullopt};
  return BindingSucceeded{.server = server_, .answer = *answer, .rtt = rtt};
}

BindingClient::Event BindingClient::refusal_of(const Message& message) {
  if (const auto unknown = unknown_required(message)) {
    return BindingFailed{
        .error = Error(Errc::stun_bad_response, "an unknown attribute that must be known: " + std::to_string(*unknown)),
        .alternate = std::nullopt};
  }
  const auto error = error_of(message);
  if (!error) {
    return BindingFailed{.error = Error(Errc::stun_bad_response, error.error().detail()), .alternate = std::nullopt};
  }
  if (error->code != k_try_alternate) {
    return BindingFailed{.error = Error(Errc::stun_refused, describe(*error)), .alternate = std::nullopt};
  }
  BindingFailed redirected{.error = Error(Errc::stun_redirected, server_.to_string()), .alternate = std::nullopt};
  if (may_redirect_) redirected.alternate = alternate_of(message, server_, config_.redirect_policy);
  return redirected;
}

void BindingClient::end(Event event) {
  is_done_ = true;
  transactions_.clear();
  event_ = std::move(event);
}

}  // namespace dig::stun
