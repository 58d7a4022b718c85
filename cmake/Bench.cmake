# SPDX-License-Identifier: Apache-2.0
# bench/<name>_bench.cpp becomes the program <name>_bench; it may have its own main() or use Google Benchmark's.
file(GLOB bench_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*_bench.cpp)
add_custom_target(benches)
foreach(source IN LISTS bench_sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE dignet_api dignet_sim benchmark::benchmark benchmark::benchmark_main
                        dignet_options)
  add_dependencies(benches ${name})
endforeach()

# Our end of the comparison with js-libp2p (bench/js_pair.mjs) is that of the interop tests.
if(NOT TARGET interop_peer)
  add_executable(interop_peer ${CMAKE_SOURCE_DIR}/tests/interop/peer.cpp)
  target_link_libraries(interop_peer PRIVATE dignet::dignet dignet_options)
endif()
add_dependencies(benches interop_peer)

# The load of bench/turn_bench.py and the relay that it compares with, and the load of bench/idle_bench.py.
foreach(name IN ITEMS turn_load bare_relay idle_peers)
  add_executable(${name} ${CMAKE_SOURCE_DIR}/bench/${name}.cpp)
  target_link_libraries(${name} PRIVATE dignet_net dignet_options)
  add_dependencies(benches ${name})
endforeach()

# The peers of bench/sharing_bench.py are those of the tests.
add_executable(directory_load ${CMAKE_SOURCE_DIR}/bench/directory_load.cpp)
target_link_libraries(directory_load PRIVATE dignet_net_testing dignet_options)
add_dependencies(benches directory_load)
