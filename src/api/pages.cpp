// SPDX-License-Identifier: Apache-2.0
#include "api/pages.hpp"

#include <utility>

#include "api/node_state.hpp"
#include "net/clock.hpp"

namespace dignet {

void serve_pages(Node& node, MakePage make_page) {
  auto* const state = &NodeInternals::state(node);
  state->shell_->post([state, make_page = std::move(make_page)](dig::Instant /*now*/, dig::node::NodeCore& /*core*/) {
    state->shell_->set_pages([state, make_page](const dig::http::RequestHead& request) {
      return make_page(request.path, state->status(dig::net::monotonic_now()));
    });
  });
}

}  // namespace dignet
