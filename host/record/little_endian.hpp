// Little-endian integers at any alignment, on machines of either byte order.
#pragma once

#include <concepts>
#include <cstddef>

namespace negpipe::record {

template <std::unsigned_integral T>
T load_le(const std::byte* from) {
  T value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) value = static_cast<T>(value << 8 | static_cast<T>(from[i]));
  return value;
}

template <std::unsigned_integral T>
void store_le(std::byte* to, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}

}  // namespace negpipe::record
