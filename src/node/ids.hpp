// SPDX-License-Identifier: Apache-2.0
// The names by which the core and its shell speak of connections, dials and operations.
#pragma once

#include "base/strong_id.hpp"

namespace dig::node {

using ConnectionId = StrongId<struct ConnectionIdTag>;    // given by the shell; never used twice
using DialId = StrongId<struct CoreDialIdTag>;            // given by the core
using UdpProbeId = StrongId<struct UdpProbeIdTag>;        // given by the core
using UdpSendId = StrongId<struct UdpSendIdTag>;          // given by the core
using ResolveId = StrongId<struct ResolveIdTag>;          // given by the core
using OperationId = StrongId<struct OperationIdTag>;      // given by the core
using DiskRequestId = StrongId<struct DiskRequestIdTag>;  // given by the core
using PartialId = StrongId<struct PartialIdTag>;          // given by the shell: an open partial file

}  // namespace dig::node
