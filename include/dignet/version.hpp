// SPDX-License-Identifier: Apache-2.0
// The version of the library; the same as that of the build (checked there).
#pragma once

namespace dignet {

inline constexpr const char* k_version = "0.1.0";

}  // namespace dignet
