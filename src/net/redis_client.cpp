// SPDX-License-Identifier: Apache-2.0
#include "net/redis_client.hpp"

#include <algorithm>
#include <deque>

#include "net/clock.hpp"

namespace dig::net {

class RedisClient::Impl final : private LegOwner {
 public:
  Impl(Loop& loop, Resolver& resolver, Rng& rng, Config config, OnState on_state)
      : loop_(loop),
        resolver_(resolver),
        rng_(rng),
        config_(std::move(config)),
        on_state_(std::move(on_state)),
        retry_(config_.first_retry),
        connect_timer_(loop, [this](Instant) { connect(); }),
        deadline_timer_(loop, [this](Instant now) { handle_deadline(now); }) {
    connect();
  }

  [[nodiscard]] bool is_up() const noexcept { return is_up_; }

  void command(const std::vector<std::string>& words, OnReply on_reply, std::optional<Duration> timeout) {
    if (!is_up_) return refuse(std::move(on_reply), Error(Errc::redis_down));
    if (waiting_.size() >= config_.max_waiting) {
      return refuse(std::move(on_reply), Error(Errc::limit_reached, "commands that wait for Redis"));
    }
    ask(words, std::move(on_reply), timeout);
    if (!is_called_) leg_->flush();
  }

 private:
  struct Waiting {
    OnReply on_reply;
    Instant deadline;
  };

  void connect() {
    leg_.reset();
    reader_ = std::make_unique<RedisReplyReader>(config_.max_reply);
    output_.clear();
    sent_ = 0;
    const StunTransport transport = config_.url.is_tls ? StunTransport::tls : StunTransport::tcp;
    leg_ = open_leg(loop_, resolver_, {transport, config_.url.host, config_.url.port}, config_.leg, *this);
  }

  void refuse(OnReply on_reply, Error why) {
    loop_.post([on_reply = std::move(on_reply), why = std::move(why), alive = std::weak_ptr(alive_)]() mutable {
      if (!alive.expired()) on_reply(std::unexpected(std::move(why)));
    });
  }

  void ask(const std::vector<std::string>& words, OnReply on_reply, std::optional<Duration> timeout) {
    append(output_, redis_command(words));
    waiting_.push_back({std::move(on_reply), monotonic_now() + timeout.value_or(config_.command_timeout)});
    set_deadline();
  }

  void set_deadline() {
    std::optional<Instant> next;
    if (!waiting_.empty()) next = std::ranges::min_element(waiting_, {}, &Waiting::deadline)->deadline;
    deadline_timer_.set(next);
  }

  // --- LegOwner ---
  void handle_open(Instant, const LegOpened&) override {
    const auto& [host, port, user, password, database, is_tls] = config_.url;
    std::vector<std::vector<std::string>> greeting;
    if (!user.empty()) {
      greeting.push_back({"AUTH", user, password});
    } else if (!password.empty()) {
      greeting.push_back({"AUTH", password});
    }
    greeting.push_back({"SELECT", std::to_string(database)});
    for (std::size_t i = 0; i < greeting.size(); ++i) {
      ask(
          greeting[i],
          [this, is_last = i + 1 == greeting.size()](Result<RedisReply> reply) {
            if (!reply) {
              lose(reply.error());
            } else if (is_last) {
              is_up_ = true;
              retry_ = config_.first_retry;
              told_.clear();
              tell_state({});
            }
          },
          std::nullopt);
    }
  }

  void handle_bytes(Instant, BytesView bytes) override {
    if (is_lost_) return;
    is_called_ = true;
    if (const auto fed = reader_->feed(bytes); !fed) lose(fed.error());
    while (!is_lost_) {
      auto reply = reader_->next();
      if (!reply) {
        lose(reply.error());
      } else if (!*reply) {
        break;
      } else if (waiting_.empty()) {
        lose(Error(Errc::malformed, "the Redis server answers what was not asked"));
      } else {
        OnReply on_reply = std::move(waiting_.front().on_reply);
        waiting_.pop_front();
        on_reply(**std::move(reply));
      }
    }
    is_called_ = false;
    set_deadline();
  }

  void handle_closed(Instant, const Error& error) override { lose(error); }

  std::size_t poll_bytes(Instant, MutableBytes out) override {
    const BytesView rest = BytesView(output_).subspan(sent_);
    const std::size_t size = std::min(rest.size(), out.size());
    std::ranges::copy(rest.first(size), out.begin());
    sent_ += size;
    if (sent_ == output_.size()) output_.clear(), sent_ = 0;
    return size;
  }

  void settle(Instant) override {
    if (!is_lost_) return;
    is_lost_ = false;
    leg_->close();
    const auto jitter = static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(retry_.count()) + 1));
    connect_timer_.set(monotonic_now() + retry_ + Duration(jitter));
    retry_ = std::min(2 * retry_, config_.longest_retry);
  }

  // --- the end of a connection ---
  void handle_deadline(Instant now) {
    const bool is_late = std::ranges::any_of(waiting_, [&](const Waiting& one) { return one.deadline <= now; });
    if (!is_late) return set_deadline();
    lose(Error(Errc::timed_out));
    settle(now);
  }

  // Whoever waits is told from tasks of the loop: this may run inside of their callbacks.
  void lose(const Error& why) {
    if (std::exchange(is_lost_, true)) return;
    const Error error(Errc::redis_down, why.message());
    const bool was_up = std::exchange(is_up_, false);
    for (Waiting& one : std::exchange(waiting_, {})) {
      if (was_up) refuse(std::move(one.on_reply), error);  // before, only the greeting waits
    }
    set_deadline();
    if (std::exchange(told_, error.message()) != error.message()) tell_state(std::unexpected(error));
  }

  void tell_state(Result<void> state) {
    loop_.post([this, state = std::move(state), alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) on_state_(state);
    });
  }

  Loop& loop_;
  Resolver& resolver_;
  Rng& rng_;
  Config config_;
  OnState on_state_;
  std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  std::unique_ptr<RedisReplyReader> reader_;
  Bytes output_;
  std::size_t sent_ = 0;
  std::deque<Waiting> waiting_;
  Duration retry_;
  bool is_up_ = false;
  bool is_lost_ = false;    // until settle() closes the leg
  bool is_called_ = false;  // inside of a callback of the leg, which sends afterwards by itself
  std::string told_;        // why there is no connection; empty: there is one, or nothing was told yet
  std::unique_ptr<Leg> leg_;
  Timer connect_timer_;
  Timer deadline_timer_;
};

RedisClient::RedisClient(Loop& loop, Resolver& resolver, Rng& rng, Config config, OnState on_state)
    : impl_(std::make_unique<Impl>(loop, resolver, rng, std::move(config), std::move(on_state))) {}
RedisClient::~RedisClient() = default;

bool RedisClient::is_up() const noexcept { return impl_->is_up(); }
void RedisClient::command(const std::vector<std::string>& words, OnReply on_reply, std::optional<Duration> timeout) {
  impl_->command(words, std::move(on_reply), timeout);
}

}  // namespace dig::net
