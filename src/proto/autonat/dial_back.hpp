// SPDX-License-Identifier: Apache-2.0
// The dial-back stream of AutoNAT v2 (autonat/autonat-v2.md, AutoNAT V2 Protocol): on a new connection to the address
// in question the server says the nonce, and the client says that it has it.
//
// For the owner of the server:
//   - Dial from another port than the listening one, and never reuse a connection that exists: if the client dialled
//   out
//     from its listening port, its NAT would let in what comes from ours, and an unreachable address would look
//     reachable (Implementation Suggestions).
//   - Dial for the client's PeerId, and close the connection when the stream is over.
//   - A stream that ends with an error was not delivered (E_DIAL_BACK_ERROR).
// For the owner of the client: ask ReachabilityProber::handle_dial_back() about the nonce; answer() if it says yes,
// otherwise reset the stream. The peer that dials back need not be the server that was asked.
#pragma once

#include <string_view>

#include "proto/autonat/question.hpp"
#include "wire/autonat_message.hpp"

namespace dig::autonat {

inline constexpr std::string_view k_dial_back_protocol = "/libp2p/autonat/2/dial-back";
inline constexpr Duration k_dial_back_timeout = 5s;

using DialBackSender = Question<DialBack, DialBackResponse>;
using DialBackReceiver = Answer<DialBack, DialBackResponse>;

}  // namespace dig::autonat
