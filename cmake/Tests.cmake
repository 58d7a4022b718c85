# SPDX-License-Identifier: Apache-2.0
# What ctest runs: one program per layer (<layer>_tests, made of the *_test.cpp that stand beside the code), the
# simulator, the examples, scripts against the command and against foreign peers, and checks of the tree itself.
set(threaded_layers store_disk net api service)
add_custom_target(threaded_tests)

function(dignet_gtest name label)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name}_tests ${ARG_SOURCES})
  target_link_libraries(${name}_tests PRIVATE ${ARG_LINK} dignet_options GTest::gmock GTest::gtest_main)
  target_compile_options(${name}_tests PRIVATE ${DIGNET_TEST_OPTIONS})
  dignet_test(${name} ${label} 600 COMMAND ${name}_tests --gtest_brief=1)
  if(label STREQUAL "threaded")
    add_dependencies(threaded_tests ${name}_tests)
  endif()
endfunction()

get_property(layers GLOBAL PROPERTY DIGNET_LAYERS)
foreach(layer IN LISTS layers)
  get_target_property(tests dignet_${layer} DIGNET_TEST_SOURCES)
  if(tests)
    set(label unit)
    if(layer IN_LIST threaded_layers)
      set(label threaded)
    endif()
    dignet_gtest(${layer} ${label} SOURCES ${tests} LINK $<TARGET_NAME_IF_EXISTS:dignet_${layer}_testing> dignet_${layer})
  endif()
endforeach()
target_link_libraries(net_tests PRIVATE dignet_crypto_testing) # certificates for legs over TLS and DTLS
if(sim_tests)
  dignet_gtest(sim sim SOURCES ${sim_tests} LINK dignet_sim)
endif()

# tests/api/*_test.cpp sees only what a user of the library sees.
file(GLOB api_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/api/*_test.cpp)
if(api_tests)
  dignet_gtest(public_api threaded SOURCES ${api_tests} LINK dignet::dignet)
endif()

# Every file of examples/ is a program that must build; tests/interop/*.cpp are our ends of the interop tests.
function(dignet_programs prefix folder)
  file(GLOB programs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  foreach(source IN LISTS programs)
    get_filename_component(name ${source} NAME_WE)
    add_executable(${prefix}_${name} ${source})
    target_link_libraries(${prefix}_${name} PRIVATE dignet::dignet dignet_options)
  endforeach()
endfunction()
# Programs that the scripts run in network namespaces; they use the layers below the public API.
file(GLOB lab_programs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/lab/*.cpp)
foreach(source IN LISTS lab_programs)
  get_filename_component(name ${source} NAME_WE)
  add_executable(lab_${name} ${source})
  target_link_libraries(lab_${name} PRIVATE dignet_net_testing dignet_options)
endforeach()
file(GLOB api_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/api/*.cpp)
if(api_sources)
  dignet_programs(example examples)
  dignet_programs(interop tests/interop)
endif()

# A foreign TURN client: Debian's libre and nothing of ours. libre's headers ask for these two macros.
add_executable(libre_client ${CMAKE_SOURCE_DIR}/tests/interop/clients/libre_client.cpp)
target_compile_definitions(libre_client PRIVATE HAVE_INTTYPES_H HAVE_STDBOOL_H)
target_link_libraries(libre_client PRIVATE PkgConfig::libre dignet_options)

# tests/cli/*_test.{sh,py}, tests/interop/*_test.{sh,py,mjs} and tests/lab/*_test.py: scripts that find the programs by these variables.
function(dignet_scripts folder seconds)
  file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*_test.sh
       ${CMAKE_SOURCE_DIR}/tests/${folder}/*_test.py ${CMAKE_SOURCE_DIR}/tests/${folder}/*_test.mjs)
  foreach(script IN LISTS scripts)
    get_filename_component(name ${script} NAME_WE)
    string(REGEX REPLACE "_test$" "" name ${name})
    dignet_test(${folder}.${name} ${folder} ${seconds} COMMAND ${CMAKE_SOURCE_DIR}/tools/run_script.sh ${script}
      WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests/${folder}
      ENVIRONMENT "DIGNET_BIN_DIR=${CMAKE_BINARY_DIR}/bin;DIGNET_COMMAND=${CMAKE_BINARY_DIR}/bin/dignet;DIGNET_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
  endforeach()
endfunction()
dignet_scripts(cli 900)
dignet_scripts(interop 900)
dignet_scripts(lab 600)
include(TreeChecks)

# A consumer outside the tree, built against an install of this build.
set(consumer_flags "")
if(DIGNET_SANITIZE)
  set(consumer_flags "-fsanitize=${DIGNET_SANITIZE}")
elseif(CMAKE_CXX_FLAGS MATCHES "--coverage")
  set(consumer_flags "--coverage")
endif()
dignet_test(install.consumer install 300 COMMAND ${CMAKE_SOURCE_DIR}/tests/install/consumer_test.sh
            ${CMAKE_BINARY_DIR} ${CMAKE_CXX_COMPILER} ${consumer_flags})
if(DIGNET_HARDENING AND TARGET dignet_command)
  dignet_test(release.hardening tree 60 COMMAND ${CMAKE_SOURCE_DIR}/tools/check_hardening.sh $<TARGET_FILE:dignet_command>)
endif()
