// SPDX-License-Identifier: Apache-2.0
#include "net/resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <system_error>
#include <thread>
#include <unordered_map>

#include "net/clock.hpp"
#include "net/sockaddr.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_name = 253;  // RFC 1035 section 2.3.4, as text

Result<Resolver::Addresses> system_lookup(const std::string& name, std::optional<IpFamily> family) {
  addrinfo hints{};
  hints.ai_family = !family ? AF_UNSPEC : *family == IpFamily::v4 ? AF_INET : AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(name.c_str(), nullptr, &hints, &list);
  if (error != 0) return fail(Errc::resolve_failed, name + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  Resolver::Addresses addresses;
  for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
    SocketAddress address;
    if (item->ai_addrlen > SocketAddress::capacity()) continue;
    std::memcpy(address.mutable_get(), item->ai_addr, item->ai_addrlen);
    addresses.push_back(address.endpoint().address);
  }
  return addresses;
}

}  // namespace

struct Resolver::Impl : std::enable_shared_from_this<Impl> {
  struct Query {
    std::string name;
    std::optional<IpFamily> family;
    Handler handler;
    std::unique_ptr<Timer> timer;
  };

  Impl(Loop& on_loop, Limits with_limits, Lookup with_lookup)
      : loop(on_loop), limits(with_limits), lookup(with_lookup ? std::move(with_lookup) : Lookup(system_lookup)) {}

  void start_waiting() {
    while (running < limits.max_running && !waiting.empty()) {
      const std::uint64_t id = waiting.front();
      waiting.pop_front();
      const auto found = queries.find(id);
      if (found != queries.end()) start(id, found->second);
    }
  }

  void start(std::uint64_t id, const Query& query) {
    try {
      std::thread([id, name = query.name, family = query.family, look_up = lookup, poster = loop.poster(),
                   weak = weak_from_this()]() mutable {
        Result<Addresses> result = look_up(name, family);
        poster.post([id, weak = std::move(weak), result = std::move(result)]() mutable {
          const auto self = weak.lock();
          if (!self) return;
          --self->running;
          self->finish(id, std::move(result));
          self->start_waiting();
        });
      }).detach();
      ++running;
    } catch (const std::system_error&) {
      finish(id, fail(Errc::limit_reached, "threads"));
    }
  }

  void finish(std::uint64_t id, Result<Addresses> result) {
    const auto found = queries.find(id);
    if (found == queries.end()) return;  // its time was over
    Query query = std::move(found->second);
    queries.erase(found);
    query.timer.reset();
    if (result && result->empty()) result = fail(Errc::resolve_failed, query.name + ": no address");
    if (result && result->size() > limits.max_addresses) result->resize(limits.max_addresses);
    query.handler(std::move(result));
  }

  Loop& loop;
  const Limits limits;
  const Lookup lookup;
  std::unordered_map<std::uint64_t, Query> queries;
  std::deque<std::uint64_t> waiting;
  std::size_t running = 0;
  std::uint64_t last_id = 0;
};

Resolver::Resolver(Loop& loop, Limits limits, Lookup lookup)
    : impl_(std::make_shared<Impl>(loop, limits, std::move(lookup))) {}
Resolver::~Resolver() = default;

void Resolver::resolve(std::string name, std::optional<IpFamily> family, Handler handler) {
  const auto answer_later = [&](Error error) {
    impl_->loop.post([weak = std::weak_ptr(impl_), handler = std::move(handler), error = std::move(error)]() mutable {
      if (!weak.expired()) handler(std::unexpected(std::move(error)));
    });
  };
  if (name.empty() || name.size() > k_max_name || name.find('\0') != std::string::npos) {
    answer_later(Error(Errc::invalid_argument, "not a host name"));
    return;
  }
  if (impl_->queries.size() >= impl_->limits.max_running + impl_->limits.max_waiting) {
    answer_later(Error(Errc::limit_reached, "name lookups"));
    return;
  }
  const std::uint64_t id = ++impl_->last_id;
  auto timer = std::make_unique<Timer>(impl_->loop, [impl = impl_.get(), id, name](Instant) {
    std::erase(impl->waiting, id);
    impl->finish(id, fail(Errc::resolve_failed, name + ": no answer in time"));
  });
  timer->set(monotonic_now() + impl_->limits.timeout);
  impl_->queries.emplace(id, Impl::Query{std::move(name), family, std::move(handler), std::move(timer)});
  impl_->waiting.push_back(id);
  impl_->loop.post([weak = std::weak_ptr(impl_)] {
    if (const auto impl = weak.lock()) impl->start_waiting();
  });
}

}  // namespace dig::net
