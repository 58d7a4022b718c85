// SPDX-License-Identifier: Apache-2.0
// The relay ports of one server, or of one of its shards: which are free, which are reserved by a token (RFC 8656
// §18.10). Ports are drawn at random, so that nobody can guess the next one (RFC 6056).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/rng.hpp"
#include "base/time.hpp"

namespace dig::turn {

class PortPool {
 public:
  struct Range {
    std::uint16_t first = 49152;
    std::uint16_t last = 65535;
    // A shard has the pairs of ports (2n, 2n + 1) with n mod shards == shard: no two shards ever draw the same port.
    std::uint32_t shard = 0;
    std::uint32_t shards = 1;
  };
  static constexpr Duration reservation_lifetime = 30s;  // RFC 8656 §7.2
  using Token = std::uint64_t;

  PortPool(Rng& rng, const Range& range);

  [[nodiscard]] std::optional<std::uint16_t> take();
  // An even port; with `reserves_next` its odd neighbour is kept for the token that is returned.
  struct Even {
    std::uint16_t port = 0;
    std::optional<Token> token;
  };
  [[nodiscard]] std::optional<Even> take_even(Instant now, bool reserves_next);
  // The port that the token reserved, once.
  [[nodiscard]] std::optional<std::uint16_t> take_reserved(Instant now, Token token);
  void give_back(std::uint16_t port);
  // For a port that another program holds, whether taken here or free: back in the pool after a minute.
  void set_aside(Instant now, std::uint16_t port);
  // Ends a reservation whose allocation came to nothing.
  void cancel(Token token);
  void expire(Instant now);

  [[nodiscard]] std::size_t free_ports() const noexcept { return free_.size(); }
  [[nodiscard]] std::size_t reservations() const noexcept { return reserved_.size(); }

 private:
  struct Reservation {
    std::uint16_t port = 0;
    Instant until;
  };

  void remove_at(std::size_t place);
  [[nodiscard]] bool is_free(std::uint32_t port) const noexcept;

  static constexpr std::uint32_t k_not_free = 0xFFFFFFFF;
  Rng& rng_;
  std::uint16_t first_;
  std::vector<std::uint16_t> free_;
  std::vector<std::uint32_t> place_of_;  // by port - first_: where it stands in free_
  std::map<Token, Reservation> reserved_;
};

}  // namespace dig::turn
