// SPDX-License-Identifier: Apache-2.0
// How a WebSocket begins (RFC 6455 §4): a request of HTTP/1.1 and its answer. libp2p agrees on no subprotocol and no
// extension: what a client offers of either is passed over, and a server that takes one nobody offered is refused.
//
// A server does not look at Origin: a web page may connect like everybody, and like everybody proves by Noise who it
// is.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/rng.hpp"
#include "proto/http/request_head.hpp"

namespace dig::websocket {

// Whether a request asks for a WebSocket at all; else it is one for a page.
[[nodiscard]] bool asks_for_websocket(const http::RequestHead& head);
// Sec-WebSocket-Key of a request that may be accepted; 400, 405 and 426 refuse.
[[nodiscard]] std::expected<std::string, http::Refusal> key_of(const http::RequestHead& head);
void append_acceptance(Bytes& out, std::string_view key);

[[nodiscard]] std::string make_key(Rng& rng);
// `host`: what the Host field says, a name or an address, with the port unless it is the usual one.
void append_request(Bytes& out, std::string_view host, std::string_view key);
// The head of the answer, up to and with the empty line. protocol_not_supported: it is no WebSocket server, or refuses.
[[nodiscard]] Result<void> check_answer(std::string_view head, std::string_view key, const http::HeadLimits& limits);

// Sec-WebSocket-Accept (RFC 6455 §4.2.2).
[[nodiscard]] std::string accept_of(std::string_view key);

}  // namespace dig::websocket
