// SPDX-License-Identifier: Apache-2.0
// A block of addresses: "192.0.2.0/24", "fd00::/8". An address without a length is the block of that address alone.
#pragma once

#include <string>
#include <string_view>

#include "base/endpoint.hpp"

namespace dig {

class Cidr {
 public:
  // Strict: no bits of the address may be set behind the prefix, so that a slip is not taken for another block.
  [[nodiscard]] static Result<Cidr> parse(std::string_view text);

  [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Cidr&, const Cidr&) = default;

 private:
  IpAddress prefix_;
  unsigned bits_ = 0;
};

}  // namespace dig
