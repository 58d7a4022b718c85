// SPDX-License-Identifier: Apache-2.0
// OpenSSL's hidden inputs, made arguments: the clock that its DTLS timers read, and the random generator from which
// keys, nonces and session randoms come. Test-only; docs/adr/0006-openssl-in-virtual-time.md says what that covers.
//
// A program that links this has its own gettimeofday(), clock_gettime() and time(), which the shared OpenSSL libraries
// then call, too. Without a VirtualClock they ask the system.
#pragma once

#include "base/rng.hpp"
#include "base/time.hpp"

namespace dig::crypto::testing {

// While it lives, the program's wall clock and monotonic clock stand still until told otherwise. One at a time.
class VirtualClock {
 public:
  explicit VirtualClock(UnixTime start, Instant now = {});
  ~VirtualClock();
  VirtualClock(const VirtualClock&) = delete;
  VirtualClock& operator=(const VirtualClock&) = delete;

  // The wall clock goes on by as much as `now` did.
  void set(Instant now) noexcept;

 private:
  UnixTime start_;
  Instant origin_;
};

// While it lives, OpenSSL's random numbers come from the seed. One at a time; NOT secret.
class SeededOpenssl {
 public:
  explicit SeededOpenssl(std::uint64_t seed);
  ~SeededOpenssl();
  SeededOpenssl(const SeededOpenssl&) = delete;
  SeededOpenssl& operator=(const SeededOpenssl&) = delete;

  // Starts the sequence of `seed` from its beginning.
  void reseed(std::uint64_t seed);
};

}  // namespace dig::crypto::testing
