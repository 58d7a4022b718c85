// SPDX-License-Identifier: Apache-2.0
// The two kinds of legs. Private to leg*.cpp.
#pragma once

#include "net/leg.hpp"

namespace dig::net {

[[nodiscard]] std::unique_ptr<Leg> open_stream_leg(Loop& loop, Resolver& resolver, LegTarget target, LegOptions options,
                                                   LegOwner& owner);
[[nodiscard]] std::unique_ptr<Leg> open_datagram_leg(Loop& loop, Resolver& resolver, LegTarget target,
                                                     LegOptions options, LegOwner& owner);

// Answers later, from the loop: at least one address, or an error. A host that is an address, or one that is pinned,
// is not asked for.
void look_up(Loop& loop, Resolver& resolver, const std::string& host, std::optional<IpFamily> family,
             const std::optional<IpAddress>& pinned, Resolver::Handler handler);

}  // namespace dig::net
