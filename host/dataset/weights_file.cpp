// Weights from .npy files of NumPy, of any version and padding of the header.
#include <fmt/format.h>

#include <algorithm>
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
  std::string shape;
  std::uint64_t count;
};

/// Returns the text between two words, or nothing.
std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t begin = text.find(before);
  if (begin == text.npos) return {};
  const std::string_view rest = text.substr(begin + before.size());
  return rest.substr(0, std::min(rest.size(), rest.find(after)));
}

/// Reads the header of a one-dimensional array. count is 0 if there is none, descriptor is empty if it is no array.
array_header read_header(std::string_view bytes) {
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 12) return {};
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])); };
  const bool is_short = byte(6) == 1;
  const std::size_t begin = is_short ? 10 : 12;
  const std::size_t length = byte(8) | byte(9) << 8 | (is_short ? 0 : byte(10) << 16 | byte(11) << 24);
  const std::string_view header = bytes.substr(std::min(begin, bytes.size())).substr(0, length);
  array_header found{begin + length, std::string(between(header, "'descr': ", ", '")),
                     std::string(between(header, "'shape': ", ")")) + ")", 0};
  if (found.descriptor.size() > 2 && found.descriptor.front() == '\'') {
    found.descriptor = found.descriptor.substr(1, found.descriptor.size() - 2);
  }
  const std::string_view count = between(found.shape, "(", ",)");
  const auto [end, failure] = std::from_chars(count.data(), count.data() + count.size(), found.count);
  if (failure != std::errc() || end != count.data() + count.size()) found.count = 0;
  return found;
}

/// Returns the name of a type of NumPy for its descriptor: float64 for "<f8".
std::string name_of_type(std::string_view descriptor) {
  if (descriptor.front() == '[') return "records";
  const std::string_view code = descriptor.substr(std::min(descriptor.find_first_not_of("<>|="), descriptor.size()));
  if (code == "O") return "Python objects";
  unsigned bytes = 0;
  const std::string_view digits = code.substr(std::min<std::size_t>(1, code.size()));
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), bytes);
  if (code.empty() || failure != std::errc() || end != code.data() + code.size()) return std::string(descriptor);
  const std::string order = descriptor.front() == '>' ? " in big-endian order" : "";
  switch (code.front()) {
    case 'f': return fmt::format("float{}{}", 8 * bytes, order);
    case 'i': return fmt::format("int{}{}", 8 * bytes, order);
    case 'u': return fmt::format("uint{}{}", 8 * bytes, order);
    case 'c': return fmt::format("complex{}", 8 * bytes);
    case 'b': return "bool";
    case 'U': return "text";
    default: return std::string(descriptor);
  }
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
  const bool is_integer = is_wide || type == "<i4" || type == "<u4";
  const auto refuse = [&](const std::string& found) {
    throw format_error(fmt::format("{} {}; expected a one-dimensional array of int32, int64, uint32 or uint64, as "
                                   "numpy.save writes it", path.string(), found));
  };
  if (type.empty()) refuse("is not a .npy file");
  if (!is_integer) refuse("is an array of " + name_of_type(type));
  if (header.count == 0) refuse("is an array of the shape " + header.shape);
  const std::uint64_t found_bytes = text.size() - std::min(text.size(), header.begin);
  const std::uint64_t wanted_bytes = header.count > max_file_bytes ? max_file_bytes : header.count * (is_wide ? 8 : 4);
  if (found_bytes != wanted_bytes) {
    refuse(fmt::format("has {} bytes of values, {} wanted: it was truncated or extended", found_bytes, wanted_bytes));
  }
  const std::string_view values = text.substr(header.begin);
  return item_weights(type == "<i8"   ? copied<std::int64_t>(values, path)
                      : type == "<u8" ? copied<std::uint64_t>(values, path)
                      : type == "<i4" ? copied<std::int32_t>(values, path)
                                      : copied<std::uint32_t>(values, path));
}

}  // namespace negpipe
