// SPDX-License-Identifier: Apache-2.0
#include "dignet/ports.hpp"

#include <algorithm>
#include <map>

#include "api/convert.hpp"
#include "net/port_manager.hpp"

namespace dignet {

struct PortManager::State {
  dig::net::PortManager manager;
  std::map<std::string, dig::net::PortLease> leases;
};

PortManager::PortManager() : state_(std::make_unique<State>()) {}
PortManager::~PortManager() = default;
PortManager::PortManager(PortManager&&) noexcept = default;
PortManager& PortManager::operator=(PortManager&&) noexcept = default;

Result<PortLease> PortManager::take(std::uint16_t preferred, const std::string& purpose) {
  if (state_->leases.contains(purpose)) return dig::fail(Errc::invalid_argument, "this purpose has a port already");
  DIG_TRY(auto lease, state_->manager.acquire({.purpose = purpose, .preferred = preferred}));
  PortLease taken = to_public(lease.status());
  state_->leases.emplace(purpose, std::move(lease));
  return taken;
}

std::vector<PortLease> PortManager::leases() const {
  std::vector<PortLease> all;
  for (const auto& status : state_->manager.snapshot()) all.push_back(to_public(status));
  return all;
}

void PortManager::release(const std::string& purpose) { state_->leases.erase(purpose); }

}  // namespace dignet
