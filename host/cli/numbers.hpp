// Whole numbers in arguments and flag files.
#pragma once

#include <charconv>
#include <string_view>
#include <system_error>

namespace negpipe::cli {

/// Removes a decimal number from the front of text. Returns false if there is none or it does not fit the type.
template <typename Number>
bool take_number(std::string_view& text, Number& number) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return failure == std::errc();
}

}  // namespace negpipe::cli
