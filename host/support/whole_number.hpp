// Whole numbers from text.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

namespace negpipe::support {

/// Returns the number that the text spells: digits only, no sign or space. Empty for any other text, and for a number
/// that does not fit the type.
template <std::unsigned_integral Number>
std::optional<Number> whole_number(std::string_view text, int base = 10) {
  Number value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (failure != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

}  // namespace negpipe::support
