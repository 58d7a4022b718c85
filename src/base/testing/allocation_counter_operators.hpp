// SPDX-License-Identifier: Apache-2.0
// The operators that tell AllocationCounter what is allocated. They replace operator new of the whole program: one .cpp
// file of a test or benchmark includes this, no other.
#pragma once

#include <cstdlib>
#include <new>

#include "base/testing/allocation_counter.hpp"

// Every form but the over-aligned ones, which are not counted: a sanitizer brings all of them, so that none can be left
// to call another. Not inlined, or GCC 12 takes what it sees of them for a delete of another form than the new.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  dig::testing::AllocationCounter::note_allocation();
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = ::operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return ::operator new(size, std::nothrow);
}
[[gnu::noinline]] void* operator new[](std::size_t size) { return ::operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { ::operator delete(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { ::operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { ::operator delete[](memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { ::operator delete[](memory); }
