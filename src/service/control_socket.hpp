// SPDX-License-Identifier: Apache-2.0
// The control socket of a home folder: <home>/control.sock, for its owner only.
#pragma once

#include <filesystem>

#include "base/result.hpp"
#include "net/unique_fd.hpp"

namespace dig::service {

// Listens on the socket, mode 0600. A socket file that an earlier owner left is replaced: call it only while the home
// is owned. Errors: permission_denied, io_failed.
[[nodiscard]] Result<net::UniqueFd> listen_control_socket(const std::filesystem::path& home);
void remove_control_socket(const std::filesystem::path& home);

// Connects to it. Errors: not_running (no socket, or nobody behind it), permission_denied, control_failed.
[[nodiscard]] Result<net::UniqueFd> connect_control_socket(const std::filesystem::path& home);

// True when the process at the other end runs as this user or as root (SO_PEERCRED).
[[nodiscard]] bool is_trusted_peer(int socket);

}  // namespace dig::service
