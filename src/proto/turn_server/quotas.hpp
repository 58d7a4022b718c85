// SPDX-License-Identifier: Apache-2.0
// How many allocations a user, a source and all together may hold. What is taken is given back exactly once, when the
// allocation ends, whatever ended it: that is why it is an object with a destructor.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/accept_limiter.hpp"
#include "base/tally.hpp"

namespace dig::turn {

class QuotaBook {
 public:
  struct Limits {
    std::size_t per_user = 64;
    std::size_t per_source = 256;  // of one address prefix, see AcceptLimiter::prefix_of
    std::size_t total = 65'536;
  };
  virtual ~QuotaBook() = default;
  [[nodiscard]] virtual bool take(const std::string& user, AcceptLimiter::Prefix source) = 0;
  virtual void give_back(const std::string& user, AcceptLimiter::Prefix source) = 0;
};

// For one machine. Shards share one behind a lock (net/).
class Quotas final : public QuotaBook {
 public:
  explicit Quotas(const Limits& limits) : limits_(limits) {}
  [[nodiscard]] bool take(const std::string& user, AcceptLimiter::Prefix source) override;
  void give_back(const std::string& user, AcceptLimiter::Prefix source) override;
  [[nodiscard]] std::size_t taken() const noexcept { return total_; }

 private:
  Limits limits_;
  Tally<std::string> users_;
  Tally<AcceptLimiter::Prefix> sources_;
  std::size_t total_ = 0;
};

class QuotaShare {
 public:
  [[nodiscard]] static std::optional<QuotaShare> take(QuotaBook& book, std::string user, AcceptLimiter::Prefix source) {
    if (!book.take(user, source)) return std::nullopt;
    return QuotaShare(book, std::move(user), source);
  }
  QuotaShare(QuotaShare&& other) noexcept
      : book_(std::exchange(other.book_, nullptr)), user_(std::move(other.user_)), source_(other.source_) {}
  QuotaShare& operator=(QuotaShare&&) = delete;
  ~QuotaShare() {
    if (book_ != nullptr) book_->give_back(user_, source_);
  }
  [[nodiscard]] const std::string& user() const noexcept { return user_; }

 private:
  QuotaShare(QuotaBook& book, std::string user, AcceptLimiter::Prefix source)
      : book_(&book), user_(std::move(user)), source_(source) {}
  QuotaBook* book_;
  std::string user_;
  AcceptLimiter::Prefix source_;
};

}  // namespace dig::turn
