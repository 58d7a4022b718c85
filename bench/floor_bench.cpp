// SPDX-License-Identifier: Apache-2.0
// The floor of a verified transfer: loopback TCP on both ends, ChaCha20-Poly1305 on both ends, SHA-256 and a write into
// a preallocated file, with raw system calls and nothing of our protocols. What a fetch costs more than this is ours.
// One JSON line: floor_bench [MEBIBYTES [FOLDER]]
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "crypto/aead.hpp"
#include "crypto/hash.hpp"
#include "net/clock.hpp"
#include "net/port_manager.hpp"
#include "net/sockaddr.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_frame = 65'535;  // the largest Noise frame, without its length
constexpr std::size_t k_plain = k_frame - crypto::Aead::tag_size;
constexpr std::size_t k_frames_per_call = 4;
constexpr std::size_t k_buffer = k_frames_per_call * k_frame;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

crypto::Aead make_aead() { return crypto::Aead(crypto::Secret<32>()); }

void run_sender(int fd, std::uint64_t frames) {
  crypto::Aead aead = make_aead();
  Bytes buffer(k_buffer);
  for (std::uint64_t nonce = 0; nonce < frames;) {
    std::size_t filled = 0;
    for (std::size_t i = 0; i < k_frames_per_call && nonce < frames; ++i) {
      aead.seal_in_place(MutableBytes(buffer).subspan(filled, k_frame), k_plain, nonce++, {});
      filled += k_frame;
    }
    for (std::size_t sent = 0; sent < filled;) {
      const ssize_t now = ::send(fd, buffer.data() + sent, filled - sent, MSG_NOSIGNAL);
      if (now < 0) die("send");
      sent += static_cast<std::size_t>(now);
    }
  }
}

void run_receiver(int fd, int file, std::uint64_t frames) {
  crypto::Aead aead = make_aead();
  crypto::Sha256 hash;
  Bytes buffer(k_buffer);
  std::size_t have = 0;
  off_t written = 0;
  for (std::uint64_t nonce = 0; nonce < frames;) {
    const ssize_t got = ::recv(fd, buffer.data() + have, buffer.size() - have, 0);
    if (got <= 0) die("recv");
    have += static_cast<std::size_t>(got);
    std::size_t used = 0;
    for (; have - used >= k_frame; used += k_frame) {
      const auto size =
          aead.open(BytesView(buffer).subspan(used, k_frame), MutableBytes(buffer).subspan(used, k_frame), nonce++, {});
      if (!size) die("open");
      hash.update(BytesView(buffer).subspan(used, *size));
      if (::pwrite(file, buffer.data() + used, *size, written) != static_cast<ssize_t>(*size)) die("pwrite");
      written += static_cast<off_t>(*size);
    }
    std::memmove(buffer.data(), buffer.data() + used, have - used);
    have -= used;
  }
  volatile std::byte keep = hash.finish()[0];
  static_cast<void>(keep);
}

double process_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::pair<UniqueFd, UniqueFd> connected_pair() {
  const SocketAddress any(Endpoint{IpAddress::loopback(IpFamily::v4), 0});
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(listener.value(), any.get(), any.size()) != 0 || ::listen(listener.value(), 1) != 0) die("listen");
  const SocketAddress address(local_endpoint(listener.value()).value());
  UniqueFd near(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(near.value(), address.get(), address.size()) != 0) die("connect");
  UniqueFd far(::accept4(listener.value(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!far) die("accept");
  return {std::move(near), std::move(far)};
}

}  // namespace
}  // namespace dig::net

int main(int argc, char** argv) {
  using namespace dig::net;
  const std::uint64_t mebibytes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 256;
  const std::uint64_t frames = std::max<std::uint64_t>(1, mebibytes * 1024 * 1024 / k_plain);
  const std::uint64_t bytes = frames * k_plain;
  std::string path = std::string(argc > 2 ? argv[2] : ".") + "/floor_bench.XXXXXX";
  const UniqueFd file(::mkstemp(path.data()));
  if (!file) die("mkstemp");
  ::unlink(path.c_str());
  if (::posix_fallocate(file.value(), 0, static_cast<off_t>(bytes)) != 0) die("posix_fallocate");
  auto [near, far] = connected_pair();

  const double cpu_before = process_cpu_seconds();
  const dig::Instant start = monotonic_now();
  std::thread sender([&, fd = near.value()] { run_sender(fd, frames); });
  run_receiver(far.value(), file.value(), frames);
  sender.join();
  const double seconds = std::chrono::duration<double>(monotonic_now() - start).count();
  const double cpu = process_cpu_seconds() - cpu_before;
  const double gigabytes = static_cast<double>(bytes) / 1e9;
  std::printf(
      "{\"bench\":\"floor\",\"bytes\":%llu,\"seconds\":%.3f,\"mb_per_second\":%.0f,\"cpu_seconds\":%.3f,"
      "\"cpu_seconds_per_gb\":%.3f}\n",
      static_cast<unsigned long long>(bytes), seconds, 1000 * gigabytes / seconds, cpu, cpu / gigabytes);
  return 0;
}
