// SPDX-License-Identifier: Apache-2.0
#define OPENSSL_SUPPRESS_DEPRECATED  // RAND_METHOD: OpenSSL 3.0 still asks it first, in every library context
#include "crypto/testing/virtual_world.hpp"

#include <openssl/rand.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <optional>

#include "crypto/openssl_ptr.hpp"

namespace dig::crypto::testing {
namespace {

constexpr std::int64_t k_nanoseconds = 1'000'000'000;

// Nanoseconds since 1970, 0: the clock is the system's. Read from whatever thread asks for the time.
std::atomic<std::int64_t> virtual_time{0};
std::atomic<bool> is_openssl_only{false};
Rng* random_source = nullptr;

std::optional<timespec> current_virtual_time() {
  const std::int64_t time = virtual_time.load(std::memory_order_relaxed);
  if (time == 0) return std::nullopt;
  return timespec{.tv_sec = time / k_nanoseconds, .tv_nsec = time % k_nanoseconds};
}

int system_time(clockid_t clock, timespec* out) { return static_cast<int>(syscall(SYS_clock_gettime, clock, out)); }

timespec current_wall_time() {
  timespec time{};
  if (const auto current = current_virtual_time()) return *current;
  system_time(CLOCK_REALTIME, &time);
  return time;
}

int random_bytes(unsigned char* out, int size) {
  random_source->fill({reinterpret_cast<std::byte*>(out), static_cast<std::size_t>(size)});
  return 1;
}
int ignore_seed(const void*, int) { return 1; }
int ignore_entropy(const void*, int, double) { return 1; }
int is_seeded() { return 1; }

const RAND_METHOD k_method = {.seed = &ignore_seed,
                              .bytes = &random_bytes,
                              .cleanup = nullptr,
                              .add = &ignore_entropy,
                              .pseudorand = &random_bytes,
                              .status = &is_seeded};

}  // namespace

VirtualClock::VirtualClock(UnixTime start, Instant now, Scope scope) : start_(start), origin_(now) {
  is_openssl_only = scope == Scope::openssl_only;
  set(now);
}

VirtualClock::~VirtualClock() { virtual_time = 0; }

void VirtualClock::set(Instant now) noexcept {
  virtual_time = start_.seconds * k_nanoseconds + (now - origin_).count();
}

OpensslRandom::OpensslRandom(Rng& source) {
  use(source);
  require_openssl(RAND_set_rand_method(&k_method) == 1);
}

OpensslRandom::~OpensslRandom() {
  RAND_set_rand_method(nullptr);
  random_source = nullptr;
}

void OpensslRandom::use(Rng& source) noexcept { random_source = &source; }

}  // namespace dig::crypto::testing

// The C library's functions, for this program and for every shared library that it loads.
extern "C" {

int clock_gettime(clockid_t clock, struct timespec* out) noexcept {
  namespace world = dig::crypto::testing;
  const bool is_virtual = !world::is_openssl_only && (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC);
  const auto time = is_virtual ? world::current_virtual_time() : std::nullopt;
  if (!time) return world::system_time(clock, out);
  *out = *time;
  return 0;
}

int gettimeofday(struct timeval* out, void*) noexcept {
  const timespec time = dig::crypto::testing::current_wall_time();
  *out = {.tv_sec = time.tv_sec, .tv_usec = time.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* out) noexcept {
  const time_t seconds = dig::crypto::testing::current_wall_time().tv_sec;
  if (out != nullptr) *out = seconds;
  return seconds;
}

}  // extern "C"
