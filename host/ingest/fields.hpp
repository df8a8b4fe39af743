// Splits a row of separated values into fields.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace negpipe::ingest {

/// Separator of the fields of a line: a character, or one of two special values.
enum class separator : unsigned char {
  double_colon = 1,  ///< "::", as in MovieLens' .dat; fields are never quoted
  comma = ',',
  semicolon = ';',
  tab = '\t',
  pipe = '|',
  spaces = ' ',  ///< runs of spaces and tabs; those at the ends of a line are ignored
};

/// Separator and quoting of a table.
struct field_syntax {
  separator by = separator::comma;
  bool quotes = true;  ///< fields may be quoted as in RFC 4180; never true for double_colon
};

/// Iterates over the fields of one row, without its line end. A field is quoted if its first character is a quote. It
/// ends at the next quote that is not doubled, and a separator or the end of the row must follow.
class field_cursor {
 public:
  field_cursor(std::string_view line, field_syntax syntax)
      : line_(line), by_(syntax.by), mark_(static_cast<char>(syntax.by)), quotes_(syntax.quotes) {}

  /// Moves to the next field. Returns false if there is none, or if its quotes are wrong (see broken_quotes()).
  bool next();

  /// Returns the current field. Valid until the next call of next().
  std::string_view text() const { return text_; }
  /// Returns the 1-based byte offset of the current field in the line.
  std::size_t column() const { return column_ + 1; }
  bool broken_quotes() const { return broken_quotes_; }

 private:
  bool next_quoted();
  bool next_by_spaces();
  void finish(std::size_t end);

  std::string_view line_;
  separator by_;
  char mark_;
  bool quotes_;
  std::size_t offset_ = 0;  // of the next field; beyond the end if no field is left
  std::size_t column_ = 0;
  std::string_view text_;
  std::string unquoted_;  // a field with doubled quotes, unquoted
  bool broken_quotes_ = false;
};

/// Returns the length of the first row of a text with its line end; npos if no line end is outside of quotes. Quoted
/// fields may contain line ends.
std::size_t row_length(std::string_view text, field_syntax syntax);

/// Returns a text in quotes for a message. Long texts are cut at a character; control characters and bytes that are not
/// UTF-8 become escapes such as \xe9.
std::string in_quotes(std::string_view text);

/// Returns a text without leading and trailing spaces.
inline std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

inline void field_cursor::finish(std::size_t end) {
  const std::size_t width = by_ == separator::double_colon ? 2 : 1;
  offset_ = end < line_.size() ? end + width : line_.size() + 1;
}

inline bool field_cursor::next() {
  if (offset_ > line_.size()) return false;
  if (by_ == separator::spaces) return next_by_spaces();
  column_ = offset_;
  std::size_t end = offset_;
  if (by_ == separator::double_colon) {
    end = line_.find("::", offset_);
    if (end == std::string_view::npos) end = line_.size();
  } else {
    if (quotes_ && offset_ < line_.size() && line_[offset_] == '"') return next_quoted();
    while (end < line_.size() && line_[end] != mark_) ++end;
  }
  text_ = line_.substr(offset_, end - offset_);
  finish(end);
  return true;
}

}  // namespace negpipe::ingest
