# SPDX-License-Identifier: Apache-2.0
# Language level, warnings and tools that hold for every target of the project.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

set(DIGNET_SANITIZE "" CACHE STRING "Sanitizers for every target, for example 'address,undefined' or 'thread'")

find_program(DIGNET_CCACHE ccache)
if(DIGNET_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${DIGNET_CCACHE})
endif()
find_program(DIGNET_MOLD mold)
if(DIGNET_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(dignet_options INTERFACE)
target_compile_options(dignet_options INTERFACE
  -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  -Werror)
if(DIGNET_SANITIZE)
  add_compile_options(-fsanitize=${DIGNET_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DIGNET_SANITIZE})
endif()
