# SPDX-License-Identifier: Apache-2.0
# One test executable per layer: <layer>_tests, made of the *_test.cpp that stand beside the code.
include(GoogleTest)
get_property(layers GLOBAL PROPERTY DIGNET_LAYERS)
foreach(layer IN LISTS layers)
  get_target_property(tests dignet_${layer} DIGNET_TEST_SOURCES)
  if(tests)
    add_executable(${layer}_tests ${tests})
    target_link_libraries(${layer}_tests PRIVATE dignet_${layer} dignet_options GTest::gmock GTest::gtest_main)
    gtest_discover_tests(${layer}_tests TEST_PREFIX ${layer}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 120)
  endif()
endforeach()
