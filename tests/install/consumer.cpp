// SPDX-License-Identifier: Apache-2.0
// A program outside the project that uses the installed package: it includes every public header and links the library.
#include <cstdio>

#include "dignet/blocking.hpp"
#include "dignet/connection.hpp"
#include "dignet/error.hpp"
#include "dignet/events.hpp"
#include "dignet/node.hpp"
#include "dignet/ports.hpp"
#include "dignet/store.hpp"

int main() {
  const dig::ErrorInfo& info = dig::error_info(dig::Errc::connect_timeout);
  std::printf("%.*s\n", static_cast<int>(info.code.size()), info.code.data());
  return info.code == "DN-NET-003" ? 0 : 1;
}
