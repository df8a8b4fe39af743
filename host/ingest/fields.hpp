// A line of separated values, field by field.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace negpipe::ingest {

/// How the fields of a line are separated: a character, or one of the two special values.
enum class separator : unsigned char {
  double_colon = 1,  ///< "::", as in MovieLens' .dat; fields are never quoted
  comma = ',',
  semicolon = ';',
  tab = '\t',
  pipe = '|',
  spaces = ' ',  ///< runs of spaces and tabs; those at the ends of a line separate nothing
};

/// Separator and quoting of a table.
struct field_syntax {
  separator by = separator::comma;
  bool quotes = true;  ///< fields may be quoted as in RFC 4180; never true for double_colon
};

/// Walks over the fields of one row (without its line end). A field is quoted when its first character is a quote; it
/// ends at the next quote that is not doubled, which a separator or the end of the row must follow.
class field_cursor {
 public:
  field_cursor(std::string_view line, field_syntax syntax)
      : line_(line), by_(syntax.by), mark_(static_cast<char>(syntax.by)), quotes_(syntax.quotes) {}

  /// Takes the next field; false when there is none left or its quotes are wrong (see broken_quotes).
  bool next();

  /// The field just taken; valid until the next one is.
  std::string_view text() const { return text_; }
  /// Where in the line it begins, in bytes from 1.
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
  std::size_t offset_ = 0;  // where the next field begins; past the end: no field is left
  std::size_t column_ = 0;
  std::string_view text_;
  std::string unquoted_;  // a field that holds doubled quotes
  bool broken_quotes_ = false;
};

/// Length of the first row of a text, its line end included; quoted fields may hold line ends. npos when no line end
/// lies outside of quotes.
std::size_t row_length(std::string_view text, field_syntax syntax);

/// Text for a message: in quotes, cut at a character's border where it is long; control characters and bytes that are
/// not UTF-8 become escapes such as \xe9.
std::string in_quotes(std::string_view text);

/// Text without spaces at its ends.
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
