// SPDX-License-Identifier: Apache-2.0
// What a TURN server owes its clients, written down a second time from RFC 8656 and the limits of its configuration.
// It shares no code with the server. Of each input it says, as lines of text, what must be sent and what the shell must
// be told; what a server chooses freely (ports, tokens, ids of relays) is shown to it and checked. Test-only.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proto/turn_server/server.hpp"

namespace dig::turn::testing {

struct Peer {
  Endpoint endpoint;
  bool is_forbidden = false;  // by the policy
};

// The attributes of an Allocate request, as numbers on the wire.
struct AllocateWish {
  std::optional<std::uint8_t> transport = 17;
  std::optional<std::uint8_t> family;
  std::optional<std::uint8_t> additional;
  std::optional<bool> even_port;  // its R bit
  std::optional<std::uint64_t> token;
  std::optional<std::uint32_t> lifetime;
};

class ServerModel {
 public:
  using Lines = std::vector<std::string>;
  struct Client {
    Endpoint remote;
    bool is_stream = false;
  };
  // An authenticated request.
  struct Asker {
    std::size_t client = 0;
    std::string user;
    stun::TransactionId transaction{};
  };

  ServerModel(const ServerConfig& config, const QuotaBook::Limits& quotas, std::vector<Client> clients);

  void set_now(Instant now) { now_ = now; }

  // --- inputs -----------------------------------------------------------------------------------------------------
  // A request of this client has authenticated itself; comes before what is asked for.
  void prove(std::size_t client);
  void answer_stranger(std::size_t client, std::string_view what, std::size_t request_size, std::size_t reply_size);
  void allocate(const Asker& asker, const AllocateWish& wish);
  void refresh(const Asker& asker, std::optional<std::uint32_t> lifetime, std::optional<std::uint8_t> family);
  void create_permission(const Asker& asker, const std::vector<Peer>& peers);
  void bind_channel(const Asker& asker, std::optional<std::uint16_t> number, const std::optional<Peer>& peer);
  void refuse(const Asker& asker, std::string_view method, int code);
  void send(std::size_t client, const Peer& peer, BytesView payload, bool dont_fragment);
  void channel_data(std::size_t client, BytesView datagram);
  void peer_data(RelayId relay, const Endpoint& peer, BytesView payload);
  void close_client(std::size_t client);
  void drain(const std::optional<Endpoint>& alternate);
  void tick();

  // --- what the server chose --------------------------------------------------------------------------------------
  // A port that it asks the shell to open. False: it may not have this one.
  [[nodiscard]] bool give_port(const OpenRelay& open);
  enum class Opened : std::uint8_t { yes, port_in_use, failed };
  void relay_opened(RelayId relay, Opened result);
  // A token it handed out, the first time or again. False: it should not have, or it was another one before.
  [[nodiscard]] bool give_token(std::size_t client, std::uint64_t token);

  // --- what is expected -------------------------------------------------------------------------------------------
  [[nodiscard]] Lines take_outputs() { return std::exchange(outputs_, {}); }
  [[nodiscard]] Lines take_events() { return std::exchange(events_, {}); }
  // Whether a stranger's answer, larger than its request, may go out now; counts it.
  [[nodiscard]] bool may_amplify(std::size_t client);
  [[nodiscard]] bool has_allocation(std::size_t client) const { return allocations_.contains(client); }
  [[nodiscard]] std::size_t allocations() const { return allocations_.size(); }
  [[nodiscard]] std::size_t free_ports() const { return free_[0].size() + free_[1].size(); }
  [[nodiscard]] bool needs_time() const { return !allocations_.empty() || !kept_.empty(); }
  [[nodiscard]] std::vector<RelayId> open_relays() const;
  [[nodiscard]] std::vector<Endpoint> relayed_addresses() const;
  [[nodiscard]] std::vector<std::uint64_t> tokens() const;

 private:
  enum class Rule : std::uint8_t { any, even, even_and_next, reserved };
  struct Relay {
    Rule rule = Rule::any;
    RelayId id;
    std::uint16_t port = 0;  // known from the start under Rule::reserved
    bool is_open = false;
    std::size_t refused = 0;  // ports that the system refused
  };
  // What an address has had of answers that are larger than their unauthenticated requests.
  struct Amplified {
    std::int64_t second = -1;
    unsigned answers = 0;
    unsigned proven_answers = 0;
    Instant proven_until;
  };
  struct Bucket {
    __int128 level = 0;  // in 10^-9 of one
    std::optional<Instant> updated;
    [[nodiscard]] bool take(Instant now, const TokenBucket::Rate& rate, std::uint64_t amount);
  };
  struct Channel {
    Endpoint peer;
    Instant expires;
  };
  struct Allocation {
    std::string user;
    stun::TransactionId transaction{};
    Instant expires;
    std::uint32_t lifetime = 0;
    bool is_opening = true;
    int additional_error = 0;
    std::uint64_t reservation = 0;
    std::optional<std::uint64_t> token;  // of what it reserved, once the server has said it
    std::array<std::optional<Relay>, 2> relays;
    std::map<IpAddress, Instant> permissions;
    std::map<std::uint16_t, Channel> channels;
    std::uint64_t volume = 0;
    Bucket bandwidth;
    Bucket new_peers;
  };
  // A port that is neither free nor used: reserved for a token, or held by another program.
  struct Kept {
    std::size_t family = 0;
    std::uint16_t port = 0;
    Instant until;
    std::uint64_t reservation = 0;  // 0: of nobody
    std::optional<std::uint64_t> token;
  };

  void answer(std::size_t client, std::string_view what, std::string_view signer);
  [[nodiscard]] int refusal_of(const AllocateWish& wish) const;
  [[nodiscard]] bool is_within_quotas(const Asker& asker) const;
  [[nodiscard]] std::optional<Kept> take_kept(std::uint64_t token);
  [[nodiscard]] bool has_port(std::size_t family, Rule rule) const;
  [[nodiscard]] std::uint32_t granted(std::optional<std::uint32_t> wanted) const;
  [[nodiscard]] const std::optional<IpAddress>& relay_address(std::size_t family) const;
  [[nodiscard]] Endpoint relayed(std::size_t family, const Relay& relay) const;
  void want(std::size_t client, std::size_t family, Relay relay);
  void answer_allocate(std::size_t client);
  void open_failed(std::size_t client, std::size_t family, Opened result);
  [[nodiscard]] Allocation* owned(const Asker& asker, std::string_view method, bool may_be_opening = false);
  void free_relay(std::optional<Relay>& relay, std::size_t family);
  void end(std::size_t client, AllocationEnd why);
  [[nodiscard]] int refusal_of(const Allocation& allocation, const Peer& peer) const;
  [[nodiscard]] bool permit(Allocation& allocation, const std::set<IpAddress>& peers);
  [[nodiscard]] bool is_permitted(const Allocation& allocation, const IpAddress& peer) const;
  [[nodiscard]] bool may_relay(Allocation& allocation, std::size_t size);
  void to_client(std::size_t client, const Endpoint& peer, BytesView payload);

  ServerConfig config_;
  QuotaBook::Limits quotas_;
  std::vector<Client> clients_;
  Instant now_;
  std::map<std::size_t, Allocation> allocations_;
  std::array<std::set<std::uint16_t>, 2> free_;  // IPv4, IPv6
  std::vector<Kept> kept_;
  std::uint64_t last_reservation_ = 0;
  std::deque<std::pair<std::size_t, std::size_t>> wanted_;  // client and family of ports still to be asked for
  std::map<IpAddress, Amplified> amplified_;
  bool is_draining_ = false;
  std::optional<Endpoint> alternate_;
  Lines outputs_;
  Lines events_;
};

// The lines, as the model writes them and as a driver writes what it sees.
[[nodiscard]] std::string answer_line(std::size_t client, std::string_view what, std::string_view signer);
[[nodiscard]] std::string channel_line(std::size_t client, std::uint16_t number, BytesView payload);
[[nodiscard]] std::string data_line(std::size_t client, const Endpoint& peer, BytesView payload);
[[nodiscard]] std::string peer_line(RelayId relay, const Endpoint& peer, BytesView payload, bool dont_fragment);
[[nodiscard]] std::string open_line(IpFamily family);
[[nodiscard]] std::string close_line(RelayId relay);
[[nodiscard]] std::string made_line(const Endpoint& client, std::string_view user);
[[nodiscard]] std::string ended_line(const Endpoint& client, std::string_view user, AllocationEnd why,
                                     std::uint64_t bytes);

}  // namespace dig::turn::testing
