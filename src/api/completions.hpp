// SPDX-License-Identifier: Apache-2.0
// The completions that wait, by number. Each is called exactly once: with its result, or with Errc::cancelled when the
// node goes. Belongs to the application's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "dignet/connection.hpp"

namespace dignet {

class Completions {
 public:
  using Id = std::uint64_t;

  template <class T>
  Id add(Completion<T> done) {
    const Id id = next_++;
    waiting_.emplace(id, std::make_unique<Entry<T>>(std::move(done)));
    return id;
  }
  // Does nothing for a number that was completed before.
  template <class T>
  void complete(Id id, Result<T> result) {
    const auto entry = waiting_.extract(id);
    if (!entry.empty()) static_cast<Entry<T>&>(*entry.mapped()).call(std::move(result));
  }
  // Also those that are added meanwhile.
  void cancel_all() {
    while (!waiting_.empty()) waiting_.extract(waiting_.begin()).mapped()->cancel();
  }

 private:
  struct EntryBase {
    virtual ~EntryBase() = default;
    virtual void cancel() = 0;
  };
  template <class T>
  struct Entry final : EntryBase {
    explicit Entry(Completion<T> completion) : done(std::move(completion)) {}
    void call(Result<T> result) {
      if (done) done(std::move(result));
    }
    void cancel() override { call(dig::fail(Errc::cancelled)); }
    Completion<T> done;
  };

  Id next_ = 1;
  std::map<Id, std::unique_ptr<EntryBase>> waiting_;
};

}  // namespace dignet
