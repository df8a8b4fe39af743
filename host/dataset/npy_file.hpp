// NumPy's .npy files of one dimension: a header in ASCII, padded to 64 bytes, and raw little-endian values.
// Source: NEP 1, "A Simple File Format for NumPy Arrays", version 1.0.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "files.hpp"

namespace negpipe::npy {

static_assert(std::endian::native == std::endian::little, "arrays are used as they lie in their files");

/// NumPy's name of a type: "<i8", "<i4", "|u1".
template <typename T>
constexpr std::string_view descriptor() {
  if constexpr (sizeof(T) == 1) return "|u1";
  static_assert(sizeof(T) == 1 || std::is_signed_v<T>);
  return sizeof(T) == 8 ? "<i8" : sizeof(T) == 4 ? "<i4" : "|u1";
}

/// The bytes that stand before the values of an array of count elements; their number is a multiple of 64.
std::string make_header(std::string_view descriptor, std::uint64_t count);

/// Writes an array and syncs it to disk. Throws io_error.
void write_bytes(const std::filesystem::path& path, std::string_view descriptor, std::uint64_t count,
                 std::span<const std::byte> values);

template <typename T>
void write(const std::filesystem::path& path, std::span<const T> values) {
  write_bytes(path, descriptor<T>(), values.size(), std::as_bytes(values));
}

/// Reads the file of an array of count elements, and no more than it has. Throws io_error.
support::file_contents read_file(const std::filesystem::path& path, std::string_view descriptor, std::uint64_t count,
                                 std::uint64_t element_bytes);

/// Returns the values in a file that read_file read, after checking that it is exactly the array that is wanted. The
/// header must be byte for byte the one that make_header gives: nothing else is ever written. Throws format_error.
std::span<const std::byte> values_of(const support::file_contents& file, const std::filesystem::path& path,
                                     std::string_view descriptor, std::uint64_t count, std::uint64_t element_bytes);

}  // namespace negpipe::npy
