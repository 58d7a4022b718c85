// SPDX-License-Identifier: Apache-2.0
#include "service/control_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace dig::service {
namespace {

constexpr const char* k_name = "control.sock";
constexpr int k_backlog = 16;

std::unexpected<Error> system_failure(Errc code, const char* what) {
  const Errc shown = errno == EACCES || errno == EPERM ? Errc::permission_denied : code;
  return fail(shown, std::string(what) + " " + k_name + ": " + std::strerror(errno));
}

// The address of the socket through an open descriptor of its folder: sun_path holds 108 bytes, a home may be longer.
struct SocketAddress {
  net::UniqueFd folder;
  sockaddr_un address{};

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

Result<SocketAddress> socket_address(const std::filesystem::path& home) {
  SocketAddress out;
  out.address.sun_family = AF_UNIX;
  std::string path = (home / k_name).native();
  if (path.size() >= sizeof out.address.sun_path) {
    out.folder = net::UniqueFd(::open(home.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!out.folder) return system_failure(errno == ENOENT ? Errc::not_running : Errc::io_failed, "open the folder of");
    path = "/proc/self/fd/" + std::to_string(out.folder.value()) + "/" + k_name;
  }
  std::memcpy(out.address.sun_path, path.c_str(), path.size() + 1);
  return out;
}

Result<net::UniqueFd> make_socket() {
  net::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return system_failure(Errc::io_failed, "make");
  return fd;
}

}  // namespace

Result<net::UniqueFd> listen_control_socket(const std::filesystem::path& home) {
  DIG_TRY(const SocketAddress address, socket_address(home));
  DIG_TRY(net::UniqueFd fd, make_socket());
  remove_control_socket(home);
  // fchmod() on the unbound socket gives the file its mode at bind(): at no moment may others connect.
  if (::fchmod(fd.value(), 0600) != 0 || ::bind(fd.value(), address.get(), sizeof address.address) != 0) {
    return system_failure(Errc::io_failed, "bind");
  }
  if (::listen(fd.value(), k_backlog) != 0) return system_failure(Errc::io_failed, "listen on");
  return fd;
}

void remove_control_socket(const std::filesystem::path& home) {
  std::error_code ignored;
  std::filesystem::remove(home / k_name, ignored);
}

Result<net::UniqueFd> connect_control_socket(const std::filesystem::path& home) {
  DIG_TRY(const SocketAddress address, socket_address(home));
  DIG_TRY(net::UniqueFd fd, make_socket());
  if (::connect(fd.value(), address.get(), sizeof address.address) == 0) return fd;
  if (errno == ENOENT || errno == ENOTDIR) return fail(Errc::not_running);
  if (errno == ECONNREFUSED || errno == ENOTSOCK) return fail(Errc::not_running, "its control socket is stale");
  return system_failure(Errc::control_failed, "connect to");
}

bool is_trusted_peer(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

}  // namespace dig::service
