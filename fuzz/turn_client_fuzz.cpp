// SPDX-License-Identifier: Apache-2.0
// A TURN allocation whose server is the input: steps of time, commands, bytes and answers. Answers are made with the
// right transaction, and with the right key when the input says so, so that the fuzzer gets behind the integrity check.
// Whatever comes, the machine stays within its bounds, every drain ends, and nothing follows the last event.
#include <algorithm>
#include <array>
#include <vector>

#include "base/byte_reader.hpp"
#include "base/rng.hpp"
#include "input.hpp"
#include "proto/turn_client/allocation.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/stun_integrity.hpp"

namespace {

using namespace dig;
using namespace dig::turn;
using fuzz::require;

constexpr std::string_view k_user = "u";
constexpr std::string_view k_password = "p";
constexpr std::string_view k_realm = "r";
constexpr std::size_t k_max_drained = 2000;

AllocationConfig config_of(std::uint8_t options) {
  AllocationConfig config{.server = {IpAddress::v4({20, 0, 0, 1}), 3478},
                          .transport = (options & 1U) != 0 ? StunTransport::tcp : StunTransport::udp};
  if ((options & 2U) != 0) config.credentials = Credentials{std::string(k_user), std::string(k_password)};
  if ((options & 4U) != 0) config.families = RelayFamilies::both;
  config.dont_fragment = (options & 8U) != 0;
  config.binds_channels = (options & 16U) == 0;
  config.requires_sha256 = (options & 32U) != 0;
  if ((options & 64U) != 0) config.address_policy = stun::AddressPolicy::any_unicast;
  return config;
}

class Session {
 public:
  explicit Session(std::uint8_t options)
      : is_stream_((options & 1U) != 0),
        client_(now_, config_of(options), rng_, {.max_permissions = 4, .max_channels = 3, .max_output = 4096}) {
    drain();
  }

  // False: the input is at its end.
  bool step(ByteReader& input) {
    const auto kind = input.u8();
    const auto argument = input.u8();
    if (!kind || !argument) return false;
    switch (*kind % 8) {
      case 0:
        now_ = now_ + *argument * 1s;
        client_.handle_timeout(now_);
        break;
      case 1:
        if (const auto next = client_.next_timeout()) {
          now_ = std::max(now_, *next);
          client_.handle_timeout(now_);
        }
        break;
      case 2:
        receive(take(input, *argument));
        break;
      case 3:
        answer(*argument, input);
        break;
      case 4:
        command(*argument);
        break;
      case 5:
        send(*argument);
        break;
      case 6:
        indicate(*argument, take(input, *argument & 31U));
        break;
      case 7:
        client_.handle_timeout(now_);
        break;
    }
    if (*kind < 128) drain();
    return true;
  }
  void finish() {
    drain();
    client_.handle_leg_closed(now_, Error(Errc::connection_reset));
    drain();
    require(has_ended_ && !client_.next_timeout());
  }

 private:
  static BytesView take(ByteReader& input, std::size_t size) { return *input.bytes(std::min(size, input.remaining())); }
  static Endpoint peer(std::uint8_t which) {
    return {IpAddress::v4({40, 0, 0, static_cast<std::uint8_t>(which % 6)}), static_cast<std::uint16_t>(which % 2 + 1)};
  }

  void receive(BytesView bytes) {
    if (!is_stream_) {
      check(client_.handle_message(now_, bytes));
      return;
    }
    while (const auto data = client_.handle_bytes(now_, bytes)) check(data);
  }
  void check(const std::optional<PeerData>& data) {
    if (!data) return;
    require(!has_ended_ && client_.phase() == AllocationPhase::active);
    require(std::ranges::find(asked_, data->peer.address) != asked_.end());
    sum_ += static_cast<unsigned>(std::ranges::count(data->data, std::byte{0}));  // reads every byte of the view
  }

  // An answer to the last request: class, attributes as they come in the input, and integrity if wanted.
  void answer(std::uint8_t form, ByteReader& input) {
    const auto request = stun::Message::parse(last_request_);
    if (!request) return;
    Bytes out(2048);
    stun::Writer writer(out, {.method = request->method(),
                              .message_class = (form & 1U) != 0 ? stun::Class::success : stun::Class::error,
                              .transaction = request->transaction()});
    const std::uint8_t count = (form >> 1U) & 7U;
    for (std::uint8_t i = 0; i < count && input.remaining() >= 2; ++i) add(writer, *request, *input.u8(), *input.u8());
    if ((form & 16U) != 0) {
      const bool is_sha256 = request->integrity_sha256().has_value();
      const stun::LongTermKey key((form & 32U) != 0 ? stun::PasswordAlgorithm::sha256 : stun::PasswordAlgorithm::md5,
                                  k_user, k_realm, k_password);
      if (is_sha256) {
        stun::add_integrity_sha256(writer, key.view());
      } else {
        stun::add_integrity(writer, key.view());
      }
    }
    if ((form & 64U) != 0) stun::add_fingerprint(writer);
    if (const auto size = writer.finish()) receive(BytesView(out).first(*size));
  }
  static void add(stun::Writer& writer, const stun::Message& request, std::uint8_t which, std::uint8_t value) {
    using stun::Attribute;
    constexpr std::array<std::uint16_t, 16> k_codes{300, 400, 401, 403, 420, 437, 438, 440,
                                                    441, 442, 443, 486, 500, 508, 401, 438};
    const Endpoint relayed{IpAddress::v4({value, 0, 0, 1}), 50'000};
    const stun::SecurityFeatures features{.password_algorithms = (value & 1U) != 0,
                                          .username_anonymity = (value & 2U) != 0};
    constexpr std::array k_both{stun::PasswordAlgorithm::sha256, stun::PasswordAlgorithm::md5};
    switch (which % 13) {
      case 0:
        return stun::add_error(writer, k_codes[value % 16], "text");
      case 1:
        return writer.add_text(Attribute::realm, value == 0 ? k_realm : std::string(value, 'r'));
      case 2:
        return writer.add_text(Attribute::nonce, std::string(value, 'n'));
      case 3:
        return writer.add_text(Attribute::nonce, stun::nonce_cookie(features) + std::to_string(value));
      case 4:
        return stun::add_password_algorithms(writer, std::span(k_both).subspan(value % 2));
      case 5:
        return writer.add_u32(Attribute::lifetime, value * 16U);
      case 6:
        return stun::add_xor_address(writer, Attribute::xor_relayed_address, relayed, request.transaction());
      case 7:
        return stun::add_xor_address(writer, Attribute::xor_mapped_address, relayed, request.transaction());
      case 8:
        return stun::add_address(writer, Attribute::alternate_server, relayed);
      case 9:
        return stun::add_address_error(writer, stun::AddressFamily::ipv6, k_codes[value % 16]);
      case 10:
        return writer.add_u64(Attribute::reservation_token, value);
      case 11:
        return stun::add_unknown_attributes(
            writer, std::array{static_cast<std::uint16_t>(Attribute::dont_fragment), std::uint16_t{value}});
      default:
        return writer.add(static_cast<Attribute>(value << 8U | which), Bytes(value % 9));
    }
  }

  void command(std::uint8_t argument) {
    const Endpoint to = peer(argument >> 3U);
    const auto is_permitted = [&](const Result<void>& result) {
      if (result) asked_.push_back(to.address);
    };
    switch (argument % 8) {
      case 0:
        client_.release(now_);
        break;
      case 1:
        client_.handle_leg_closed(now_, Error(Errc::connection_reset));
        break;
      case 2:
      case 3:
        is_permitted(client_.bind_channel(now_, to));
        break;
      case 4:
        client_.revoke(now_, to.address);
        std::erase(asked_, to.address);
        break;
      default:
        is_permitted(client_.permit(now_, to.address));
        break;
    }
  }
  void send(std::uint8_t argument) {
    const Endpoint to = peer(argument);
    const Bytes data(argument * std::size_t{5});
    const auto result = client_.send(now_, to, data);
    if (result == SendResult::no_permission) asked_.push_back(to.address);
    require(result != SendResult::taken || std::ranges::find(asked_, to.address) != asked_.end());
  }
  void indicate(std::uint8_t argument, BytesView data) {
    Bytes out(200);
    if ((argument & 128U) != 0) {
      out.resize(4);
      encode_channel_header(static_cast<std::uint16_t>(k_min_channel + argument % 5), data.size(),
                            std::span<std::byte, 4>(out.data(), 4));
      append(out, data);
      out.resize(out.size() + channel_padding(data.size()));
    } else {
      stun::Writer writer(out, {.method = stun::Method::data, .message_class = stun::Class::indication});
      stun::add_xor_address(writer, stun::Attribute::xor_peer_address, peer(argument), {});
      writer.add(stun::Attribute::data, data);
      out.resize(*writer.finish());
    }
    receive(out);
  }

  void drain() {
    drain_outputs();
    const auto due = client_.next_timeout();
    if (due && *due <= now_) {  // an answer that came late may tell of a time that is over
      client_.handle_timeout(now_);
      drain_outputs();
      require(!client_.next_timeout() || *client_.next_timeout() > now_);
    }
    const AllocationStatus status = client_.snapshot(now_);
    require(status.permissions <= 4 && status.channels <= 3);
  }
  void drain_outputs() {
    std::size_t outputs = 0;
    for (;;) {
      std::array<std::byte, 4096> buffer;
      const std::size_t size = client_.poll_transmit(now_, buffer);
      const auto event = client_.poll_event();
      if (size == 0 && !event) break;
      require(size <= buffer.size() && ++outputs < k_max_drained);
      if (size > 0) remember(BytesView(buffer).first(size));
      if (!event) continue;
      require(!has_ended_);
      has_ended_ = std::holds_alternative<Ended>(*event) || std::holds_alternative<Released>(*event);
    }
  }
  void remember(BytesView sent) {
    if (!is_stream_) {
      keep(sent);
      return;
    }
    for (;;) {
      const auto frame = framer_.next(sent);
      require(frame.has_value());
      if (!*frame) return;
      keep(**frame);
    }
  }
  void keep(BytesView message) {
    const auto parsed = stun::Message::parse(message);
    require(parsed || (!message.empty() && starts_channel_data(message.front())));
    if (parsed && parsed->message_class() == stun::Class::request) last_request_ = to_bytes(message);
  }

  bool is_stream_;
  Instant now_{1h};
  SeededRng rng_{1};
  ClientAllocation client_;
  stun::Framer framer_;
  Bytes last_request_;
  std::vector<IpAddress> asked_;
  bool has_ended_ = false;
  unsigned sum_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader input(std::as_bytes(std::span(data, size)));
  const auto options = input.u8();
  if (!options) return 0;
  Session session(*options);
  while (session.step(input)) {
  }
  session.finish();
  return 0;
}
