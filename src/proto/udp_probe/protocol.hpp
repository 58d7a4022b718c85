// SPDX-License-Identifier: Apache-2.0
// /dignet/udp-probe/1.0.0: whether a UDP port of a node can be reached from outside, which AutoNAT v2 says of TCP ports
// only. On a direct connection a node names one of its UDP ports and a nonce; the server sends one datagram with the
// nonce there, from a port that has sent nothing before, and says so. What proves something is the nonce that comes.
//
// A server is no tool against others: it sends to where it sees the asker or to addresses of the Internet only
// (autonat::is_dialable), once for each request, no more bytes than the request has, and so often
// (autonat::RequestBook).
#pragma once

#include <string_view>

#include "proto/autonat/question.hpp"
#include "wire/udp_probe_message.hpp"

namespace dig::udp_probe {

inline constexpr std::string_view k_protocol = "/dignet/udp-probe/1.0.0";
inline constexpr Duration k_timeout = 10s;  // of one stream

using Asker = autonat::Question<Request, Response>;
using Answerer = autonat::Answer<Request, Response>;

}  // namespace dig::udp_probe
