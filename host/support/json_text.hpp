// Reads JSON files from untrusted sources: parsing with limits, and access field by field.
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

/// Limit of nesting of arrays and objects; negpipe's own files have at most five levels.
inline constexpr int max_json_levels = 32;
/// Limit of members of an object: ordered_json searches names linearly.
inline constexpr std::size_t max_json_members = 1000;

/// Parses UTF-8 text. Object members keep their order. The value is shallow enough for the library's recursion.
/// Returns a discarded value (is_discarded()) for invalid JSON, a byte order mark, a NUL byte, nesting deeper than
/// max_json_levels, and an object with more than max_json_members or with duplicate members.
nlohmann::ordered_json parse_json(std::string_view text);

/// Parses a file of at most max_json_bytes. Throws io_error, and format_error with the path and the remedy.
nlohmann::ordered_json read_json(const std::filesystem::path& path, std::string_view remedy);

/// Reads the members of a JSON object. Throws format_error if a member is missing or has another type or range: it
/// names the file, the field, what was found, what was wanted and what to do. Non-owning.
class json_fields {
 public:
  template <typename Value>
  using names_of = std::initializer_list<std::pair<Value, const char*>>;

  /// where and remedy: the file, and what to do, for messages.
  json_fields(const nlohmann::ordered_json& object, std::string where, std::string_view remedy);

  /// Returns a whole number in [0, max].
  template <typename Number>
  Number number(std::string_view name, Number max = std::numeric_limits<Number>::max()) const {
    return static_cast<Number>(number_up_to(name, max));
  }
  double real(std::string_view name) const;
  bool boolean(std::string_view name) const;
  const std::string& text(std::string_view name) const;

  /// Returns a whole number written as decimal digits in a string: readers that use doubles lose digits of 64-bit
  /// numbers.
  std::uint64_t number_in_text(std::string_view name) const;
  /// Returns number_in_text, or a JSON number: dataset.json of older versions holds its seed as one.
  std::uint64_t number_or_text(std::string_view name) const;
  /// Returns a number written as eight lower-case hexadecimal digits.
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
  /// Returns element i of an array of objects.
  json_fields element(std::string_view name, std::size_t i) const;
  const nlohmann::ordered_json& array(std::string_view name) const;
  bool contains(std::string_view name) const;

  [[noreturn]] void fail(const std::string& what) const;
  /// Throws format_error that also shows the value of the member.
  [[noreturn]] void fail_at(std::string_view name, std::string_view wanted) const;

 private:
  const nlohmann::ordered_json& at(std::string_view name) const;
  std::uint64_t number_up_to(std::string_view name, std::uint64_t max) const;

  const nlohmann::ordered_json& object_;
  std::string where_;
  std::string remedy_;
};

}  // namespace negpipe::support
