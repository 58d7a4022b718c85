// SPDX-License-Identifier: Apache-2.0
#include "node/directory_clients.hpp"

#include <algorithm>
#include <utility>

#include "node/buffered_handler.hpp"

namespace dig::node {
namespace {

constexpr std::uint32_t k_page = 32;  // records of one answer
// A stream on which nothing is asked is given up well before the server loses patience with it (60 s): a question that
// meets the server's reset on its way would be lost.
constexpr Duration k_quiet = 30s;

}  // namespace

class DirectoryClients::Stream final : public BufferedHandler {
 public:
  Stream(Instant now, DirectoryClients& clients, directory::BootstrapId server, ConnectionId connection)
      : clients_(&clients), server_(server), connection_(connection), machine_(now) {}
  ~Stream() override {
    if (clients_ != nullptr) clients_->servers_.at(server_).stream = nullptr;
  }

  [[nodiscard]] directory::DirectoryClient& machine() noexcept { return machine_; }
  [[nodiscard]] bool is_ready() const noexcept { return is_ready_; }
  void detach() noexcept { clients_ = nullptr; }
  void wake() { clients_->host_.mark_stream_active(connection_, stream_); }

  void handle_opened(StreamId stream) override { stream_ = stream; }
  void handle_negotiated(Instant now) override {
    is_ready_ = true;
    quiet_since_ = now;
    if (clients_ != nullptr) clients_->send_waiting(now, server_);
  }
  void handle_eof(Instant now) override {
    machine_.handle_eof(now);
    drain(now);
  }
  [[nodiscard]] bool has_finished_writing() const override { return false; }
  [[nodiscard]] std::optional<Error> failure() const override { return failure_; }
  void handle_closed(Instant now, const Error& why) override {
    if (auto* const clients = std::exchange(clients_, nullptr)) clients->handle_lost(now, server_, why);
  }
  void handle_timeout(Instant now) override {
    machine_.handle_timeout(now);
    drain(now);
    if (const auto end = quiet_end(); end && *end <= now) give_up();
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override {
    return earliest(machine_.next_timeout(), quiet_end());
  }

 protected:
  [[nodiscard]] std::size_t take(Instant now, BytesView bytes) override {
    machine_.handle_bytes(now, bytes);
    quiet_since_ = now;
    drain(now);
    return bytes.size();
  }
  [[nodiscard]] std::size_t give(Instant now, MutableBytes out) override { return machine_.poll_bytes(now, out); }

 private:
  [[nodiscard]] std::optional<Instant> quiet_end() const {
    const directory::ClientStatus status = machine_.snapshot();
    const bool is_quiet = clients_ != nullptr && is_ready_ && !status.is_failed && status.requests_outstanding == 0;
    return is_quiet ? std::optional(quiet_since_ + k_quiet) : std::nullopt;
  }
  void give_up() {
    failure_ = Error(Errc::stream_closed, "nothing is asked");
    std::exchange(clients_, nullptr)->servers_.at(server_).stream = nullptr;
  }
  void drain(Instant now) {
    while (auto event = machine_.poll_event()) {
      if (const auto* failed = std::get_if<directory::ClientFailed>(&*event)) {
        failure_ = failed->error;  // the stream is reset, and handle_closed() follows
      } else if (clients_ != nullptr) {
        clients_->handle_event(now, server_, *event);
      }
    }
  }

  DirectoryClients* clients_;
  directory::BootstrapId server_;
  ConnectionId connection_;
  StreamId stream_;
  directory::DirectoryClient machine_;
  bool is_ready_ = false;
  Instant quiet_since_;  // of use once it is ready
  std::optional<Error> failure_;
};

DirectoryClients::~DirectoryClients() {
  for (auto& [id, server] : servers_) {
    if (server.stream != nullptr) server.stream->detach();
  }
}

Result<void> DirectoryClients::add_server(Instant now, const PeerId& peer, std::vector<Multiaddr> addresses) {
  if (peer == identity_.peer_id()) return fail(Errc::invalid_argument, "a node is not its own bootstrap server");
  if (servers_.size() >= max_servers) return fail(Errc::limit_reached, "bootstrap servers");
  const directory::BootstrapId id{servers_.size() + 1};
  Server& server = servers_[id];
  server.peer = peer;
  server.addresses = std::move(addresses);
  if (publisher_ && !held_until_) publisher_->add_server(now, id);
  if (held_until_) reach(now, id);
  drain_publisher(now);
  return {};
}

// --- publishing -----------------------------------------------------------------------------------------------------

void DirectoryClients::start_publishing(Instant now, UnixTime wall, std::uint64_t last_sequence) {
  publisher_.emplace(now, wall, identity_, rng_, last_sequence);
  told_sequence_ = last_sequence;
  held_until_ = now + first_wait;
  for (const auto& [id, server] : servers_) {
    if (server.stream == nullptr) reach(now, id);
  }
}

void DirectoryClients::begin(Instant now) {
  held_until_.reset();
  for (const auto& [id, server] : servers_) publisher_->add_server(now, id);
  drain_publisher(now);
}

void DirectoryClients::set_wall_clock(Instant now, UnixTime wall) {
  if (publisher_) publisher_->set_wall_clock(now, wall);
}

void DirectoryClients::set_node(Instant now, directory::NodeDescription node) {
  if (!publisher_) return;
  const bool has_address = !node.addresses.empty();
  publisher_->set_node(now, std::move(node));
  if (held_until_ && has_address) begin(now);
  drain_publisher(now);
}

void DirectoryClients::set_stores(Instant now, std::vector<StoreId> stores) {
  if (!publisher_) return;
  publisher_->set_stores(now, std::move(stores));
  drain_publisher(now);
}

void DirectoryClients::stop(Instant now) {
  if (!publisher_) return;
  held_until_.reset();
  publisher_->stop(now);
  drain_publisher(now);
}

void DirectoryClients::drain_publisher(Instant now) {
  while (auto event = publisher_ ? publisher_->poll_event() : std::nullopt) {
    if (auto* publish = std::get_if<directory::Publish>(&*event)) {
      const directory::BootstrapId server = publish->server;
      ask(now, server, std::move(*publish));
    } else {
      auto& withdraw = std::get<directory::Withdraw>(*event);
      const directory::BootstrapId server = withdraw.server;
      ask(now, server, std::move(withdraw));
    }
  }
  tell_sequence();
}

void DirectoryClients::tell_sequence() {
  if (!publisher_ || publisher_->sequence() == told_sequence_) return;
  told_sequence_ = publisher_->sequence();
  host_.put(SequenceUsed{told_sequence_});
}

// --- finding --------------------------------------------------------------------------------------------------------

void DirectoryClients::find_holders(Instant now, OperationId operation, const StoreId& store) {
  std::vector<directory::BootstrapId> servers;
  for (const auto& [id, server] : servers_) servers.push_back(id);
  searches_.emplace(operation, Search{directory::Search(servers), store});
  drain_search(now, operation);
}

void DirectoryClients::cancel(OperationId operation) {
  if (searches_.erase(operation) != 0) host_.put(HoldersFound{operation, {}, {Error(Errc::cancelled)}, true});
}

void DirectoryClients::drain_search(Instant now, OperationId operation) {
  for (;;) {
    const auto found = searches_.find(operation);
    if (found == searches_.end()) return;
    auto event = found->second.search.poll_event();
    if (!event) return;
    if (const auto* wanted = std::get_if<directory::Ask>(&*event)) {
      ask(now, wanted->server, Ask{operation, wanted->cursor});
    } else if (auto* records = std::get_if<directory::SearchFound>(&*event)) {
      host_.put(HoldersFound{operation, std::move(records->records), {}, false});
    } else {
      auto& ended = std::get<directory::SearchEnded>(*event);
      std::vector<Error> errors;
      for (const directory::ServerError& one : ended.errors) {
        errors.emplace_back(one.error.code(),
                            "bootstrap server " + servers_.at(one.server).peer.to_string() + ": " + one.error.detail());
      }
      searches_.erase(found);
      host_.put(HoldersFound{operation, {}, std::move(errors), true});
    }
  }
}

// --- streams --------------------------------------------------------------------------------------------------------

void DirectoryClients::ask(Instant now, directory::BootstrapId id, Question question) {
  Server& server = servers_.at(id);
  server.waiting.push_back(std::move(question));
  if (server.stream == nullptr) {
    reach(now, id);
  } else if (server.stream->is_ready()) {
    send_waiting(now, id);
  }
}

void DirectoryClients::reach(Instant now, directory::BootstrapId id) {
  Server& server = servers_.at(id);
  if (server.is_dialling) return;
  if (PeerLink* link = host_.find_link(server.peer, std::nullopt)) return open_stream(now, id, *link);
  server.is_dialling = true;
  host_.dial_bootstrap(now, id, server.peer, server.addresses);
}

void DirectoryClients::handle_connected(Instant now, directory::BootstrapId id,
                                        const Result<ConnectionId>& connection) {
  Server& server = servers_.at(id);
  server.is_dialling = false;
  PeerLink* const link = connection ? host_.find_link(server.peer, std::nullopt) : nullptr;
  if (link != nullptr) return open_stream(now, id, *link);
  handle_lost(now, id, connection ? Error(Errc::connection_closed) : connection.error());
}

void DirectoryClients::open_stream(Instant now, directory::BootstrapId id, PeerLink& link) {
  auto stream = std::make_unique<Stream>(now, *this, id, link.id());
  servers_.at(id).stream = stream.get();
  const auto opened = link.open(now, std::string(k_directory_protocol), std::move(stream));
  if (!opened) handle_lost(now, id, opened.error());
}

void DirectoryClients::send_waiting(Instant now, directory::BootstrapId id) {
  Server& server = servers_.at(id);
  while (!server.waiting.empty() && server.stream != nullptr) {
    const auto sent = send(now, server.stream->machine(), server.waiting.front());
    if (!sent && sent.error().code() == Errc::limit_reached) break;  // goes on when an answer has come
    Question question = std::move(server.waiting.front());
    server.waiting.pop_front();
    if (sent) {
      server.asked.emplace(*sent, std::move(question));
    } else {
      fail_question(now, id, question, sent.error());
    }
  }
  if (server.stream != nullptr) server.stream->wake();
}

Result<directory::DirectoryRequestId> DirectoryClients::send(Instant now, directory::DirectoryClient& client,
                                                             Question& question) {
  if (const auto* publish = std::get_if<directory::Publish>(&question)) {
    return client.register_envelopes(now, publish->envelopes);
  }
  if (const auto* withdraw = std::get_if<directory::Withdraw>(&question)) {
    return client.remove(now, withdraw->envelope);
  }
  const Ask& wanted = std::get<Ask>(question);
  const auto search = searches_.find(wanted.operation);
  if (search == searches_.end()) return fail(Errc::cancelled);
  return client.find_holders(now, search->second.store, wanted.cursor, k_page);
}

void DirectoryClients::handle_event(Instant now, directory::BootstrapId id, directory::ClientEvent& event) {
  Server& server = servers_.at(id);
  const directory::DirectoryRequestId request = std::visit(
      [](const auto& one) -> directory::DirectoryRequestId {
        if constexpr (requires { one.request; }) return one.request;
        return {};
      },
      event);
  const auto asked = server.asked.extract(request);
  if (asked.empty()) return;
  const Question& question = asked.mapped();
  if (const auto* done = std::get_if<directory::RegistrationDone>(&event)) {
    if (publisher_ && std::holds_alternative<directory::Publish>(question)) {
      publisher_->handle_registered(now, id, done->registered);
      drain_publisher(now);
    }
  } else if (auto* records = std::get_if<directory::RecordsFound>(&event)) {
    const auto* const wanted = std::get_if<Ask>(&question);
    const auto search = wanted == nullptr ? searches_.end() : searches_.find(wanted->operation);
    if (search != searches_.end()) {
      search->second.search.handle_found(id, std::move(records->records), records->cursor);
      drain_search(now, wanted->operation);
    }
  } else if (const auto* refused = std::get_if<directory::RequestRefused>(&event)) {
    fail_question(now, id, question, refused->error);
  }
  send_waiting(now, id);
}

// Everything that was asked or waits is answered with it.
void DirectoryClients::handle_lost(Instant now, directory::BootstrapId id, const Error& why) {
  Server& server = servers_.at(id);
  server.stream = nullptr;
  std::vector<Question> questions;
  for (auto& [request, question] : std::exchange(server.asked, {})) questions.push_back(std::move(question));
  for (Question& question : std::exchange(server.waiting, {})) questions.push_back(std::move(question));
  for (const Question& question : questions) fail_question(now, id, question, why);
}

void DirectoryClients::fail_question(Instant now, directory::BootstrapId id, const Question& question,
                                     const Error& why) {
  if (std::holds_alternative<directory::Publish>(question)) {
    if (!publisher_) return;
    publisher_->handle_registered(now, id, std::unexpected(why));
    drain_publisher(now);
  } else if (const auto* wanted = std::get_if<Ask>(&question)) {
    const auto search = searches_.find(wanted->operation);
    if (search == searches_.end()) return;
    search->second.search.handle_failed(id, why);
    drain_search(now, wanted->operation);
  }
}

void DirectoryClients::handle_timeout(Instant now) {
  if (!publisher_) return;
  if (held_until_ && *held_until_ <= now) begin(now);
  publisher_->handle_timeout(now);
  drain_publisher(now);
}

std::optional<Instant> DirectoryClients::next_timeout() const {
  return publisher_ ? earliest(held_until_, publisher_->next_timeout()) : std::nullopt;
}

std::vector<BootstrapStatus> DirectoryClients::snapshot() const {
  std::map<directory::BootstrapId, BootstrapStatus> servers;
  for (const auto& [id, server] : servers_) servers[id].peer = server.peer;
  const auto published = publisher_ ? publisher_->snapshot() : directory::PublisherStatus{};
  for (const directory::PublisherServerStatus& one : published.servers) {
    BootstrapStatus& status = servers[one.server];
    status.registered_until = one.expires;
    status.is_replicated = one.is_replicated;
    status.error = one.error;
  }
  std::vector<BootstrapStatus> all;
  for (auto& [id, status] : servers) all.push_back(std::move(status));
  return all;
}

}  // namespace dig::node
