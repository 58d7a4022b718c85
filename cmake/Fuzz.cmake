# SPDX-License-Identifier: Apache-2.0
# fuzz/<name>_fuzz.cpp with the corpus fuzz/corpus/<name>/ becomes
#   with DIGNET_FUZZ  the libFuzzer program <name>_fuzz (target fuzz_targets: all of them; test fuzz.<name>: a time box);
#   with DIGNET_TESTS the program <name>_replay, which runs the committed corpus (test fuzz_replay.<name>).
set(DIGNET_FUZZ_SECONDS 60 CACHE STRING "Seconds that the test of one fuzz target runs")
file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/*_fuzz.cpp)
set(fuzz_libraries dignet_crypto_testing dignet_proto_testing dignet_service dignet_options)
add_custom_target(fuzz_targets)
if(DIGNET_TESTS)
  add_library(dignet_fuzz_replay STATIC ${CMAKE_SOURCE_DIR}/fuzz/replay/replay_main.cpp)
  target_link_libraries(dignet_fuzz_replay PRIVATE dignet_options)
endif()

foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" name ${name})
  set(corpus ${CMAKE_SOURCE_DIR}/fuzz/corpus/${name})
  if(DIGNET_FUZZ)
    add_executable(${name}_fuzz ${source})
    target_link_libraries(${name}_fuzz PRIVATE ${fuzz_libraries})
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz_targets ${name}_fuzz)
    dignet_test(fuzz.${name} fuzz 900 COMMAND ${CMAKE_SOURCE_DIR}/tools/run_fuzz.sh $<TARGET_FILE:${name}_fuzz>
                ${corpus} ${DIGNET_FUZZ_SECONDS})
  endif()
  if(DIGNET_TESTS)
    add_executable(${name}_replay ${source})
    target_link_libraries(${name}_replay PRIVATE dignet_fuzz_replay ${fuzz_libraries})
    target_compile_options(${name}_replay PRIVATE ${DIGNET_TEST_OPTIONS})
    dignet_test(fuzz_replay.${name} replay 120 COMMAND ${name}_replay ${corpus})
  endif()
endforeach()
