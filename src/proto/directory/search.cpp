// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/search.hpp"

#include <algorithm>
#include <utility>

namespace dig::directory {

Search::Search(const std::vector<BootstrapId>& servers, Limits limits) : limits_(limits) {
  for (const BootstrapId server : servers) {
    if (asking_.size() == limits_.max_servers) break;
    if (asking_.emplace(server, 0).second) events_.push_back(Ask{server, std::nullopt});
  }
  end_if_done();
}

void Search::handle_found(BootstrapId server, std::vector<VerifiedRecord> records,
                          const std::optional<DirectoryCursor>& cursor) {
  const auto asked = asking_.find(server);
  if (is_ended_ || asked == asking_.end()) return;
  SearchFound found;
  for (VerifiedRecord& each : records) {
    const auto known = sequences_.find(each.record.peer);
    if (known == sequences_.end() && sequences_.size() == limits_.max_peers) continue;
    if (known != sequences_.end() && each.record.sequence <= known->second) continue;
    sequences_[each.record.peer] = each.record.sequence;
    found.records.push_back(std::move(each));
  }
  if (!found.records.empty()) events_.push_back(std::move(found));
  if (cursor && ++asked->second < limits_.max_pages && sequences_.size() < limits_.max_peers) {
    events_.push_back(Ask{server, cursor});
  } else {
    asking_.erase(asked);
  }
  end_if_done();
}

void Search::handle_failed(BootstrapId server, Error error) {
  if (is_ended_ || asking_.erase(server) == 0) return;
  errors_.push_back({server, std::move(error)});
  end_if_done();
}

void Search::end_if_done() {
  if (!asking_.empty()) return;
  is_ended_ = true;
  events_.push_back(SearchEnded{sequences_.size(), std::move(errors_)});
}

std::optional<SearchEvent> Search::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace dig::directory
