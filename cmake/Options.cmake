# SPDX-License-Identifier: Apache-2.0
# Language level, warnings and tools that hold for every target of the project.
include(CheckCXXCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
check_pie_supported(LANGUAGES CXX)  # without this call CMake compiles with -fPIE and does not link with -pie
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
  -Wno-missing-field-initializers)  # designated initializers may leave members out
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # the reference compiler; clang only builds the fuzz targets
  # GCC 12 sees uninitialized memory in every std::optional inside a std::expected that is moved, and sizes of 2^64-1 in
  # std::span: these warnings report what is not there.
  target_compile_options(dignet_options INTERFACE -Werror -Wno-maybe-uninitialized -Wno-stringop-overread
                         -Wno-stringop-overflow)
endif()

# For tests and fuzz replays. They are made of short Bytes whose sizes the compiler knows: without sanitizers GCC 12 sees
# writes behind the end of every one that is made and then appended to. With the address sanitizer the optimiser takes half
# of the time that a test needs to compile, and no test runs noticeably faster for it; the libraries stay optimised.
set(DIGNET_TEST_OPTIONS "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT DIGNET_SANITIZE)
  set(DIGNET_TEST_OPTIONS -Wno-array-bounds)
elseif(DIGNET_SANITIZE MATCHES "address")
  set(DIGNET_TEST_OPTIONS -O0)
endif()

if(DIGNET_SANITIZE)
  add_compile_options(-fsanitize=${DIGNET_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DIGNET_SANITIZE})
endif()
if(DIGNET_SANITIZE MATCHES "thread")  # the thread sanitizer does not see fences; Asio's handlers are ordered by its mutex
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()

# The list of the OpenSSF compiler hardening guide; a compiler that lacks a flag goes without it.
if(DIGNET_HARDENING)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS)
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero
               -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing -fstrict-flex-arrays=3
               -Wbidi-chars=any)
    string(MAKE_C_IDENTIFIER "DIGNET_HAS${flag}" known)
    check_cxx_compiler_flag(${flag} ${known})
    if(${known})
      add_compile_options(${flag})
    endif()
  endforeach()
  foreach(flag -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,nodlopen -Wl,--as-needed)
    string(MAKE_C_IDENTIFIER "DIGNET_HAS${flag}" known)
    check_linker_flag(CXX ${flag} ${known})
    if(${known})
      add_link_options(${flag})
    endif()
  endforeach()
endif()
