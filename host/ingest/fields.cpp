#include "fields.hpp"

#include <fmt/format.h>

namespace negpipe::ingest {

bool field_cursor::next_quoted() {
  const std::size_t begin = place_ + 1;
  std::size_t quote = line_.find('"', begin);
  bool doubled = false;
  while (quote != std::string_view::npos && quote + 1 < line_.size() && line_[quote + 1] == '"') {
    doubled = true;
    quote = line_.find('"', quote + 2);
  }
  broken_quotes_ = quote == std::string_view::npos || (quote + 1 < line_.size() && line_[quote + 1] != ',');
  if (broken_quotes_) return false;
  text_ = line_.substr(begin, quote - begin);
  if (doubled) {
    unquoted_.clear();
    for (std::size_t i = 0; i < text_.size(); ++i) {
      unquoted_ += text_[i];
      if (text_[i] == '"') ++i;
    }
    text_ = unquoted_;
  }
  finish(quote + 1);
  return true;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t limit = 60;
  std::string shown = "\"";
  for (const char c : text.substr(0, limit)) {
    const bool printable = static_cast<unsigned char>(c) >= 0x20 && c != 0x7F;
    shown += printable ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return shown + (text.size() > limit ? "...\"" : "\"");
}

}  // namespace negpipe::ingest
