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
  // `openssl_only` leaves clock_gettime() alone, which OpenSSL does not use for time: libFuzzer watches its targets by
  // it.
  enum class Scope : std::uint8_t { program, openssl_only };

  explicit VirtualClock(UnixTime start, Instant now = {}, Scope scope = Scope::program);
  ~VirtualClock();
  VirtualClock(const VirtualClock&) = delete;
  VirtualClock& operator=(const VirtualClock&) = delete;

  // The wall clock goes on by as much as `now` did.
  void set(Instant now) noexcept;

 private:
  UnixTime start_;
  Instant origin_;
};

// While it lives, OpenSSL's random numbers come from `source`: NOT secret if that is seeded. One at a time. Several
// machines in one program that must not depend on each other's steps get a source each, and use() goes before a step.
class OpensslRandom {
 public:
  explicit OpensslRandom(Rng& source);
  ~OpensslRandom();
  OpensslRandom(const OpensslRandom&) = delete;
  OpensslRandom& operator=(const OpensslRandom&) = delete;

  void use(Rng& source) noexcept;
};

}  // namespace dig::crypto::testing
