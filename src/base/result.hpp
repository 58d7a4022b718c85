// SPDX-License-Identifier: Apache-2.0
// Result<T> for every layer, with the two macros that pass an error on.
#pragma once

#include "dignet/error.hpp"

#define DIG_CONCAT_INNER(a, b) a##b
#define DIG_CONCAT(a, b) DIG_CONCAT_INNER(a, b)

// DIG_TRY(auto value, expression);   declares `value` from a Result, or returns its error.
#define DIG_TRY(declaration, ...) DIG_TRY_INNER(DIG_CONCAT(dig_try_, __COUNTER__), declaration, __VA_ARGS__)
#define DIG_TRY_INNER(name, declaration, ...)                          \
  auto name = (__VA_ARGS__);                                           \
  if (!name) [[unlikely]] return std::unexpected(std::move(name).error()); \
  declaration = std::move(*name)

// DIG_CHECK(expression);   for a Result whose value is not needed: returns its error.
#define DIG_CHECK(...)                                                                        \
  do {                                                                                        \
    if (auto dig_check = (__VA_ARGS__); !dig_check) [[unlikely]] {                            \
      return std::unexpected(std::move(dig_check).error());                                   \
    }                                                                                         \
  } while (false)
