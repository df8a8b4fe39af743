// One-dimensional NumPy .npy files: an ASCII header padded to 64 bytes, then raw little-endian values.
// Source: NEP 1, "A Simple File Format for NumPy Arrays", version 1.0.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "files.hpp"

namespace negpipe::npy {

static_assert(std::endian::native == std::endian::little, "arrays are used in file byte order");

/// See make_part_header().
inline constexpr std::size_t part_alignment = 4096;

/// Returns NumPy's name of a type: "<i8", "<i4", "|u1".
template <typename T>
constexpr std::string_view descriptor() {
  if constexpr (sizeof(T) == 1) return "|u1";
  static_assert(sizeof(T) == 1 || std::is_signed_v<T>);
  return sizeof(T) == 8 ? "<i8" : sizeof(T) == 4 ? "<i4" : "|u1";
}

/// Returns the header of an array of count elements. Its length is a multiple of 64 bytes.
std::string make_header(std::string_view descriptor, std::uint64_t count);

/// Returns the header of a part of an array that begins at first_byte of the whole array's values. Its length is
/// congruent to first_byte modulo 4096, so that the parts' pages can be mapped one after the other.
std::string make_part_header(std::string_view descriptor, std::uint64_t count, std::uint64_t first_byte);

/// Writes a header and values, and syncs them to disk. Throws io_error.
void write_bytes(const std::filesystem::path& path, std::string_view header, std::span<const std::byte> values);

template <typename T>
void write(const std::filesystem::path& path, std::span<const T> values) {
  write_bytes(path, make_header(descriptor<T>(), values.size()), std::as_bytes(values));
}

/// Reads the file of an array of count elements, at most that size, or maps one of at least map_from_bytes. Throws
/// io_error.
support::file_contents read_file(const std::filesystem::path& path, std::string_view descriptor, std::uint64_t count,
                                 std::uint64_t element_bytes,
                                 std::uint64_t map_from_bytes = std::numeric_limits<std::uint64_t>::max());

/// Returns the values of a file from read_file, after checking that it holds exactly the wanted array. The header must
/// equal make_header byte for byte, because negpipe writes no other. Throws format_error.
std::span<const std::byte> values_of(const support::file_contents& file, const std::filesystem::path& path,
                                     std::string_view descriptor, std::uint64_t count, std::uint64_t element_bytes);

/// The file that lists an array, and what to do if the array differs, for messages.
struct listing {
  std::string_view file = "dataset.json";
  std::string_view remedy = "prepare the dataset again";
};

/// Checks that a file holds exactly the header and value_bytes bytes of values. Throws format_error, io_error.
void check_part(const std::filesystem::path& path, std::string_view header, std::uint64_t value_bytes,
                const listing& listed = {});

}  // namespace negpipe::npy
