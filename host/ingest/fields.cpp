#include "fields.hpp"

#include <fmt/format.h>

namespace negpipe::ingest {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Returns the size of the UTF-8 character at the front of a text in bytes; 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : 4;
  if (first < 0xC2 || first > 0xF4 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool beyond = (first == 0xED && byte(1) >= 0xA0) || (first == 0xF4 && byte(1) >= 0x90);
  return overlong || beyond ? 0 : length;
}

}  // namespace

bool field_cursor::next_quoted() {
  const std::size_t begin = offset_ + 1;
  std::size_t quote = line_.find('"', begin);
  bool doubled = false;
  while (quote != std::string_view::npos && quote + 1 < line_.size() && line_[quote + 1] == '"') {
    doubled = true;
    quote = line_.find('"', quote + 2);
  }
  const auto ends_field = [&](char c) { return c == mark_ || (by_ == separator::spaces && c == '\t'); };
  broken_quotes_ = quote == std::string_view::npos || (quote + 1 < line_.size() && !ends_field(line_[quote + 1]));
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

bool field_cursor::next_by_spaces() {
  while (offset_ < line_.size() && is_blank(line_[offset_])) ++offset_;
  if (offset_ >= line_.size()) return false;
  column_ = offset_;
  if (quotes_ && line_[offset_] == '"') return next_quoted();
  std::size_t end = offset_;
  while (end < line_.size() && !is_blank(line_[end])) ++end;
  text_ = line_.substr(offset_, end - offset_);
  finish(end);
  return true;
}

std::size_t row_length(std::string_view text, field_syntax syntax) {
  const char mark = static_cast<char>(syntax.by);
  bool field_begins = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') return i + 1;
    if (syntax.quotes && field_begins && text[i] == '"') {
      std::size_t quote = text.find('"', i + 1);
      while (quote != std::string_view::npos && quote + 1 < text.size() && text[quote + 1] == '"') {
        quote = text.find('"', quote + 2);
      }
      if (quote == std::string_view::npos) return quote;
      i = quote;
      field_begins = false;
      continue;
    }
    field_begins = text[i] == mark || (syntax.by == separator::spaces && text[i] == '\t');
  }
  return std::string_view::npos;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t limit = 60;
  std::string shown = "\"";
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t length = utf8_length(text.substr(i));
    if (i + (length == 0 ? 1 : length) > limit) break;
    const auto byte = static_cast<unsigned char>(text[i]);
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      shown += fmt::format("\\x{:02x}", byte);
      ++i;
    } else {
      shown += text.substr(i, length);
      i += length;
    }
  }
  return shown + (i < text.size() ? "...\"" : "\"");
}

}  // namespace negpipe::ingest
