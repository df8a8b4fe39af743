#include "npy_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "negpipe/error.hpp"

namespace negpipe::npy {

namespace {
constexpr std::string_view magic("\x93NUMPY\x01\x00", 8);
constexpr std::size_t alignment = 64;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
}  // namespace

std::string make_header(std::string_view descriptor, std::uint64_t count) {
  std::string dictionary =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},), }}", descriptor, count);
  const std::size_t unpadded = magic.size() + 2 + dictionary.size() + 1;
  dictionary.append((alignment - unpadded % alignment) % alignment, ' ');
  dictionary += '\n';
  std::string header(magic);
  header += static_cast<char>(dictionary.size() % 256);
  header += static_cast<char>(dictionary.size() / 256);
  return header + dictionary;
}

void write_bytes(const std::filesystem::path& path, std::string_view descriptor, std::uint64_t count,
                 std::span<const std::byte> values) {
  auto out = support::file::create(path);
  const std::string header = make_header(descriptor, count);
  out.write(std::as_bytes(std::span(header)));
  out.write(values);
  out.sync();
  out.close();
}

support::file_contents read_file(const std::filesystem::path& path, std::string_view descriptor, std::uint64_t count,
                                 std::uint64_t element_bytes, std::uint64_t map_from_bytes) {
  const std::uint64_t header = make_header(descriptor, count).size();
  constexpr std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
  const bool fits = count <= (limit - header) / element_bytes;
  return {path, fits ? header + count * element_bytes : limit, map_from_bytes};
}

std::span<const std::byte> values_of(const support::file_contents& file, const std::filesystem::path& path,
                                     std::string_view descriptor, std::uint64_t count, std::uint64_t element_bytes) {
  const std::string header = make_header(descriptor, count);
  const auto bytes = file.bytes();
  const auto found = bytes.first(std::min(bytes.size(), header.size()));
  if (as_text(found) != header) {
    throw format_error(
        fmt::format("{}: its header is not that of an array of {} values of type {}, as listed in "
                    "dataset.json; prepare the dataset again",
                    path.string(), count, descriptor));
  }
  const std::uint64_t value_bytes = file.file_size() - header.size();
  if (value_bytes % element_bytes != 0 || value_bytes / element_bytes != count) {
    throw format_error(
        fmt::format("{}: found {} bytes of values, wanted {} values of {} bytes; the file was truncated "
                    "or extended: prepare the dataset again",
                    path.string(), value_bytes, count, element_bytes));
  }
  return bytes.subspan(header.size());
}

}  // namespace negpipe::npy
