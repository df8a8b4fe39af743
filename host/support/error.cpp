#include "negpipe/error.hpp"

#include <utility>

namespace negpipe {

std::string printable(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string shown;
  shown.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_control = (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
    if (is_control) {
      shown += "\\x";
      shown += digits[byte / 16];
      shown += digits[byte % 16];
    } else {
      shown += c;
    }
  }
  return shown;
}

error::error(const std::string& message) : std::runtime_error(printable(message)) {}

error::error(std::string field, const std::string& message)
    : std::runtime_error(printable(field + ": " + message)), field_(std::move(field)) {}

}  // namespace negpipe
