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

/// Returns a header whose length is congruent to remainder modulo modulus.
std::string header_of_length(std::string_view descriptor, std::uint64_t count, std::size_t modulus,
                             std::size_t remainder) {
  std::string dictionary =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},), }}", descriptor, count);
  const std::size_t unpadded = magic.size() + 2 + dictionary.size() + 1;
  dictionary.append((modulus + remainder - unpadded % modulus) % modulus, ' ');
  dictionary += '\n';
  std::string header(magic);
  header += static_cast<char>(dictionary.size() % 256);
  header += static_cast<char>(dictionary.size() / 256);
  return header + dictionary;
}

[[noreturn]] void fail_at_header(const std::filesystem::path& path, std::string_view wanted, const listing& listed) {
  throw format_error(fmt::format("{}: its header is not that of the array that {} lists, {}; {}", path.string(),
                                 listed.file, wanted.substr(magic.size() + 2, wanted.find('}') - magic.size() - 1),
                                 listed.remedy));
}

[[noreturn]] void fail_at_size(const std::filesystem::path& path, std::uint64_t found_bytes,
                               std::uint64_t wanted_bytes, const listing& listed) {
  throw format_error(fmt::format("{}: found {} bytes of values, wanted {}; the file was truncated or extended: {}",
                                 path.string(), found_bytes, wanted_bytes, listed.remedy));
}

}  // namespace

std::string make_header(std::string_view descriptor, std::uint64_t count) {
  return header_of_length(descriptor, count, alignment, 0);
}

std::string make_part_header(std::string_view descriptor, std::uint64_t count, std::uint64_t first_byte) {
  return header_of_length(descriptor, count, part_alignment, first_byte % part_alignment);
}

void write_bytes(const std::filesystem::path& path, std::string_view header, std::span<const std::byte> values) {
  auto out = support::file::create(path);
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
  if (as_text(found) != header) fail_at_header(path, header, {});
  const std::uint64_t value_bytes = file.file_size() - header.size();
  if (value_bytes % element_bytes != 0 || value_bytes / element_bytes != count) {
    fail_at_size(path, value_bytes, count * element_bytes, {});
  }
  return bytes.subspan(header.size());
}

void check_part(const std::filesystem::path& path, std::string_view header, std::uint64_t value_bytes,
                const listing& listed) {
  const support::file_contents begin(path, header.size());
  if (as_text(begin.bytes()) != header) fail_at_header(path, header, listed);
  if (const std::uint64_t found = begin.file_size() - header.size(); found != value_bytes) {
    fail_at_size(path, found, value_bytes, listed);
  }
}

}  // namespace negpipe::npy
