#include "negpipe/tfrecord.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "negpipe/error.hpp"

namespace negpipe {

namespace {

using bytes = std::span<const std::byte>;

[[noreturn]] void fail(std::string_view message, const std::string& what) {
  throw format_error(
      fmt::format("the payload is no tf.train.Example of one bytes value a feature: {} {}", message, what));
}

/// Iterates over the fields of one message. All of them must be length-delimited.
class field_cursor {
 public:
  field_cursor(std::string_view message, bytes rest) : message_(message), rest_(rest) {}

  /// Reads the number and content of the next field. Returns false at the end.
  bool next(std::uint64_t& number, bytes& content) {
    if (rest_.empty()) return false;
    constexpr std::uint64_t length_delimited = 2;
    const std::uint64_t tag = varint();
    if (tag % 8 != length_delimited) fail(message_, fmt::format("has a field of wire type {}", tag % 8));
    number = tag / 8;
    const std::uint64_t length = varint();
    if (length > rest_.size()) {
      fail(message_, fmt::format("has a field of {} bytes where {} are left", length, rest_.size()));
    }
    content = rest_.first(length);
    rest_ = rest_.subspan(length);
    return true;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) fail(message_, "breaks off within a number");
      const auto byte = static_cast<std::uint64_t>(rest_.front());
      rest_ = rest_.subspan(1);
      if (shift == 63 && byte > 1) break;
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail(message_, "has a number of more than 64 bits");
  }

  std::string_view message_;
  bytes rest_;
};

/// Returns the content of field 1 of a message that must have no other field.
bytes only_field(std::string_view message, bytes content) {
  field_cursor fields(message, content);
  std::uint64_t number = 0;
  bytes found;
  if (!fields.next(number, found) || number != 1) fail(message, "does not begin with field 1");
  std::uint64_t another = 0;
  bytes ignored;
  if (fields.next(another, ignored)) fail(message, fmt::format("has a second field, number {}", another));
  return found;
}

feature parse_entry(bytes entry) {
  std::optional<bytes> key;
  std::optional<bytes> value;
  field_cursor fields("a map entry", entry);
  std::uint64_t number = 0;
  bytes content;
  while (fields.next(number, content)) {
    if (number != 1 && number != 2) fail("a map entry", fmt::format("has a field {}", number));
    auto& part = number == 1 ? key : value;
    if (part) fail("a map entry", fmt::format("has field {} twice", number));
    part = content;
  }
  if (!key || !value) fail("a map entry", key ? "has no value" : "has no key");
  const bytes list = only_field("Feature", *value);
  return {{reinterpret_cast<const char*>(key->data()), key->size()}, only_field("BytesList", list)};
}

}  // namespace

std::vector<feature> parse_example(std::span<const std::byte> payload) {
  field_cursor entries("Features", only_field("Example", payload));
  constexpr std::size_t max_features = 256;  // names are compared in quadratic time
  std::vector<feature> features;
  std::uint64_t number = 0;
  bytes entry;
  while (entries.next(number, entry)) {
    if (number != 1) fail("Features", fmt::format("has a field {}", number));
    if (features.size() == max_features) fail("Features", fmt::format("has more than {} of them", max_features));
    features.push_back(parse_entry(entry));
    const auto same_name = [&](const feature& f) { return f.name == features.back().name; };
    if (std::find_if(features.begin(), features.end() - 1, same_name) != features.end() - 1) {
      fail("Features", fmt::format("has \"{}\" twice", features.back().name));
    }
  }
  return features;
}

}  // namespace negpipe
