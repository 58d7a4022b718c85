// SPDX-License-Identifier: Apache-2.0
#include "net/http_proxy.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "base/base_encoding.hpp"
#include "base/endpoint.hpp"

namespace dig::net {
namespace {

constexpr std::uint16_t k_default_port = 8080;
constexpr std::size_t k_max_url = 1024;
constexpr unsigned k_proxy_authentication_required = 407;  // RFC 9110 §15.5.8

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return lower;
}

}  // namespace

std::string authority_of(std::string_view host, std::uint16_t port) {
  const bool is_v6 = host.find(':') != std::string_view::npos;
  return (is_v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + std::to_string(port);
}

Result<HttpProxy> HttpProxy::parse(std::string_view text) {
  const std::string url_text =
      text.find("://") == std::string_view::npos ? "http://" + std::string(text) : std::string(text);
  const auto url = boost::urls::parse_uri(url_text);
  if (url_text.size() > k_max_url || !url || url->host().empty()) {
    return fail(Errc::bad_config, "a proxy is http://[user:password@]host:port");  // the text may hold a password
  }
  if (url->scheme() != "http") return fail(Errc::bad_config, "only proxies that speak http:// are supported");
  HttpProxy proxy;
  proxy.host = lower_case(url->host_address());
  proxy.port = url->has_port() ? url->port_number() : k_default_port;
  if (proxy.port == 0) return fail(Errc::bad_config, "the port of the proxy");
  if (url->has_userinfo()) proxy.authorization = url->userinfo();
  return proxy;
}

ProxyExceptions::ProxyExceptions(std::string_view list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string entry = lower_case(list.substr(0, comma));
    std::erase_if(entry, [](char c) { return c == ' '; });
    if (entry.starts_with('.')) entry.erase(0, 1);  // ".example.org" is meant as "example.org" by most programs
    if (!entry.empty()) suffixes_.push_back(std::move(entry));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

bool ProxyExceptions::contains(std::string_view host) const {
  const std::string name = lower_case(host);
  return std::ranges::any_of(suffixes_, [&](const std::string& suffix) {
    return suffix == "*" || name == suffix || name.ends_with("." + suffix);
  });
}

HttpConnect::HttpConnect(const HttpProxy& proxy, std::string_view host, std::uint16_t port)
    : response_(HttpResponseReader::Body::none, {}) {
  const std::string authority = authority_of(host, port);
  request_ = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!proxy.authorization.empty()) {
    const BytesView bytes = std::as_bytes(std::span(proxy.authorization));
    request_ += "Proxy-Authorization: Basic " + encode_base(Base::base64_padded, bytes) + "\r\n";
  }
  request_ += "\r\n";
}

std::size_t HttpConnect::poll_bytes(MutableBytes out) {
  const BytesView rest = std::as_bytes(std::span(request_)).subspan(sent_);
  const std::size_t size = std::min(rest.size(), out.size());
  std::ranges::copy(rest.first(size), out.begin());
  sent_ += size;
  return size;
}

Result<BytesView> HttpConnect::handle_bytes(BytesView bytes) {
  DIG_TRY(const BytesView rest, response_.put(bytes));
  if (!is_open()) return BytesView{};
  const unsigned status = response_.status();
  if (status == k_proxy_authentication_required) return fail(Errc::proxy_unauthorized, "status 407");
  if (status < 200 || status > 299) return fail(Errc::proxy_refused, "status " + std::to_string(status));
  return rest;
}

}  // namespace dig::net
