// SPDX-License-Identifier: Apache-2.0
// The least that a relay can do, for bench/turn_bench.py to compare with: a blocking recvfrom and a blocking sendto for
// each datagram.
//
// usage: bare_relay LISTEN TO      both as address:port
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "net/sockaddr.hpp"
#include "net/unique_fd.hpp"

namespace {

using namespace dig;

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "bare_relay: %s\n", why);
  std::exit(1);
}

Endpoint parse(const char* text) {
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint) give_up(text);
  return *endpoint;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) give_up("usage: bare_relay LISTEN TO");
  const net::SocketAddress listen(parse(argv[1]));
  const net::SocketAddress to(parse(argv[2]));
  const net::UniqueFd in(::socket(listen.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const net::UniqueFd out(::socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!in || !out || ::bind(in.value(), listen.get(), listen.size()) != 0) give_up("bind");
  std::puts("ready");
  std::fflush(stdout);
  std::vector<std::byte> buffer(65'536);
  for (;;) {
    net::SocketAddress from;
    socklen_t from_size = net::SocketAddress::capacity();
    const ssize_t size = ::recvfrom(in.value(), buffer.data(), buffer.size(), 0, from.mutable_get(), &from_size);
    if (size < 0) give_up("recvfrom");
    (void)!::sendto(out.value(), buffer.data(), static_cast<std::size_t>(size), 0, to.get(), to.size());
  }
}
