# SPDX-License-Identifier: Apache-2.0
# The virtual world: sim/**.cpp is a library, its *_test.cpp and those of tests/sim/ become sim_tests.
file(GLOB_RECURSE sim_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sim/*.cpp)
set(sim_tests ${sim_sources})
list(FILTER sim_sources EXCLUDE REGEX "_test\\.cpp$")
list(FILTER sim_tests INCLUDE REGEX "_test\\.cpp$")
file(GLOB_RECURSE scenario_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/sim/*_test.cpp)
list(APPEND sim_tests ${scenario_tests})

if(sim_sources)
  add_library(dignet_sim STATIC ${sim_sources})
  target_include_directories(dignet_sim PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(dignet_sim PRIVATE dignet_options PUBLIC dignet_node dignet_crypto_testing)
else()
  add_library(dignet_sim INTERFACE)
  target_include_directories(dignet_sim INTERFACE ${CMAKE_SOURCE_DIR})
  target_link_libraries(dignet_sim INTERFACE dignet_node dignet_crypto_testing)
endif()
