// SPDX-License-Identifier: Apache-2.0
// What the driver of datagram machines costs: an echo machine over loopback UDP, with segmentation by the kernel and
// with it forced off, against a plain recvfrom/sendto loop in the same run. Counts allocations on the server's thread.
// One JSON line each: echo_bench [SECONDS]
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/testing/allocation_counter_operators.hpp"
#include "base/testing/echo_machine.hpp"
#include "net/clock.hpp"
#include "net/sockaddr.hpp"
#include "net/udp_driver.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_packet = 1200;
constexpr std::size_t k_batch = 50;
constexpr Duration k_warm_up = 200ms;

struct Usage {
  std::uint64_t packets = 0;
  std::uint64_t allocations = 0;
  double cpu_seconds = 0;
};

double thread_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

BoundSocket bind_loopback() {
  PortManager ports;
  auto lease = ports.acquire({.purpose = "bench", .tcp = false, .addresses = {IpAddress::loopback(IpFamily::v4)}});
  if (!lease) std::abort();
  return std::move(lease->take_udp().at(0));
}

// Keeps one batch under way; returns how many packets came back within the time.
std::uint64_t run_client(const Endpoint& server, UdpOffload offload, Duration length) {
  UdpSocket socket(bind_loopback(), offload);
  const Bytes batch(k_packet * k_batch);
  const Transmit transmit{.remote = server, .size = batch.size(), .segment_size = k_packet};
  std::uint64_t echoed = 0;
  const Instant end = monotonic_now() + length;
  while (monotonic_now() < end) {
    if (socket.send(transmit, batch) == UdpSocket::SendState::blocked) continue;
    std::size_t missing = batch.size();
    pollfd ready{socket.fd(), POLLIN, 0};
    while (missing > 0 && ::poll(&ready, 1, 20) == 1) {
      socket.receive({}, [&](const Received& in) { missing -= std::min(missing, in.bytes.size()); });
    }
    echoed += (batch.size() - missing) / k_packet;
  }
  return echoed;
}

Usage run_driver(UdpOffload offload, UdpOffload client, Duration length, bool& is_fallback_used) {
  BoundSocket socket = bind_loopback();
  const Endpoint server = socket.local;
  std::atomic<int> phase = 0;
  Usage usage;
  std::thread thread([&] {
    Loop loop;
    dig::testing::EchoMachine machine;
    std::vector<BoundSocket> sockets;
    sockets.push_back(std::move(socket));
    const auto driver = drive(loop, std::move(sockets), machine, [](Instant, auto) {}, offload);
    const auto run_phase = [&](int current) {
      while (phase == current) loop.run_for(10ms);
    };
    run_phase(0);
    const double cpu = thread_cpu_seconds();
    const dig::testing::AllocationCounter allocations;
    run_phase(1);
    usage.cpu_seconds = thread_cpu_seconds() - cpu;
    usage.allocations = allocations.count();
    is_fallback_used = driver->snapshot()[0].offload != offload;
  });
  run_client(server, client, k_warm_up);
  phase = 1;
  usage.packets = run_client(server, client, length);
  phase = 2;
  thread.join();
  return usage;
}

Usage run_plain(UdpOffload client, Duration length) {
  const BoundSocket socket = bind_loopback();
  std::atomic<bool> is_over = false;
  Usage usage;
  std::thread thread([&] {
    std::array<std::byte, 2048> buffer;
    pollfd ready{socket.fd.value(), POLLIN, 0};
    while (!is_over) {
      if (::poll(&ready, 1, 10) != 1) continue;
      while (true) {
        SocketAddress from;
        socklen_t size = SocketAddress::capacity();
        const ssize_t got =
            ::recvfrom(socket.fd.value(), buffer.data(), buffer.size(), MSG_DONTWAIT, from.mutable_get(), &size);
        if (got < 0) break;
        ::sendto(socket.fd.value(), buffer.data(), static_cast<std::size_t>(got), 0, from.get(), from.size());
      }
    }
    usage.cpu_seconds = thread_cpu_seconds();
  });
  usage.packets = run_client(socket.local, client, length);
  is_over = true;
  thread.join();
  return usage;
}

void print(const char* mode, const Usage& usage, Duration length, bool is_fallback_used) {
  const auto packets = static_cast<double>(std::max<std::uint64_t>(1, usage.packets));
  std::printf(
      "{\"bench\":\"echo\",\"mode\":\"%s\",\"packets\":%llu,\"packets_per_second\":%.0f,\"cpu_us_per_packet\":%.3f,"
      "\"allocations\":%llu,\"fallback_used\":%s}\n",
      mode, static_cast<unsigned long long>(usage.packets), packets / std::chrono::duration<double>(length).count(),
      1e6 * usage.cpu_seconds / packets, static_cast<unsigned long long>(usage.allocations),
      is_fallback_used ? "true" : "false");
}

}  // namespace
}  // namespace dig::net

int main(int argc, char** argv) {
  using namespace dig;
  using namespace dig::net;
  const Duration length = std::chrono::seconds(argc > 1 ? std::max(1, std::atoi(argv[1])) : 2);
  const UdpOffload offload = test_udp_offload();
  bool is_fallback_used = !offload.gso;
  const Usage fast = run_driver(offload, offload, length, is_fallback_used);
  print("driver", fast, length, is_fallback_used || !offload.gso);
  const Usage slow = run_driver({}, offload, length, is_fallback_used);
  print("driver, segmentation forced off", slow, length, true);
  print("plain recvfrom/sendto", run_plain(offload, length), length, false);
  return 0;
}
