# SPDX-License-Identifier: Apache-2.0
# What is installed: the public headers, one archive libdignet.a made of the library layers, a CMake package
# (find_package(dignet CONFIG), target dignet::dignet), a pkg-config file, and the command.
include(CMakePackageConfigHelpers)

# In the tree, dignet::dignet is the top of what the public headers need.
add_library(dignet INTERFACE)
target_link_libraries(dignet INTERFACE dignet_api)
add_library(dignet::dignet ALIAS dignet)

# One archive instead of one per layer: a consumer then has one name to link, in CMake and in pkg-config alike.
set(archive ${CMAKE_BINARY_DIR}/package/libdignet.a)
set(members dignet_base dignet_crypto dignet_wire_proto dignet_wire dignet_store dignet_proto dignet_ladder dignet_node
            dignet_store_disk dignet_net dignet_api)
set(script "CREATE ${archive}\n")
set(files "")
foreach(member IN LISTS members)
  string(APPEND script "ADDLIB $<TARGET_FILE:${member}>\n")
  list(APPEND files $<TARGET_FILE:${member}>)
endforeach()
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/package/libdignet.mri CONTENT "${script}SAVE\nEND\n")
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/package)
add_custom_command(OUTPUT ${archive}
  COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
  COMMAND sh -c "exec '${CMAKE_AR}' -M < '${CMAKE_BINARY_DIR}/package/libdignet.mri'"
  DEPENDS ${members} ${files} ${CMAKE_BINARY_DIR}/package/libdignet.mri
  COMMENT "Merging the layers into libdignet.a" VERBATIM)
add_custom_target(dignet_archive ALL DEPENDS ${archive})

file(RELATIVE_PATH DIGNET_PREFIX_FROM_LIBDIR /prefix/${CMAKE_INSTALL_LIBDIR} /prefix)  # "../.." for lib/x86_64-linux-gnu
string(REGEX REPLACE "/$" "" DIGNET_PREFIX_FROM_LIBDIR "${DIGNET_PREFIX_FROM_LIBDIR}")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/dignetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(${CMAKE_SOURCE_DIR}/packaging/dignetConfig.cmake.in ${CMAKE_BINARY_DIR}/package/dignetConfig.cmake @ONLY)
configure_file(${CMAKE_SOURCE_DIR}/packaging/dignet.pc.in ${CMAKE_BINARY_DIR}/package/dignet.pc @ONLY)

install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/dignet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(FILES ${CMAKE_BINARY_DIR}/package/dignetConfig.cmake ${CMAKE_BINARY_DIR}/package/dignetConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dignet COMPONENT development)
install(FILES ${CMAKE_BINARY_DIR}/package/dignet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
if(TARGET dignet_command)
  install(TARGETS dignet_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
endif()
