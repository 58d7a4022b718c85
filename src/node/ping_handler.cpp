// SPDX-License-Identifier: Apache-2.0
#include "node/ping_handler.hpp"

#include "node/buffered_handler.hpp"
#include "proto/ping/ping.hpp"

namespace dig::node {
namespace {

class PingResponder final : public BufferedHandler {
 public:
  void handle_eof(Instant /*now*/) override { machine_.handle_eof(); }
  [[nodiscard]] bool has_finished_writing() const override { return machine_.is_done(); }
  void handle_closed(Instant /*now*/, const Error& /*why*/) override {}

 protected:
  [[nodiscard]] std::size_t take(Instant /*now*/, BytesView bytes) override { return machine_.handle_bytes(bytes); }
  [[nodiscard]] std::size_t give(Instant /*now*/, MutableBytes out) override { return machine_.poll_bytes(out); }

 private:
  ping::Responder machine_;
};

class Pinger final : public BufferedHandler {
 public:
  Pinger(OutputSink& sink, OperationId operation, Rng& rng) : sink_(sink), operation_(operation), rng_(rng) {}

  void handle_negotiated(Instant now) override {
    if (auto started = machine_.start(now, rng_); !started) end(std::unexpected(started.error()));
  }
  void handle_eof(Instant now) override {
    machine_.handle_eof(now);
    collect();
  }
  [[nodiscard]] bool has_finished_writing() const override { return is_over_; }
  void handle_closed(Instant /*now*/, const Error& why) override { end(std::unexpected(why)); }
  void handle_timeout(Instant now) override {
    machine_.handle_timeout(now);
    collect();
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const override { return machine_.next_timeout(); }
  [[nodiscard]] std::optional<Error> failure() const override { return failure_; }

 protected:
  [[nodiscard]] std::size_t take(Instant now, BytesView bytes) override {
    machine_.handle_bytes(now, bytes);
    collect();
    return bytes.size();
  }
  [[nodiscard]] std::size_t give(Instant /*now*/, MutableBytes out) override { return machine_.poll_bytes(out); }

 private:
  void collect() {
    if (auto result = machine_.take_result()) end(std::move(*result));
  }
  void end(Result<Duration> rtt) {
    if (is_over_) return;
    is_over_ = true;
    if (!rtt) failure_ = rtt.error();
    sink_.put(PingEnded{operation_, std::move(rtt)});
  }

  OutputSink& sink_;
  OperationId operation_;
  Rng& rng_;
  ping::Initiator machine_;
  bool is_over_ = false;
  std::optional<Error> failure_;
};

}  // namespace

std::unique_ptr<StreamHandler> make_ping_responder() { return std::make_unique<PingResponder>(); }

std::unique_ptr<StreamHandler> make_pinger(OutputSink& sink, OperationId operation, Rng& rng) {
  return std::make_unique<Pinger>(sink, operation, rng);
}

}  // namespace dig::node
