// Weights from .npy files of NumPy, of any version and padding of the header.
#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "files.hpp"
#include "negpipe/error.hpp"
#include "negpipe/item_weights.hpp"

namespace negpipe {

namespace {

static_assert(std::endian::native == std::endian::little, "arrays are used in file byte order");

constexpr std::uint64_t max_file_bytes = (std::uint64_t{1} << 33) + 65'536;  // 2^30 values of 64 bits, and a header

struct array_header {
  std::size_t begin;  ///< offset of the values
  std::string descriptor;
  std::uint64_t count;
};

/// Returns the text between two words, or nothing.
std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t begin = text.find(before);
  if (begin == text.npos) return {};
  const std::string_view rest = text.substr(begin + before.size());
  return rest.substr(0, std::min(rest.size(), rest.find(after)));
}

/// Reads the header of a one-dimensional array; count is 0 if there is none.
array_header read_header(std::string_view bytes) {
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 12) return {};
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])); };
  const bool is_short = byte(6) == 1;
  const std::size_t begin = is_short ? 10 : 12;
  const std::size_t length = byte(8) | byte(9) << 8 | (is_short ? 0 : byte(10) << 16 | byte(11) << 24);
  const std::string_view header = bytes.substr(std::min(begin, bytes.size())).substr(0, length);
  const std::string_view shape = between(header, "'shape': (", ",)");
  std::uint64_t count = 0;
  const auto [end, failure] = std::from_chars(shape.data(), shape.data() + shape.size(), count);
  if (failure != std::errc() || end != shape.data() + shape.size()) return {};
  return {begin + length, std::string(between(header, "'descr': '", "'")), count};
}

template <typename Number>
std::vector<std::uint32_t> copied(std::string_view values, const std::filesystem::path& path) {
  std::vector<std::uint32_t> weights;
  weights.reserve(values.size() / sizeof(Number));
  for (std::size_t i = 0; i + sizeof(Number) <= values.size(); i += sizeof(Number)) {
    Number value = 0;
    std::memcpy(&value, values.data() + i, sizeof value);
    if (std::cmp_less(value, 0) || std::cmp_greater(value, std::numeric_limits<std::uint32_t>::max())) {
      throw format_error(fmt::format("{}: value {} is {}; expected weights of 0 to {}", path.string(),
                                     weights.size(), value, std::numeric_limits<std::uint32_t>::max()));
    }
    weights.push_back(static_cast<std::uint32_t>(value));
  }
  return weights;
}

}  // namespace

item_weights load_weights(const std::filesystem::path& path) {
  const support::file_contents file(path, max_file_bytes);
  const auto bytes = file.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const array_header header = read_header(text);
  const std::string& type = header.descriptor;
  const bool is_wide = type == "<i8" || type == "<u8";
  if (header.count == 0 || !(is_wide || type == "<i4" || type == "<u4") ||
      text.size() - std::min(text.size(), header.begin) != header.count * (is_wide ? 8 : 4)) {
    throw format_error(fmt::format("{} is not a whole .npy file of weights; expected a one-dimensional array of 32-bit "
                                   "or 64-bit integers, as numpy.save writes it", path.string()));
  }
  const std::string_view values = text.substr(header.begin);
  return item_weights(type == "<i8"   ? copied<std::int64_t>(values, path)
                      : type == "<u8" ? copied<std::uint64_t>(values, path)
                      : type == "<i4" ? copied<std::int32_t>(values, path)
                                      : copied<std::uint32_t>(values, path));
}

}  // namespace negpipe
