// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/result.hpp"

namespace dig {
namespace {

constexpr Errc k_all_codes[] = {
#define DIG_ERROR(name, code, kind, meaning, hint) Errc::name,
#include "dignet/errors.def"
#undef DIG_ERROR
};

TEST(Error, EveryCodeHasOneNameOneNumberAMeaningAndAHint) {
  std::set<std::string_view> codes;
  std::set<std::string_view> names;
  for (const Errc code : k_all_codes) {
    const ErrorInfo& info = error_info(code);
    EXPECT_TRUE(info.code.starts_with("DN-")) << info.name;
    EXPECT_FALSE(info.meaning.empty() || info.hint.empty()) << info.name;
    EXPECT_FALSE(info.meaning.ends_with('.')) << info.name;
    EXPECT_TRUE(codes.insert(info.code).second) << info.code << " is used twice";
    EXPECT_TRUE(names.insert(info.name).second);
  }
}

TEST(Error, SaysMeaningDetailAndCode) {
  EXPECT_EQ(Error(Errc::truncated).message(), "the input ends before the message does (DN-GEN-005)");
  EXPECT_EQ(Error(Errc::truncated, "x").message(), "the input ends before the message does: x (DN-GEN-005)");
}

TEST(Error, CleansAndCutsItsDetail) {
  EXPECT_EQ(Error(Errc::malformed, "a\x1b[2J\n").detail(), "a?[2J?");
  EXPECT_EQ(Error(Errc::malformed, std::string(10000, 'x')).detail().size(), Error::max_detail);
}

Result<int> half(int value) {
  if (value % 2 != 0) return fail(Errc::invalid_argument, "odd");
  return value / 2;
}
Result<int> quarter(int value) {
  DIG_TRY(const int first, half(value));
  DIG_CHECK(half(first));
  return first / 2;
}

TEST(Result, PassesValuesAndErrorsOn) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(7).error(), Error(Errc::invalid_argument, "odd"));
  EXPECT_EQ(quarter(6).error(), Error(Errc::invalid_argument, "odd"));
}

}  // namespace
}  // namespace dig
