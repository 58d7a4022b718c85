// SPDX-License-Identifier: Apache-2.0
#include "net/http_response.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <variant>

namespace dig::net {

namespace http = boost::beast::http;

struct HttpResponseReader::Impl {
  http::response_parser<http::string_body> parser;
  Bytes pending;  // a line that is not complete yet: Beast takes whole ones
  Limits limits;
};

HttpResponseReader::HttpResponseReader(Body body, Limits limits) : impl_(std::make_unique<Impl>()) {
  impl_->limits = limits;
  impl_->parser.header_limit(limits.max_head);
  impl_->parser.body_limit(limits.max_body);
  impl_->parser.eager(true);
  impl_->parser.skip(body == Body::none);
}
HttpResponseReader::~HttpResponseReader() = default;
HttpResponseReader::HttpResponseReader(HttpResponseReader&&) noexcept = default;

namespace {

std::unexpected<Error> failure_of(const boost::system::error_code& error) {
  const bool is_large = error == http::error::header_limit || error == http::error::body_limit;
  return fail(is_large ? Errc::oversized : Errc::malformed, "the HTTP response: " + error.message());
}

}  // namespace

Result<BytesView> HttpResponseReader::put(BytesView bytes) {
  if (impl_->parser.is_done()) return bytes;
  append(impl_->pending, bytes);
  std::size_t taken = 0;
  while (taken < impl_->pending.size() && !impl_->parser.is_done()) {
    boost::system::error_code error;
    const std::size_t size =
        impl_->parser.put(boost::asio::buffer(impl_->pending.data() + taken, impl_->pending.size() - taken), error);
    taken += size;
    if (error == http::error::need_more) break;
    if (error) return failure_of(error);
    if (size == 0) break;
  }
  impl_->pending.erase(impl_->pending.begin(), impl_->pending.begin() + static_cast<std::ptrdiff_t>(taken));
  if (impl_->parser.is_done()) return bytes.last(impl_->pending.size());
  if (impl_->pending.size() > impl_->limits.max_head) return fail(Errc::oversized, "the HTTP response: a line");
  return BytesView{};
}

Result<void> HttpResponseReader::put_end() {
  if (!impl_->parser.got_some()) return fail(Errc::truncated, "the HTTP response");
  boost::system::error_code error;
  impl_->parser.put_eof(error);
  if (error || !impl_->parser.is_done()) return fail(Errc::truncated, "the HTTP response");
  return {};
}

bool HttpResponseReader::is_complete() const noexcept { return impl_->parser.is_done(); }
unsigned HttpResponseReader::status() const noexcept { return impl_->parser.get().result_int(); }
std::string HttpResponseReader::take_body() { return std::move(impl_->parser.get().body()); }

}  // namespace dig::net
