// SPDX-License-Identifier: Apache-2.0
#include "net/https_request.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "base/decimal.hpp"
#include "crypto/host_name.hpp"
#include "net/clock.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_url = 2048;

bool fits_a_line(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

Result<std::string> request_text(const HttpsRequest::Config& config) {
  std::string text = config.method + " " + config.url.target +
                     " HTTP/1.1\r\nHost: " + authority_of(config.url.host, config.url.port) +
                     "\r\nConnection: close\r\nContent-Length: " + std::to_string(config.body.size()) + "\r\n";
  for (const auto& [name, value] : config.headers) {
    if (!fits_a_line(name) || !fits_a_line(value)) return fail(Errc::invalid_argument, "an HTTP header");
    text += name + ": " + value + "\r\n";
  }
  return text + "\r\n" + config.body;
}

}  // namespace

Result<HttpsUrl> HttpsUrl::parse(std::string_view text) {
  const auto url = text.size() <= k_max_url ? boost::urls::parse_uri(text) : boost::urls::error::not_a_base;
  // The text is not told: it may hold a key.
  if (!url || url->scheme() != "https" || url->has_userinfo()) {
    return fail(Errc::invalid_argument, "not an https:// address");
  }
  HttpsUrl parsed;
  parsed.host = url->host_address();
  if (!crypto::is_host_name(parsed.host) && !IpAddress::parse(parsed.host)) {
    return fail(Errc::invalid_argument, "not a host name in an https:// address");
  }
  if (url->has_port()) {
    const std::string_view digits(url->port().data(), url->port().size());
    const auto port = parse_decimal(digits, 65535);
    if (!port || *port == 0) return fail(Errc::invalid_argument, "the port of an https:// address");
    parsed.port = static_cast<std::uint16_t>(*port);
  }
  const std::string target(url->encoded_target());
  if (!target.empty()) parsed.target = target.front() == '/' ? target : "/" + target;
  return parsed;
}

class HttpsRequest::Impl final : private LegOwner {
 public:
  Impl(Loop& loop, Resolver& resolver, Config config, Handler on_done)
      : loop_(loop),
        on_done_(std::move(on_done)),
        host_(config.url.host),
        reader_(HttpResponseReader::Body::expected, config.limits),
        timer_(loop, [this](Instant) { tell(fail(Errc::timed_out, "HTTPS to " + host_)); }) {
    auto text = request_text(config);
    if (!text) {
      tell(std::unexpected(text.error()));
      return;
    }
    request_ = *std::move(text);
    timer_.set(monotonic_now() + config.timeout);
    leg_ = open_leg(loop, resolver, {StunTransport::tls, config.url.host, config.url.port}, config.leg, *this);
  }

 private:
  void handle_open(Instant, const LegOpened&) override {}

  void handle_bytes(Instant, BytesView bytes) override {
    const auto rest = reader_.put(bytes);
    if (!rest) return tell(std::unexpected(rest.error()));
    if (reader_.is_complete()) tell_answer();
  }

  void handle_closed(Instant, const Error& error) override {
    // Without a length, the end of the connection is the end of the body; TLS says whether it was meant.
    if (error.code() != Errc::connection_closed) return tell(std::unexpected(error));
    const auto ended = reader_.put_end();
    if (!ended) return tell(std::unexpected(ended.error()));
    tell_answer();
  }

  std::size_t poll_bytes(Instant, MutableBytes out) override {
    const BytesView rest = std::as_bytes(std::span(request_)).subspan(sent_);
    const std::size_t size = std::min(rest.size(), out.size());
    std::ranges::copy(rest.first(size), out.begin());
    sent_ += size;
    return size;
  }

  void settle(Instant) override {}

  void tell_answer() { tell(HttpsAnswer{reader_.status(), reader_.take_body()}); }

  void tell(Result<HttpsAnswer> answer) {
    timer_.set(std::nullopt);
    if (leg_) leg_->close();
    if (!on_done_) return;
    loop_.post([handler = std::exchange(on_done_, nullptr), answer = std::move(answer),
                alive = std::weak_ptr(alive_)]() mutable {
      if (!alive.expired()) handler(std::move(answer));
    });
  }

  Loop& loop_;
  Handler on_done_;
  std::string host_;
  std::string request_;
  std::size_t sent_ = 0;
  HttpResponseReader reader_;
  std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  std::unique_ptr<Leg> leg_;
  Timer timer_;
};

HttpsRequest::HttpsRequest(Loop& loop, Resolver& resolver, Config config, Handler on_done)
    : impl_(std::make_unique<Impl>(loop, resolver, std::move(config), std::move(on_done))) {}
HttpsRequest::~HttpsRequest() = default;

}  // namespace dig::net
