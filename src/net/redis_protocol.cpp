// SPDX-License-Identifier: Apache-2.0
#include "net/redis_protocol.hpp"

#include <hiredis/hiredis.h>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "base/decimal.hpp"
#include "base/endpoint.hpp"
#include "base/safe_text.hpp"
#include "crypto/host_name.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_url = 1024;
constexpr std::uint32_t k_max_database = 65535;

// hiredis nests lists no deeper than seven.
RedisReply value_of(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return {std::string(reply.str, static_cast<std::size_t>(reply.len))};
    case REDIS_REPLY_INTEGER:
      return {std::int64_t{reply.integer}};
    case REDIS_REPLY_ARRAY: {
      RedisReply::List list;
      for (std::size_t i = 0; i < reply.elements; ++i) list.push_back(value_of(*reply.element[i]));
      return {std::move(list)};
    }
    default:
      return {};
  }
}

}  // namespace

Result<RedisUrl> RedisUrl::parse(std::string_view text) {
  const auto url = text.size() <= k_max_url ? boost::urls::parse_uri(text) : boost::urls::error::not_a_base;
  if (!url || (url->scheme() != "redis" && url->scheme() != "rediss")) {
    return fail(Errc::bad_config, "a Redis server is redis://[user:password@]host[:port][/database]");
  }
  RedisUrl parsed;
  parsed.is_tls = url->scheme() == "rediss";
  parsed.host = url->host_address();
  if (!crypto::is_host_name(parsed.host) && !IpAddress::parse(parsed.host)) {
    return fail(Errc::bad_config, "the host of the Redis server");
  }
  if (url->has_port()) {
    const auto port = parse_decimal(std::string_view(url->port().data(), url->port().size()), 65535);
    if (!port || *port == 0) return fail(Errc::bad_config, "the port of the Redis server");
    parsed.port = static_cast<std::uint16_t>(*port);
  }
  parsed.user = url->user();
  parsed.password = url->password();
  const std::string path = url->path();
  if (path.size() > 1) {
    const auto database = parse_decimal(std::string_view(path).substr(1), k_max_database);
    if (!database) return fail(Errc::bad_config, "the database of the Redis server is a number");
    parsed.database = static_cast<std::uint32_t>(*database);
  }
  return parsed;
}

std::optional<std::int64_t> RedisReply::number() const noexcept {
  const auto* const found = std::get_if<std::int64_t>(&value);
  return found != nullptr ? std::optional(*found) : std::nullopt;
}

Bytes redis_command(const std::vector<std::string>& words) {
  std::vector<const char*> pointers;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    pointers.push_back(word.data());
    sizes.push_back(word.size());
  }
  char* text = nullptr;
  const int size = redisFormatCommandArgv(&text, static_cast<int>(words.size()), pointers.data(), sizes.data());
  if (size < 0) throw std::bad_alloc();
  Bytes command = to_bytes(std::string_view(text, static_cast<std::size_t>(size)));
  redisFreeCommand(text);
  return command;
}

void RedisReplyReader::Free::operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }

RedisReplyReader::RedisReplyReader(std::size_t max_reply) : reader_(redisReaderCreate()), max_reply_(max_reply) {
  if (!reader_) throw std::bad_alloc();
}
RedisReplyReader::~RedisReplyReader() = default;

Result<void> RedisReplyReader::feed(BytesView bytes) {
  waiting_ += bytes.size();
  const std::string_view text = as_text(bytes);
  if (redisReaderFeed(reader_.get(), text.data(), text.size()) != REDIS_OK) {
    return fail(Errc::malformed, "an answer of the Redis server");
  }
  return {};
}

Result<std::optional<Result<RedisReply>>> RedisReplyReader::next() {
  void* found = nullptr;
  if (redisReaderGetReply(reader_.get(), &found) != REDIS_OK) {
    return fail(Errc::malformed, "an answer of the Redis server");
  }
  if (found == nullptr) {
    if (waiting_ > max_reply_) return fail(Errc::oversized, "an answer of the Redis server");
    return std::optional<Result<RedisReply>>();
  }
  waiting_ = 0;
  const std::unique_ptr<redisReply, decltype(&freeReplyObject)> reply(static_cast<redisReply*>(found),
                                                                      &freeReplyObject);
  if (reply->type == REDIS_REPLY_ERROR) {
    const std::string_view why(reply->str, static_cast<std::size_t>(reply->len));
    return std::optional(Result<RedisReply>(fail(Errc::redis_refused, SafeText(why).str())));
  }
  return std::optional(Result<RedisReply>(value_of(*reply)));
}

}  // namespace dig::net
