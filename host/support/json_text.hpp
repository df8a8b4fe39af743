// JSON files that others may have changed: parsed within limits, and read field by field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "whole_number.hpp"

namespace negpipe::support {

/// Levels of arrays and objects that are read; no file of ours has more than five.
inline constexpr int max_json_levels = 32;
/// Members of one object that are read: ordered_json looks for a name among those before it.
inline constexpr std::size_t max_json_members = 1000;

/// Parses UTF-8 text without a byte order mark. Object members keep their order. The value is shallow enough for the
/// library's recursion. Returns a discarded value (is_discarded()) for what is no JSON, holds a NUL byte, nests deeper
/// than max_json_levels, or has an object with more than max_json_members or two members of one name.
nlohmann::ordered_json parse_json(std::string_view text);

/// Parses a file of at most max_json_bytes. Throws io_error, and format_error with the path and the remedy.
nlohmann::ordered_json read_json(const std::filesystem::path& path, std::string_view remedy);

/// Reads the members of a JSON object. Whatever is missing or of another type or range is a format_error that names
/// the file, the field, what was found, what was wanted and what to do. Does not own the object.
class json_fields {
 public:
  template <typename Value>
  using names_of = std::initializer_list<std::pair<Value, const char*>>;

  /// where and remedy: the file and what to do, for messages.
  json_fields(const nlohmann::ordered_json& object, std::string where, std::string_view remedy);

  /// A whole number in [0, max].
  template <typename Number>
  Number number(std::string_view name, Number max = std::numeric_limits<Number>::max()) const {
    return static_cast<Number>(number_up_to(name, max));
  }
  bool boolean(std::string_view name) const;
  const std::string& text(std::string_view name) const;

  /// A whole number in decimal digits: JSON numbers of 64 bits lose digits in readers that keep them as doubles.
  std::uint64_t number_in_text(std::string_view name) const;
  /// Eight lower-case hexadecimal digits.
  std::uint32_t checksum(std::string_view name) const;

  template <typename Value>
  Value one_of(std::string_view name, const names_of<Value>& names) const {
    std::string wanted;
    for (const auto& [value, candidate] : names) {
      if (text(name) == candidate) return value;
      wanted += (wanted.empty() ? "" : " or ") + std::string(candidate);
    }
    fail_at(name, wanted);
  }

  json_fields object(std::string_view name) const;
  /// Element i of an array of objects.
  json_fields element(std::string_view name, std::size_t i) const;
  const nlohmann::ordered_json& array(std::string_view name) const;
  bool contains(std::string_view name) const;

  [[noreturn]] void fail(const std::string& what) const;
  /// Says what the member is, too.
  [[noreturn]] void fail_at(std::string_view name, std::string_view wanted) const;

 private:
  const nlohmann::ordered_json& at(std::string_view name) const;
  std::uint64_t number_up_to(std::string_view name, std::uint64_t max) const;

  const nlohmann::ordered_json& object_;
  std::string where_;
  std::string remedy_;
};

}  // namespace negpipe::support
