// SPDX-License-Identifier: Apache-2.0
// The core of a node: composes connections, protocols and operations. No protocol logic of its own, no input or output:
// the shell hands in what happened and drains what is to be done (outputs.hpp). The simulator runs it unchanged.
//
// After any call the shell drains poll_output() until it is empty, then reads next_timeout().
// Not thread-safe: one thread (the core loop) owns it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/accept_limiter.hpp"
#include "base/rng.hpp"
#include "ladder/tier_set.hpp"
#include "node/app_stream.hpp"
#include "node/circuit_client.hpp"
#include "node/dial_back_service.hpp"
#include "node/directory_clients.hpp"
#include "node/directory_service.hpp"
#include "node/fetch_operation.hpp"
#include "node/identify_service.hpp"
#include "node/node_status.hpp"
#include "node/outputs.hpp"
#include "node/peer_link.hpp"
#include "node/reachability_service.hpp"
#include "node/reacher.hpp"
#include "node/relay_service.hpp"
#include "node/store_service.hpp"
#include "node/turn_credential_service.hpp"
#include "node/turn_offer.hpp"
#include "node/udp_probe_service.hpp"
#include "proto/yamux/session.hpp"
#include "wire/identity.hpp"
#include "wire/multiaddr.hpp"

namespace dig::node {

struct ConnectSpec {
  PeerId peer;
  std::vector<Multiaddr> addresses;
  ladder::TierSet tiers = ladder::TierSet::all();
  Duration timeout = 30s;
};

class NodeCore final : private ProtocolHost,
                       private FetchHost,
                       private AppStreamSink,
                       private RelayHost,
                       private CircuitClientHost,
                       private DirectoryHost,
                       private DirectoryClientHost,
                       private TurnCredentialHost,
                       private UdpProbeHost,
                       private IdentifyHost,
                       private ReachabilityHost,
                       private DialBackHost,
                       private DialBackEnds {
 public:
  struct Limits {
    std::size_t max_connections = 512;
    std::size_t max_connections_per_peer = 8;
    std::size_t max_inbound_per_source = 64;  // standing, of one address prefix: identities are free, addresses are not
    std::size_t max_app_streams_per_connection = 256;  // inbound, over all application protocols
    std::size_t max_rest_bytes = std::size_t{32}
                                 << 20U;    // of ended application streams, read by nobody yet; all of them
    Duration linger = 6s;                   // of a closed connection that still has bytes to send
    std::size_t max_inbound_circuits = 64;  // that peers have opened to this node, by whatever relay
    AcceptLimiter::Limits accepts;
    yamux::Limits yamux;
    PeerLink::Limits link;
    StoreService::Limits stores;
    FetchOperation::Limits fetch;
    Reacher::Limits reach;
    relay::RelayServer::Limits relay;
    relay::ReservationKeeper::Limits reservations;
    DirectoryService::Limits directory;
    TurnCredentialService::Limits turn;
    ReachabilityService::Limits reachability;
    DialBackService::Limits dial_backs;
    UdpProbeService::Limits udp_probes;
    std::size_t max_known_relays = 16;
    std::size_t automatic_relays = 2;  // where a node keeps reservations by itself
    Duration full_relay_rest = 5min;   // until a relay that has refused is asked again

    // Everybody stays connected with a bootstrap server, and many of them are reached through it only.
    [[nodiscard]] static Limits of_bootstrap();
  };
  struct Config {
    std::string agent_version;
    Limits limits;
  };

  // `identity` and `rng` must outlive the core.
  NodeCore(const Identity& identity, Rng& rng, Config config);
  ~NodeCore() override;

  // --- what happened, told by the shell ---
  [[nodiscard]] bool admits(Instant now, const Endpoint& remote);
  // Whoever was admitted is answered for by one of these. A carrier other than plain was taken off by the shell.
  void handle_accepted(Instant now, ConnectionId id, const Endpoint& local, const Endpoint& remote,
                       Multiaddr::Carrier carrier = Multiaddr::Carrier::plain);
  void handle_not_accepted(const Endpoint& remote) { limiter_.handshake_ended(remote.address); }
  void handle_dialled(Instant now, DialId dial, ConnectionId id, const Endpoint& local, const Endpoint& remote);
  void handle_dial_failed(Instant now, DialId dial, const Error& error);
  void handle_resolved(Instant now, ResolveId id, Result<std::vector<IpAddress>> addresses);
  void handle_bytes(Instant now, ConnectionId id, BytesView bytes);
  void handle_eof(Instant now, ConnectionId id);
  void handle_transport_error(Instant now, ConnectionId id, const Error& error);
  void handle_disk(Instant now, DiskRequestId id, Result<DiskAnswer> answer);
  void handle_timeout(Instant now);
  // Runs what became ready and tidies up. Every handle_… and command does it; the shell after its last poll_bytes.
  void settle(Instant now);
  // `listening`: of the interfaces, with the ports that are listened on. `announced`: what the owner says instead, who
  // vouches for it; empty: nothing. Connected peers are told of a change (identify push).
  void set_addresses(Instant now, std::vector<Multiaddr> listening, std::vector<Multiaddr> announced = {});
  // The same when the addresses of this machine, or its links, have changed: also, whether it can be reached is asked
  // again at once.
  void handle_network_changed(Instant now, std::vector<Multiaddr> listening, std::vector<Multiaddr> announced = {});
  // For what other machines are told as a time of the day.
  void set_wall_clock(Instant now, UnixTime wall);
  // Answers PersistDirectory.
  void handle_persisted(Instant now, directory::PersistToken token, const Result<directory::PersistOutcome>& result);

  // --- what is to be done, drained by the shell ---
  [[nodiscard]] std::size_t poll_bytes(Instant now, ConnectionId id, MutableBytes out);
  [[nodiscard]] bool wants_bytes(ConnectionId id) const;
  [[nodiscard]] std::optional<NodeOutput> poll_output();
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  // --- commands of the API; each operation ends in one …Ended output ---
  OperationId connect(Instant now, ConnectSpec spec);
  OperationId ping(Instant now, ConnectionId connection);
  void disconnect(Instant now, ConnectionId connection);
  // Cancels every operation and closes every connection.
  void close_all(Instant now);
  OperationId fetch(Instant now, FetchSpec spec);
  // Public roles: they are on while they are wished for and this node was proven to be reachable.
  // Whether it relays for others (circuit relay v2).
  void set_relay(Instant now, bool is_on);
  // Whether it tells others if they can be reached (AutoNAT v2).
  void set_autonat_server(Instant now, bool is_on);
  // The owner knows that this node can be reached: its roles need no proof, and its addresses are published. For
  // bootstrap servers, whom there may be nobody to ask.
  void force_roles(Instant now, bool is_on);
  [[nodiscard]] bool has_public_roles() const;
  // Another AutoNAT server, with which this one works together: they dial back for each other's clients. Both must be
  // told. Errors: invalid_argument for this node itself, limit_reached.
  [[nodiscard]] Result<void> add_dial_back_helper(Instant now, const PeerId& peer, std::vector<Multiaddr> addresses);
  // A relay where a node that publishes itself keeps a reservation until a stranger has reached it. Bootstrap servers
  // that relay are offered by themselves. Beyond the limit none is taken.
  void offer_relay(Instant now, const PeerId& relay, std::vector<Multiaddr> addresses);
  // Keeps a reservation at a relay, so that others reach this node there. Errors: those of
  // ReservationKeeper::add_relay.
  [[nodiscard]] Result<void> add_relay(Instant now, const PeerId& relay, std::vector<Multiaddr> addresses);
  // From now on this node is a directory. Rows that it kept in an earlier life are loaded before anything else; errors
  // of one row: those of DirectoryServer::load.
  void start_directory(Instant now);
  [[nodiscard]] Result<void> load_directory_row(Instant now, const store::DirectoryRow& row);
  // What another server of the same directory wrote, in the same way. Its signature is checked.
  [[nodiscard]] Result<void> load_shared_row(Instant now, const store::DirectoryRow& row);
  // As DirectoryServer::has_row.
  [[nodiscard]] bool has_directory_row(const store::RowName& row) const;
  // Which rows of this directory are kept elsewhere too; all of them may be lost there.
  void handle_replicated(std::span<const store::RowName> rows);
  void forget_replicas();
  // Asks this bootstrap server, and publishes at it once start_publishing() was called. Errors: those of
  // DirectoryClients::add_server.
  [[nodiscard]] Result<void> add_bootstrap(Instant now, const PeerId& peer, std::vector<Multiaddr> addresses);
  // `last_sequence`: of what this identity signed in an earlier life.
  void start_publishing(Instant now, std::uint64_t last_sequence);
  void set_stores(Instant now, std::vector<StoreId> stores);
  // Told by HoldersFound.
  OperationId find_holders(Instant now, const StoreId& store);
  // TURN for peers (node_core_turn.cpp). Offered while its owner wants it, it is not paused and can be reached; `why`
  // is told to the user where this turns the offer on or off, and when an open relay that is wanted is paused. The
  // server itself is the shell's, told by ServeTurn, and takes the credentials that are given here.
  void set_turn_wish(Instant now, std::optional<TurnWish> wish, std::string why);
  [[nodiscard]] const turn::CredentialSource& turn_credentials() const noexcept { return turn_.source(); }
  // Answers OpenUdpProbe (UdpProbeService::handle_listening()), and says what has come on that port.
  void handle_udp_probe_listening(Instant now, UdpProbeId id, const Result<Endpoint>& relay);
  void handle_udp_probe_datagram(Instant now, UdpProbeId id, BytesView datagram);
  // Answers SendUdpProbe (UdpProbeService::handle_sent()).
  void handle_udp_probe_sent(Instant now, UdpSendId id, bool is_sent);
  // Asks the peer of a connection for credentials with which this node reaches `target` through its TURN server. Told
  // by TurnCredentialsEnded.
  OperationId ask_turn_credentials(Instant now, ConnectionId relay, const PeerId& target);
  // Of a fetch whose spec says that more holders come; `more_come`: these are not the last.
  void add_holders(Instant now, OperationId fetch, std::vector<HolderSpec> holders, bool more_come);
  [[nodiscard]] Result<void> want_chunks(Instant now, OperationId fetch, std::uint64_t first, std::uint64_t count);
  void finish_fetch(Instant now, OperationId fetch);
  void cancel(Instant now, OperationId operation);
  OperationId open_app_stream(Instant now, ConnectionId connection, const std::string& protocol);
  void accept_app_protocol(Instant now, const std::string& protocol);
  void read_app_stream(Instant now, ConnectionId connection, StreamId stream, std::size_t max_bytes);
  void write_app_stream(Instant now, ConnectionId connection, StreamId stream, Bytes bytes);
  void finish_app_stream(Instant now, ConnectionId connection, StreamId stream);
  void reset_app_stream(Instant now, ConnectionId connection, StreamId stream, std::uint64_t code);
  void stop_app_stream(Instant now, ConnectionId connection, StreamId stream, std::uint64_t code);

  [[nodiscard]] NodeStatus snapshot() const;
  // The established connections.
  [[nodiscard]] std::vector<LinkStatus> links() const;

 private:
  struct ConnectOperation {
    ConnectSpec spec;
    ladder::AttemptLog log;
    Instant deadline;
  };
  struct HolderOf {
    OperationId fetch;
    exchange::HolderId holder;
    friend bool operator==(const HolderOf&, const HolderOf&) = default;
  };
  struct PartnerOf {  // of the AutoNAT server
    friend bool operator==(const PartnerOf&, const PartnerOf&) = default;
  };
  // Who wants a peer reached: a connect operation, a fetch, the dial of a circuit through it, a reservation at it, what
  // is to be asked of its directory, that it dials back.
  using DialOwner = std::variant<OperationId, HolderOf, DialId, relay::AttemptId, directory::BootstrapId, PartnerOf>;
  struct Dialling {                 // one peer being reached
    std::vector<DialOwner> owners;  // several only of a server, which is the same for all of them
    PeerId peer;
    std::unique_ptr<ladder::AttemptLog> own_log;  // of a server: its owners have none
    Reacher reacher;
    std::map<DialIndex, DialId> dials{};
    std::map<DialIndex, ConnectionId> handshakes{};
    bool has_connected = false;  // somebody listens there, whatever became of the handshake
  };
  using DiallingId = std::uint64_t;
  struct DialRef {
    DiallingId dialling = 0;
    DialIndex index;
    Multiaddr::Carrier carrier = Multiaddr::Carrier::plain;
  };
  struct LookUpRef {
    DiallingId dialling = 0;
    std::size_t index = 0;
  };
  struct Link {
    std::unique_ptr<PeerLink> link;
    std::optional<DialRef> dial;          // until established
    std::optional<DialBackId> dial_back;  // it was made to say a nonce, and is no connection to the peer otherwise
    bool is_half_open = false;            // counted by the accept limiter
    bool has_transport = true;
    std::optional<Instant> scheduled;
    Instant established;
    std::size_t app_streams = 0;
  };

  struct Leaving {  // closed, but with bytes left to send
    std::unique_ptr<PeerLink> link;
    Instant deadline;
  };

  // ProtocolHost
  [[nodiscard]] const std::vector<std::string>& supported_protocols() const override { return protocols_; }
  [[nodiscard]] std::unique_ptr<StreamHandler> make_handler(Instant now, PeerLink& link,
                                                            const std::string& protocol) override;
  void handle_established(Instant now, PeerLink& link) override;
  void handle_link_closed(Instant now, PeerLink& link, const Error& why) override;
  void handle_link_active(PeerLink& link) override;
  // FetchHost and AppStreamSink
  void put(NodeOutput output) override { outputs_.push_back(std::move(output)); }
  void mark_active(OperationId operation) override { active_.insert(operation); }
  [[nodiscard]] PeerLink* find_link(const PeerId& peer, std::optional<ConnectionId> except) override;
  [[nodiscard]] PeerLink* find_link(ConnectionId connection) override;  // also of RelayHost
  void dial_holder(Instant now, OperationId operation, exchange::HolderId holder, const HolderSpec& spec,
                   const ladder::TierSet& tiers, ladder::AttemptLog& log) override;
  void cancel_dials(Instant now, OperationId operation) override;
  [[nodiscard]] DiskRequestId ask_disk(OperationId operation, decltype(DiskRequest::request) request) override;
  void add_app_stream(AppStream& stream) override;
  void remove_app_stream(AppStream& stream) override;
  void keep_rest(AppStream& stream, AppStreamRest rest) override;

  // RelayHost; the time of the day also for TurnCredentialHost
  [[nodiscard]] PeerLink* find_direct_link(const PeerId& peer, std::optional<ConnectionId> except) override;
  void mark_stream_active(ConnectionId connection, StreamId stream) override {
    active_streams_.emplace(connection, stream);
  }
  [[nodiscard]] UnixTime wall(Instant now) const override;
  // CircuitClientHost
  [[nodiscard]] std::optional<ConnectionId> handle_circuit_made(Instant now, DialId dial, const CircuitCarrier& carrier,
                                                                const circuit::Limit& limit) override;
  void handle_circuit_failed(Instant now, DialId dial, const Error& why) override;
  [[nodiscard]] bool admits_circuit(ConnectionId relay) const override;
  [[nodiscard]] ConnectionId handle_circuit_accepted(Instant now, const CircuitCarrier& carrier,
                                                     const relay::CircuitOffered& offer) override;
  void handle_reserved(Instant now, relay::AttemptId attempt, relay::GrantedReservation reservation) override;
  void handle_reserve_failed(Instant now, relay::AttemptId attempt, const Error& why) override;
  void handle_carried_bytes(Instant now, ConnectionId id, BytesView bytes) override;
  void handle_carried_eof(Instant now, ConnectionId id) override;
  void handle_carrier_lost(Instant now, ConnectionId id, const Error& why) override;
  [[nodiscard]] std::size_t poll_carried(Instant now, ConnectionId id, MutableBytes out) override;
  [[nodiscard]] bool wants_carried(ConnectionId id) const override;
  [[nodiscard]] bool is_carried_over(ConnectionId id) const override;

  // DirectoryClientHost
  void dial_bootstrap(Instant now, directory::BootstrapId server, const PeerId& peer,
                      const std::vector<Multiaddr>& addresses) override;

  // IdentifyHost, ReachabilityHost, DialBackHost and DialBackEnds: node_core_reachability.cpp
  void handle_identified(Instant now, ConnectionId connection, const Identify& message) override;
  void mark_reachability_active() override { is_reachability_active_ = true; }
  void mark_dial_backs_active() override { are_dial_backs_active_ = true; }
  void mark_udp_probes_active() override { are_udp_probes_active_ = true; }
  [[nodiscard]] bool is_connected_to(const IpAddress& address) const override;
  void dial_back(Instant now, DialBackId id, const autonat::WantDialBack& wanted) override;
  void cancel_dial_back(DialBackId id) override;
  void dial_partner(Instant now, const PeerId& partner, const std::vector<Multiaddr>& addresses) override;
  void handle_nonce_said(DialBackId id, autonat::DialBackOutcome outcome) override {
    dial_back_ends_.emplace_back(id, outcome);
  }
  [[nodiscard]] bool handle_dial_back_dialled(Instant now, DialId dial, ConnectionId id, const Endpoint& local,
                                              const Endpoint& remote);
  [[nodiscard]] bool handle_dial_back_failed(DialId dial);
  void handle_dial_back_established(Instant now, PeerLink& link, DialBackId id);
  void settle_reachability(Instant now);
  [[nodiscard]] bool is_reachability_settled(Instant now) const;
  void end_dial_backs(Instant now);
  [[nodiscard]] bool is_announced() const;
  [[nodiscard]] std::string why_roles() const;
  void handle_relay_refused(Instant now, const PeerId& relay, const Error& why);
  [[nodiscard]] std::optional<Instant> next_relay_attempt(Instant now) const;
  void remember_relay(const PeerId& relay, std::vector<Multiaddr> addresses);
  void set_protocol(std::string_view protocol, bool is_spoken);
  void update_roles(Instant now);
  void keep_reservations(Instant now);
  [[nodiscard]] autonat::DialPolicy dial_policy() const;
  [[nodiscard]] std::vector<Multiaddr> own_addresses() const;
  [[nodiscard]] std::vector<Multiaddr> proven_addresses() const;
  void publish_addresses(Instant now);
  void tell_addresses();

  // node_core_circuits.cpp
  void dial_circuit(Instant now, DiallingId dialling, Reacher::DialCircuit& dial);
  void ask_for_circuit(Instant now, DialId dial, PeerLink& relay);
  [[nodiscard]] ConnectionId add_circuit(Instant now, Direction direction, const CircuitCarrier& carrier,
                                         const circuit::Limit& limit, const PeerId& peer, std::optional<DialRef> dial);
  void abandon_circuit(Instant now, DialId dial);
  void end_carrier(Instant now, ConnectionId id);
  void end_late_carriers(Instant now);
  void drain_keeper(Instant now);
  void handle_relay_reached(Instant now, DialId dial, const Result<ConnectionId>& relay);
  void connect_relay(Instant now, relay::ConnectRelay& wanted);
  void handle_keeper_connected(Instant now, relay::AttemptId attempt, const Result<ConnectionId>& connection);
  void update_turn_role(Instant now);
  [[nodiscard]] bool is_turn_wished() const { return turn_wish_ && !turn_wish_->is_paused; }
  [[nodiscard]] std::string why_no_turn() const;
  void require_reached_ports(std::optional<TurnRole>& role, std::string& why) const;
  void serve_turn(const std::optional<TurnRole>& role);
  void tell_turn_role(const std::optional<TurnRole>& role, TurnRelayKind kind, std::string why);
  [[nodiscard]] NodeRoles roles() const;

  void add_link(Instant now, ConnectionId id, Direction direction, LinkPath path, std::optional<DialRef> dial,
                std::optional<PeerId> expected);
  // Connected peers are told who this node is when it settles: all of them and so not too often, some at a time, as
  // each costs a stream and there may be thousands.
  static constexpr std::size_t k_pushes_at_once = 64;
  static constexpr Duration k_between_pushes = 100ms;
  static constexpr Duration k_between_rounds = 5s;
  void push_identify() { is_push_due_ = true; }
  [[nodiscard]] bool wants_push() const { return is_push_due_ || pushed_until_; }
  void push_identify_now(Instant now);
  void end_handshake(Link& entry);
  // Of the address prefix from which this link came; nullptr unless it did.
  [[nodiscard]] std::size_t* inbound_of(const PeerLink& link);
  void start_dialling(Instant now, Dialling dialling);
  // A relay or a bootstrap server: by its own addresses only, once for all who want it.
  void dial_server(Instant now, const DialOwner& owner, const PeerId& peer, const std::vector<Multiaddr>& addresses);
  void drain_dialling(Instant now, DiallingId id);
  void finish_dialling(Instant now, DiallingId id, const Result<DialIndex>& result);
  void tell_reached(Instant now, const DialOwner& owner, const Dialling& dialling,
                    const Result<ConnectionId>& connection, const Result<DialIndex>& winner);
  void abandon_dial(Instant now, Dialling& dialling, DialIndex index);
  void abandon_dialling(Instant now, DiallingId id);
  void end_connect(Instant now, OperationId id, Result<ConnectSuccess> result);
  void tell_attempts(OperationId id, ladder::AttemptLog& log);
  using AppStreamKey = std::pair<ConnectionId, StreamId>;
  [[nodiscard]] AppStream* find_app_stream(ConnectionId connection, StreamId stream);
  void read_rest(const AppStreamKey& key, std::size_t max_bytes);
  void drop_rest(const AppStreamKey& key);
  // The inbound connection that has been idle for longest and may be closed for another.
  [[nodiscard]] PeerLink* longest_idle() const;
  void drain_active(Instant now);
  void tidy_up(Instant now);
  void reset_evicted_store_streams(Instant now);
  void reschedule(Link& entry);

  const Identity& identity_;
  Rng& rng_;
  Config config_;
  AcceptLimiter limiter_;
  exchange::BufferPool pool_;
  StoreService stores_;
  IdentifyService identify_;
  RelayService relay_;
  relay::ReservationKeeper keeper_;
  std::optional<DirectoryService> directory_;  // in the role of a bootstrap server
  DirectoryClients directory_clients_;
  TurnCredentialService turn_;
  std::optional<TurnWish> turn_wish_;
  std::string why_turn_wish_;  // of the wish that is being followed, and while there is none or it is paused
  std::optional<ServeTurn> turn_served_;
  std::string told_turn_off_;  // why, last; empty while it is on
  UdpProbeService udp_probes_;
  ReachabilityService reachability_;
  DialBackService dial_backs_;
  std::vector<Multiaddr> listening_;
  std::vector<Multiaddr> announced_;  // in place of all others
  struct Roles {
    bool wants_relay = false;
    bool wants_autonat_server = false;
    bool is_forced = false;
  } roles_{};
  std::map<PeerId, std::vector<Multiaddr>> bootstraps_;
  struct KnownRelay {
    std::vector<Multiaddr> addresses;
    Instant not_before;  // it has refused: it may have room again then
  };
  std::map<PeerId, KnownRelay> known_relays_;
  std::optional<Instant> next_relay_attempt_;
  std::set<PeerId> automatic_relays_;  // of the kept ones, those that nobody has asked for
  bool is_reachability_active_ = false;
  bool are_dial_backs_active_ = false;
  bool are_udp_probes_active_ = false;
  bool are_roles_due_ = false;
  bool is_push_due_ = false;
  std::optional<ConnectionId> pushed_until_;  // while a round lasts: the last one who was told
  Instant next_push_{};                       // not before
  struct WallClock {
    Instant at;
    UnixTime wall;
  } wall_{};
  std::vector<std::string> protocols_;
  std::set<std::string> app_protocols_;

  std::map<ConnectionId, Link> links_;
  std::map<ConnectionId, Leaving> leaving_;
  std::multimap<PeerId, ConnectionId> peers_;
  std::map<AcceptLimiter::Prefix, std::size_t> inbound_;  // connections that stand
  std::set<std::pair<Instant, ConnectionId>> schedule_;
  std::set<ConnectionId> touched_;
  std::vector<ConnectionId> closed_;

  std::uint64_t next_id_ = 1;  // of operations, dials, look-ups and disk requests alike
  std::map<OperationId, ConnectOperation> connects_;
  std::map<OperationId, std::unique_ptr<FetchOperation>> fetches_;
  std::map<DiallingId, Dialling> diallings_;
  std::map<DialId, DialRef> dials_;
  std::map<ResolveId, LookUpRef> look_ups_;
  struct CircuitDial {
    DialRef ref;
    PeerId target;
  };
  std::map<DialId, CircuitDial> circuit_dials_;
  std::map<ConnectionId, CircuitCarrier> carriers_;  // of relayed links
  std::map<ConnectionId, Instant> ending_carriers_;  // of links that are gone: until when the peer may finish too
  std::set<std::pair<ConnectionId, StreamId>> active_streams_;
  std::uint64_t next_circuit_ = 1;
  struct DialBackAttempt {
    autonat::WantDialBack wanted;
    std::optional<DialId> dial;
    std::optional<ConnectionId> connection;
  };
  std::map<DialBackId, DialBackAttempt> dial_back_attempts_;
  std::map<DialId, DialBackId> dial_back_dials_;
  std::vector<std::pair<DialBackId, autonat::DialBackOutcome>> dial_back_ends_;
  std::vector<ConnectionId> unwanted_links_;  // to be closed
  std::map<DiskRequestId, OperationId> disk_;
  std::map<AppStreamKey, AppStream*> app_streams_;
  std::map<AppStreamKey, AppStreamRest> rests_;  // until the application lets go of the stream
  std::size_t rest_bytes_ = 0;
  std::set<OperationId> active_;
  std::deque<NodeOutput> outputs_;
};

}  // namespace dig::node
