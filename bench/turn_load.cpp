// SPDX-License-Identifier: Apache-2.0
// Load for a TURN server, made with our own client machine: allocates, binds channels, and then sends datagrams of one
// size, from clients to a sink (or in pairs, from one client to another), counting what arrives at the far end.
//
// usage: turn_load SERVER USER PASSWORD --clients N --size BYTES --seconds S --burst N --gso 0|1 --pps N --pairs 0|1
//                  --hold 0|1 --latency 0|1 --bare PORT
//   --burst    datagrams handed to the kernel at once; with --gso 1 by one UDP_SEGMENT send, else by sendmmsg
//   --pps      paced: so many a second in all; 0: as fast as it goes
//   --hold     allocates, says so, and waits for the end of stdin: for measuring memory
//   --latency  one datagram in flight at a time: how long each takes from the client to the sink
//   --bare     the server is a bench/bare_relay that sends to this port of its address: no TURN, the same datagrams
// Prints one line of JSON.
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/clock.hpp"
#include "net/sockaddr.hpp"
#include "net/unique_fd.hpp"
#include "proto/turn_client/allocation.hpp"

namespace {

using namespace dig;

struct Options {
  Endpoint server;
  std::string user;
  std::string password;
  std::map<std::string, long> numbers = {{"clients", 1}, {"size", 1200}, {"seconds", 3}, {"burst", 16},  {"gso", 0},
                                         {"pps", 0},     {"pairs", 0},   {"hold", 0},    {"latency", 0}, {"bare", 0}};
  [[nodiscard]] std::size_t operator[](const std::string& name) const {
    return static_cast<std::size_t>(numbers.at(name));
  }
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "turn_load: %s\n", why.c_str());
  std::exit(1);
}

net::UniqueFd open_socket(IpFamily family) {
  net::UniqueFd fd(::socket(family == IpFamily::v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) give_up("no socket");
  const int size = 4 << 20;
  ::setsockopt(fd.value(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  ::setsockopt(fd.value(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  return fd;
}

// One allocation behind one connected socket, set up step by step.
class Client {
 public:
  // Each has a loopback address of its own, as clients have: servers count what a source asks for.
  Client(const Options& options, std::size_t index, Rng& rng)
      : fd_(open_socket(IpFamily::v4)), allocation_(net::monotonic_now(), config(options), rng) {
    const auto number = static_cast<std::uint16_t>(index + 1);
    const IpAddress own =
        IpAddress::v4({127, 1, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number & 0xff)});
    const net::SocketAddress from(Endpoint{own, 0});
    if (::bind(fd_.value(), from.get(), from.size()) != 0) give_up("bind of a client");
    const net::SocketAddress to(options.server);
    if (::connect(fd_.value(), to.get(), to.size()) != 0) give_up("connect");
  }

  [[nodiscard]] Endpoint allocate() {
    pump([&] { return relayed_.has_value(); });
    return *relayed_;
  }
  void bind(const Endpoint& peer) {
    if (!allocation_.bind_channel(net::monotonic_now(), peer)) give_up("bind");
    pump([&] { return is_bound_; });
  }
  // One datagram of channel data, as it goes to the server.
  [[nodiscard]] Bytes datagram(const Endpoint& peer, std::size_t size) {
    Bytes out(size + 64);
    const auto framed = allocation_.write_datagram(net::monotonic_now(), peer, Bytes(size, std::byte{0x55}), out);
    out.resize(framed.size);
    return out;
  }
  [[nodiscard]] int fd() const noexcept { return fd_.value(); }

 private:
  static turn::AllocationConfig config(const Options& options) {
    turn::AllocationConfig config;
    config.server = options.server;
    config.credentials = turn::Credentials{options.user, options.password};
    config.address_policy = stun::AddressPolicy::any_unicast;
    config.lifetime = 3600s;
    return config;
  }
  template <class Done>
  void pump(Done done) {
    std::array<std::byte, turn::ClientAllocation::k_max_datagram> buffer;
    const Instant end = net::monotonic_now() + 20s;
    while (!done()) {
      const Instant now = net::monotonic_now();
      if (now > end) give_up("the server does not answer");
      allocation_.handle_timeout(now);
      while (const std::size_t size = allocation_.poll_transmit(now, buffer)) {
        (void)!::send(fd_.value(), buffer.data(), size, 0);
      }
      take_events();
      if (done()) return;
      pollfd ready{fd_.value(), POLLIN, 0};
      if (::poll(&ready, 1, 50) != 1) continue;
      const ssize_t size = ::recv(fd_.value(), buffer.data(), buffer.size(), 0);
      if (size > 0) (void)allocation_.handle_message(now, BytesView(buffer).first(static_cast<std::size_t>(size)));
      take_events();
    }
  }
  void take_events() {
    while (const auto event = allocation_.poll_event()) {
      if (const auto* allocated = std::get_if<turn::Allocated>(&*event)) relayed_ = allocated->relayed_v4;
      if (std::holds_alternative<turn::ChannelBound>(*event)) is_bound_ = true;
      if (const auto* lost = std::get_if<turn::ChannelLost>(&*event)) give_up(lost->error.message());
      if (const auto* ended = std::get_if<turn::Ended>(&*event)) give_up(ended->error.message());
    }
  }

  net::UniqueFd fd_;
  turn::ClientAllocation allocation_;
  std::optional<Endpoint> relayed_;
  bool is_bound_ = false;
};

// Counts what arrives on some sockets until told that no more is sent and nothing came for a while. It looks by the
// clock and is not woken by what arrives: on loopback the kernel charges the waking to the server that sends, as no
// network card would.
class Sink {
 public:
  explicit Sink(std::vector<int> sockets) : sockets_(std::move(sockets)), thread_([this] { run(); }) {
    const int on = 1;
    for (const int fd : sockets_) ::setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
  }
  // Waits for what is under way.
  [[nodiscard]] std::uint64_t finish() {
    is_sending_over_ = true;
    thread_.join();
    return bytes_;
  }

 private:
  static constexpr std::chrono::microseconds k_interval{200};
  static constexpr int k_quiet_looks = 500;  // after the last datagram was sent

  void run() {
    std::vector<std::byte> buffer(65'536);
    std::vector<pollfd> ready;
    for (const int fd : sockets_) ready.push_back({fd, POLLIN, 0});
    for (int looks_in_vain = 0; looks_in_vain < k_quiet_looks || !is_sending_over_;) {
      std::this_thread::sleep_for(k_interval);
      if (::poll(ready.data(), ready.size(), 0) <= 0) {
        ++looks_in_vain;
        continue;
      }
      looks_in_vain = 0;
      for (const pollfd& one : ready) {
        if ((one.revents & POLLIN) == 0) continue;
        for (ssize_t size; (size = ::recv(one.fd, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0;) {
          bytes_ += static_cast<std::uint64_t>(size);
        }
      }
    }
  }
  std::vector<int> sockets_;
  std::uint64_t bytes_ = 0;  // of the thread until it was joined
  std::atomic<bool> is_sending_over_ = false;
  std::thread thread_;
};

// Sends `count` equal datagrams at once; returns how many were taken.
std::size_t send_burst(int fd, const Bytes& datagrams, std::size_t size, std::size_t count, bool uses_gso) {
  if (uses_gso && count > 1) {
    iovec vector{const_cast<std::byte*>(datagrams.data()), size * count};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto segment = static_cast<std::uint16_t>(size);
    std::memcpy(CMSG_DATA(header), &segment, sizeof segment);
    return ::sendmsg(fd, &message, 0) > 0 ? count : 0;
  }
  std::array<iovec, 64> vectors;
  std::array<mmsghdr, 64> messages{};
  for (std::size_t i = 0; i < count; ++i) {
    vectors[i] = {const_cast<std::byte*>(datagrams.data()), size};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int sent = ::sendmmsg(fd, messages.data(), static_cast<unsigned>(count), 0);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

struct Flow {
  int fd;
  Bytes datagrams;  // a burst of them
  std::size_t size;
};

std::uint64_t send_for(const Options& options, const std::vector<Flow>& flows) {
  using Clock = std::chrono::steady_clock;
  const std::size_t burst = std::min<std::size_t>(options["burst"], 64);
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::seconds(options["seconds"]);
  std::uint64_t sent = 0;
  for (auto now = begin; now < end; now = Clock::now()) {
    for (const Flow& flow : flows) sent += send_burst(flow.fd, flow.datagrams, flow.size, burst, options["gso"] != 0);
    if (options["pps"] == 0) continue;
    const auto due = begin + std::chrono::nanoseconds(sent * 1'000'000'000ULL / options["pps"]);
    std::this_thread::sleep_until(due);
  }
  return sent;
}

// Nanoseconds from the client to the sink, of each datagram that arrived.
std::vector<std::int64_t> time_each(const Options& options, const Flow& flow, int sink) {
  using Clock = std::chrono::steady_clock;
  const timeval patience{1, 0};  // for one that got lost
  ::setsockopt(sink, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::vector<std::byte> buffer(65'536);
  std::vector<std::int64_t> took;
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::seconds(options["seconds"]);
  for (std::size_t sent = 1; Clock::now() < end; ++sent) {
    const auto left = Clock::now();
    if (send_burst(flow.fd, flow.datagrams, flow.size, 1, false) != 1) give_up("send");
    if (::recv(sink, buffer.data(), buffer.size(), 0) > 0) took.push_back((Clock::now() - left).count());
    if (options["pps"] == 0) continue;
    std::this_thread::sleep_until(begin + std::chrono::nanoseconds(sent * 1'000'000'000ULL / options["pps"]));
  }
  std::ranges::sort(took);
  return took;
}

Options parse(int argc, char** argv) {
  if (argc < 4) give_up("usage: turn_load SERVER USER PASSWORD [--name number …]");
  Options options;
  const auto server = Endpoint::parse(argv[1]);
  if (!server) give_up(server.error().message());
  options.server = *server;
  options.user = argv[2];
  options.password = argv[3];
  for (int i = 4; i + 1 < argc; i += 2) {
    const std::string name = std::string(argv[i]).substr(2);
    if (!options.numbers.contains(name)) give_up("no such flag: " + name);
    options.numbers[name] = std::stol(argv[i + 1]);
  }
  return options;
}

// What is sent and where it arrives.
struct Course {
  std::vector<std::unique_ptr<Client>> clients;
  net::UniqueFd bare;  // the client's socket, without TURN
  net::UniqueFd sink = open_socket(IpFamily::v4);
  std::vector<Flow> flows;
  std::vector<int> far_ends{sink.value()};
  std::size_t unit = 0;  // bytes of one datagram at the far end
};

void add_flow(Course& course, const Options& options, int fd, const Bytes& one) {
  Flow flow{fd, {}, one.size()};
  for (std::size_t n = 0; n < std::min<std::size_t>(options["burst"], 64); ++n) append(flow.datagrams, one);
  course.flows.push_back(std::move(flow));
}

void lay_bare(Course& course, const Options& options) {
  course.bare = open_socket(IpFamily::v4);
  const net::SocketAddress to(options.server);
  if (::connect(course.bare.value(), to.get(), to.size()) != 0) give_up("connect");
  add_flow(course, options, course.bare.value(), Bytes(options["size"], std::byte{0x55}));
}

void lay_relayed(Course& course, const Options& options, const std::vector<Endpoint>& relayed) {
  const std::size_t step = options["pairs"] != 0 ? 2 : 1;
  if (step == 2) course.far_ends.clear();
  for (std::size_t i = 0; i < course.clients.size(); i += step) {
    const Endpoint peer = step == 2 ? relayed[i + 1] : *net::local_endpoint(course.sink.value());
    if (step == 2) {
      course.clients[i + 1]->bind(relayed[i]);
      course.far_ends.push_back(course.clients[i + 1]->fd());
    }
    course.clients[i]->bind(peer);
    add_flow(course, options, course.clients[i]->fd(), course.clients[i]->datagram(peer, options["size"]));
  }
  if (step == 2) course.unit += 4;  // a client gets its data behind a channel header
}

void wait_for_word() {
  std::fflush(stdout);
  char ignored = 0;
  (void)!::read(STDIN_FILENO, &ignored, 1);
}

void measure_latency(const Course& course, const Options& options) {
  const auto took = time_each(options, course.flows.front(), course.sink.value());
  if (took.empty()) give_up("nothing arrived");
  const auto at = [&](std::size_t percent) { return took[std::min(took.size() - 1, took.size() * percent / 100)]; };
  std::printf("{\"arrived\":%zu,\"p50\":%lld,\"p99\":%lld}\n", took.size(), static_cast<long long>(at(50)),
              static_cast<long long>(at(99)));
}

void measure_throughput(const Course& course, const Options& options) {
  Sink sink(course.far_ends);
  const std::uint64_t sent = send_for(options, course.flows);
  const std::uint64_t arrived = sink.finish() / course.unit;
  std::printf("{\"sent\":%llu,\"arrived\":%llu,\"seconds\":%zu}\n", static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(arrived), options["seconds"]);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  SeededRng rng(static_cast<std::uint64_t>(::getpid()));
  Course course;
  course.unit = options["size"];
  const auto port = static_cast<std::uint16_t>(options["bare"]);  // 0: any
  const net::SocketAddress sink_at(Endpoint{options.server.address, port});
  if (::bind(course.sink.value(), sink_at.get(), sink_at.size()) != 0) give_up("bind of the sink");
  std::vector<Endpoint> relayed;
  const std::size_t count = port != 0 ? 0 : options["clients"] * (options["pairs"] != 0 ? 2 : 1);
  for (std::size_t i = 0; i < count; ++i) {
    course.clients.push_back(std::make_unique<Client>(options, i, rng));
    relayed.push_back(course.clients.back()->allocate());
  }
  if (options["hold"] != 0) {
    std::printf("{\"allocations\":%zu}\n", course.clients.size());
    wait_for_word();
    return 0;
  }
  if (port != 0) {
    lay_bare(course, options);
  } else {
    lay_relayed(course, options, relayed);
  }
  std::printf("{\"ready\":true}\n");
  wait_for_word();  // the measuring program reads the clocks first
  if (options["latency"] != 0) {
    measure_latency(course, options);
  } else {
    measure_throughput(course, options);
  }
}
