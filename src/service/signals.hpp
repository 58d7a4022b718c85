// SPDX-License-Identifier: Apache-2.0
// SIGINT and SIGTERM as something to poll: the first asks for a clean end, the second ends the process at once, also
// when the loop is busy. SIGPIPE is ignored, so that `| head` is quiet.
//
// The handlers are the process's: call install() once, before threads start.
#pragma once

namespace dig::service {

class Signals {
 public:
  static void install();
  // Readable once a signal has come; it stays so.
  [[nodiscard]] static int fd();
  [[nodiscard]] static bool stop_requested();
};

}  // namespace dig::service
