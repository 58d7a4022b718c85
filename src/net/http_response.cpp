// SPDX-License-Identifier: Apache-2.0
#include "net/http_response.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

namespace dig::net {

namespace http = boost::beast::http;

struct HttpResponseReader::Impl {
  Impl(Body with_kind, Limits with_limits) : kind(with_kind), limits(with_limits) { start(); }

  void start() {
    parser.emplace();
    parser->header_limit(limits.max_head);
    parser->body_limit(limits.max_body);
    parser->eager(true);
    parser->skip(kind == Body::none);
  }
  // An interim response, which another one follows (RFC 9110 §15.2).
  [[nodiscard]] bool is_interim() const {
    const unsigned status = parser->get().result_int();
    return parser->is_done() && status >= 100 && status < 200 && status != 101;
  }

  Body kind;
  Limits limits;
  std::optional<http::response_parser<http::string_body>> parser;
  Bytes pending;  // a line that is not complete yet: Beast takes whole ones
  std::size_t interim_responses = 0;
};

HttpResponseReader::HttpResponseReader(Body body, Limits limits) : impl_(std::make_unique<Impl>(body, limits)) {}
HttpResponseReader::~HttpResponseReader() = default;
HttpResponseReader::HttpResponseReader(HttpResponseReader&&) noexcept = default;

namespace {

constexpr std::size_t k_max_interim_responses = 4;

std::unexpected<Error> failure_of(const boost::system::error_code& error) {
  const bool is_large = error == http::error::header_limit || error == http::error::body_limit;
  return fail(is_large ? Errc::oversized : Errc::malformed, "the HTTP response: " + error.message());
}

}  // namespace

Result<BytesView> HttpResponseReader::put(BytesView bytes) {
  if (is_complete()) return bytes;
  append(impl_->pending, bytes);
  std::size_t taken = 0;
  while (taken < impl_->pending.size() && !is_complete()) {
    boost::system::error_code error;
    const std::size_t size =
        impl_->parser->put(boost::asio::buffer(impl_->pending.data() + taken, impl_->pending.size() - taken), error);
    taken += size;
    if (error == http::error::need_more) break;
    if (error) return failure_of(error);
    if (impl_->is_interim()) {
      if (++impl_->interim_responses > k_max_interim_responses) {
        return fail(Errc::malformed, "the HTTP response: only interim ones");
      }
      impl_->start();
    } else if (size == 0) {
      break;
    }
  }
  impl_->pending.erase(impl_->pending.begin(), impl_->pending.begin() + static_cast<std::ptrdiff_t>(taken));
  if (is_complete()) return bytes.last(impl_->pending.size());
  if (impl_->pending.size() > impl_->limits.max_head) return fail(Errc::oversized, "the HTTP response: a line");
  return BytesView{};
}

Result<void> HttpResponseReader::put_end() {
  if (!impl_->parser->got_some()) return fail(Errc::truncated, "the HTTP response");
  boost::system::error_code error;
  impl_->parser->put_eof(error);
  if (error || !impl_->parser->is_done()) return fail(Errc::truncated, "the HTTP response");
  return {};
}

bool HttpResponseReader::is_complete() const noexcept { return impl_->parser->is_done(); }
unsigned HttpResponseReader::status() const noexcept { return impl_->parser->get().result_int(); }
std::string HttpResponseReader::take_body() { return std::move(impl_->parser->get().body()); }

}  // namespace dig::net
