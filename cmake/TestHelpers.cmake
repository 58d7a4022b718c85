# SPDX-License-Identifier: Apache-2.0
# Every test is registered by dignet_test(), so that names, time limits and labels follow one rule:
# "<preset>.<name>", and nothing but threaded code when DIGNET_ONLY_THREADED_TESTS is on.
set(DIGNET_SANITIZER_ENVIRONMENT
  "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${CMAKE_SOURCE_DIR}/tools/tsan.supp")

# dignet_test(NAME LABEL SECONDS COMMAND …)
function(dignet_test name label seconds)
  cmake_parse_arguments(ARG "" "WORKING_DIRECTORY" "COMMAND;ENVIRONMENT" ${ARGN})
  if(DIGNET_ONLY_THREADED_TESTS AND NOT label STREQUAL "threaded")
    return()
  endif()
  if(DIGNET_PRESET)
    set(name "${DIGNET_PRESET}.${name}")
  endif()
  if(NOT ARG_WORKING_DIRECTORY)
    set(ARG_WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
  endif()
  add_test(NAME ${name} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY ${ARG_WORKING_DIRECTORY})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${seconds} LABELS ${label}
    ENVIRONMENT "${DIGNET_SANITIZER_ENVIRONMENT};${ARG_ENVIRONMENT}")
endfunction()
