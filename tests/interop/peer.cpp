// SPDX-License-Identifier: Apache-2.0
// Our end of the interop tests: takes commands from stdin, one a line, and prints what happens as JSON lines. peer.mjs
// is the foreign end and speaks the same language.
//   interop_peer HOME [relay | at ADDRESS | on ADDRESS | public ADDRESS]
//   handle PROTOCOL | dial ADDRESS | ping | echo STREAMS BYTES PROTOCOL | close | quit
// With `relay` it relays circuits for others, with `at` it is to be reached through the relay there; with `on` it
// listens there, and with `public` it does and knows that it can be reached. `handle` answers streams of a protocol
// with what comes on them; `echo` opens streams of it and checks the answers.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <span>
#include <sstream>
#include <string_view>
#include <utility>

#include "dignet/blocking.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using Bytes = std::vector<std::byte>;

constexpr std::size_t k_piece = std::size_t{256} * 1024;

// --- JSON lines
std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') out += '\\';
    out += static_cast<unsigned char>(byte) < 0x20 ? ' ' : byte;
  }
  return out + '"';
}

std::string quote(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ",") + quote(text);
  return '[' + out + ']';
}

void tell(const std::string& event, const std::string& fields) {
  std::printf("{\"event\":%s%s%s}\n", quote(event).c_str(), fields.empty() ? "" : ",", fields.c_str());
  std::fflush(stdout);
}

void tell_failure(const std::string& event, const dignet::Error& error) {
  tell(event, "\"ok\":false,\"error\":" + quote(error.info().name) + ",\"detail\":" + quote(error.message()));
}

// --- echoing: reads a piece, writes it back, until the peer has finished
struct Echo : std::enable_shared_from_this<Echo> {
  explicit Echo(dignet::Stream taken) : stream(std::move(taken)) {}

  void read() {
    stream.read(k_piece, [self = shared_from_this()](dignet::Result<dignet::ReadData> data) {
      if (!data) return tell_failure("echo_broken", data.error());
      if (data->is_end) return self->stream.finish();
      self->write(std::move(data->bytes));
    });
  }
  void write(Bytes bytes) {
    stream.write(std::move(bytes), [self = shared_from_this()](dignet::Result<void> written) {
      if (!written) return tell_failure("echo_broken", written.error());
      self->read();
    });
  }

  dignet::Stream stream;
};

// --- asking for an echo: every stream sends other bytes, and what comes back is compared byte by byte
std::uint64_t mix(std::uint64_t value) {  // SplitMix64: any position can be computed by itself
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

std::byte content_at(std::uint64_t seed, std::uint64_t position) {
  return static_cast<std::byte>(mix((seed << 40) + position / 8) >> (position % 8 * 8));
}

// All streams of one `echo` command; tells the outcome when the last of them ends.
struct EchoRun {
  std::size_t streams = 0;
  std::uint64_t bytes = 0;  // of each stream
  std::string protocol;
  std::size_t ended = 0;
  std::size_t broken = 0;
  std::string first_error;
  Clock::time_point started = Clock::now();

  void end_one(const std::string& error) {
    if (!error.empty() && broken++ == 0) first_error = error;
    if (++ended < streams) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - started).count();
    tell("echoed", "\"ok\":" + std::string(broken == 0 ? "true" : "false") + ",\"streams\":" + std::to_string(streams) +
                       ",\"bytes\":" + std::to_string(bytes) + ",\"broken\":" + std::to_string(broken) +
                       ",\"seconds\":" + std::to_string(seconds) + ",\"error\":" + quote(first_error));
  }
};

struct Asker : std::enable_shared_from_this<Asker> {
  Asker(dignet::Stream opened, std::shared_ptr<EchoRun> of_run, std::uint64_t its_seed)
      : stream(std::move(opened)), run(std::move(of_run)), seed(its_seed) {}

  void write() {
    if (sent == run->bytes) return stream.finish();
    Bytes piece(std::min<std::uint64_t>(k_piece, run->bytes - sent));
    for (std::size_t at = 0; at < piece.size(); ++at) piece[at] = content_at(seed, sent + at);
    sent += piece.size();
    stream.write(std::move(piece), [self = shared_from_this()](dignet::Result<void> written) {
      if (!written) return self->end("write: " + written.error().message());
      self->write();
    });
  }
  void read() {
    stream.read(k_piece, [self = shared_from_this()](dignet::Result<dignet::ReadData> data) {
      if (!data) return self->end("read: " + data.error().message());
      for (const std::byte byte : data->bytes) {
        if (byte != content_at(self->seed, self->received++)) return self->end("other bytes came back");
      }
      if (!data->is_end) return self->read();
      self->end(self->received == self->run->bytes ? "" : "the echo has another length");
    });
  }
  void end(const std::string& error) {
    if (!std::exchange(has_ended, true)) run->end_one(error);
  }

  dignet::Stream stream;
  std::shared_ptr<EchoRun> run;
  std::uint64_t seed;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  bool has_ended = false;
};

// --- the peer
class Peer {
 public:
  explicit Peer(dignet::Node& node) : node_(node) {
    node_.on_event([this](const dignet::NodeEvent& event) { handle_event(event); });
    tell("ready", "\"peer_id\":" + quote(node_.identity().peer_id) + ",\"addresses\":" + quote(node_.addresses()));
  }

  // False: told to quit.
  bool run_command(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "dial") {
      std::string address;
      words >> address;
      dial(address);
    } else if (command == "handle") {
      std::string protocol;
      words >> protocol;
      handle(protocol);
    } else if (command == "ping") {
      ping();
    } else if (command == "close") {
      node_.disconnect(connection_);
    } else if (command == "echo") {
      auto run = std::make_shared<EchoRun>();
      words >> run->streams >> run->bytes >> run->protocol;
      for (std::size_t index = 0; index < run->streams; ++index) open_echo(run, index);
    }
    return command != "quit";
  }

 private:
  void handle_event(const dignet::NodeEvent& event) {
    if (const auto* connected = std::get_if<dignet::PeerConnected>(&event)) {
      if (!has_dialled_) connection_ = connected->connection;
      tell("connected", "\"peer_id\":" + quote(connected->peer_id) +
                            ",\"address\":" + quote(connected->remote_address) +
                            ",\"inbound\":" + (connected->is_inbound ? "true" : "false"));
    } else if (const auto* identified = std::get_if<dignet::PeerIdentified>(&event)) {
      tell("identified",
           "\"peer_id\":" + quote(identified->peer_id) + ",\"agent\":" + quote(identified->agent_version) +
               ",\"addresses\":" + quote(identified->addresses) + ",\"protocols\":" + quote(identified->protocols) +
               ",\"observed\":" + quote(identified->observed_address));
    } else if (const auto* changed = std::get_if<dignet::ListenAddressesChanged>(&event)) {
      tell("addresses", "\"addresses\":" + quote(changed->addresses));
    } else if (const auto* reached = std::get_if<dignet::ReachabilityChanged>(&event)) {
      tell("reachability", "\"family\":" + quote(reached->family) + ",\"verdict\":" + quote(reached->verdict) +
                               ",\"addresses\":" + quote(reached->addresses) +
                               ",\"servers\":" + std::to_string(reached->servers) +
                               ",\"stranger\":" + (reached->has_stranger ? "true" : "false"));
    } else if (const auto* lost = std::get_if<dignet::ReservationLost>(&event)) {
      tell_failure("reservation_lost", lost->reason);
    } else if (const auto* disconnected = std::get_if<dignet::PeerDisconnected>(&event)) {
      tell("disconnected",
           "\"peer_id\":" + quote(disconnected->peer_id) + ",\"reason\":" + quote(disconnected->reason.message()));
    }
  }

  void dial(const std::string& address) {
    const auto started = Clock::now();
    dignet::ConnectRequest request;
    request.addresses = {address};
    node_.connect(std::move(request), nullptr, [this, started](dignet::Result<dignet::ConnectReport> report) {
      if (!report) return tell_failure("dialled", report.error());
      connection_ = report->connection;
      has_dialled_ = true;
      const double ms = std::chrono::duration<double, std::milli>(Clock::now() - started).count();
      tell("dialled", "\"ok\":true,\"peer_id\":" + quote(report->peer_id) + ",\"connect_ms\":" + std::to_string(ms));
    });
  }

  void handle(const std::string& protocol) {
    node_.handle_protocol(protocol, [](dignet::Stream stream) { std::make_shared<Echo>(std::move(stream))->read(); });
  }

  void ping() {
    node_.ping(connection_, [](dignet::Result<dignet::PingReport> report) {
      if (!report) return tell_failure("pinged", report.error());
      tell("pinged", "\"ok\":true,\"rtt_ms\":" + std::to_string(report->rtt_ms));
    });
  }

  void open_echo(const std::shared_ptr<EchoRun>& run, std::uint64_t seed) {
    node_.open_stream(connection_, run->protocol, [run, seed](dignet::Result<dignet::Stream> stream) {
      if (!stream) return run->end_one("open: " + stream.error().message());
      auto asker = std::make_shared<Asker>(std::move(*stream), run, seed);
      asker->write();
      asker->read();
    });
  }

  dignet::Node& node_;
  std::uint64_t connection_ = 0;  // that was dialled last, else the latest
  bool has_dialled_ = false;
};

void run(dignet::Node& node) {
  Peer peer(node);
  std::string pending;
  for (;;) {
    pollfd handles[] = {{node.event_handle(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (node.process() == 0) (void)::poll(handles, 2, -1);
    if (handles[1].revents == 0) continue;
    char buffer[4096];
    const ssize_t size = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (size <= 0) return;
    pending.append(buffer, static_cast<std::size_t>(size));
    for (std::size_t end = 0; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      if (!peer.run_command(pending.substr(0, end))) return;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> words(argv, static_cast<std::size_t>(argc));
  if (words.size() < 2) return 2;
  dignet::NodeOptions options;
  options.home = words[1];
  const std::string_view role = words.size() > 2 ? words[2] : "";
  options.is_relay = role == "relay";
  options.forces_roles = role == "relay" || role == "public";
  options.listen_addresses = {"/ip4/127.0.0.1/tcp/0"};
  if (role == "at" && words.size() > 3) options.relays = {words[3]};
  if ((role == "on" || role == "public") && words.size() > 3) options.listen_addresses = {words[3]};
  auto node = dignet::Node::create(std::move(options));
  if (!node) {
    tell_failure("failed", node.error());
    return 1;
  }
  run(**node);
}
