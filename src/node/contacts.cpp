// SPDX-License-Identifier: Apache-2.0
#include "node/contacts.hpp"

#include <algorithm>

namespace dig::node {

void Contacts::handle_opened(Instant now, const IpAddress& address) {
  Contact& contact = take(now, address);
  ++contact.open;
  put_back(address, contact);
}

void Contacts::handle_closed(Instant now, const IpAddress& address) {
  Contact& contact = take(now, address);
  if (contact.open > 0) --contact.open;
  contact.until = std::max(contact.until, now + memory);
  put_back(address, contact);
}

void Contacts::note(Instant now, const IpAddress& address) {
  Contact& contact = take(now, address);
  contact.until = std::max(contact.until, now + memory);
  put_back(address, contact);
}

bool Contacts::is_stranger(Instant now, const IpAddress& address) const {
  const auto known = contacts_.find(address);
  return known == contacts_.end() || (known->second.open <= 1 && known->second.until <= now);
}

Contacts::Contact& Contacts::take(Instant now, const IpAddress& address) {
  const auto known = contacts_.find(address);
  if (known == contacts_.end()) {
    make_room(now);
    return contacts_[address];
  }
  closed_.erase({known->second.until, address});
  return known->second;
}

void Contacts::put_back(const IpAddress& address, const Contact& contact) {
  if (contact.open == 0) closed_.emplace(contact.until, address);
}

void Contacts::make_room(Instant now) {
  while (!closed_.empty() && (contacts_.size() >= max_contacts || closed_.begin()->first <= now)) {
    contacts_.erase(closed_.begin()->second);
    closed_.erase(closed_.begin());
  }
}

}  // namespace dig::node
