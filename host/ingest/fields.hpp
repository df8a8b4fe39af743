// A line of separated values, field by field.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace negpipe::ingest {

/// How the fields of a line are set apart.
enum class separator : unsigned char {
  comma,        ///< CSV as RFC 4180 has it, quotes and all, but for line breaks within quotes
  tab,          ///< u.data; no quotes
  double_colon  ///< MovieLens' .dat; no quotes
};

/// Walks over the fields of one line (without its line end).
class field_cursor {
 public:
  field_cursor(std::string_view line, separator by) : line_(line), by_(by) {}

  /// Takes the next field; false when there is none left or its quotes are wrong (see broken_quotes).
  bool next();

  /// The field just taken; valid until the next one is.
  std::string_view text() const { return text_; }
  /// Where in the line it begins, in bytes from 1.
  std::size_t column() const { return column_ + 1; }
  bool broken_quotes() const { return broken_quotes_; }

 private:
  bool next_quoted();
  void finish(std::size_t end);

  std::string_view line_;
  separator by_;
  std::size_t place_ = 0;  // where the next field begins; past the end: no field is left
  std::size_t column_ = 0;
  std::string_view text_;
  std::string unquoted_;  // a field that holds doubled quotes
  bool broken_quotes_ = false;
};

/// Text for a message: in quotes, what is not printable as escapes, cut where it is long.
std::string in_quotes(std::string_view text);

inline void field_cursor::finish(std::size_t end) {
  const std::size_t width = by_ == separator::double_colon ? 2 : 1;
  place_ = end < line_.size() ? end + width : line_.size() + 1;
}

inline bool field_cursor::next() {
  if (place_ > line_.size()) return false;
  column_ = place_;
  std::size_t end = place_;
  if (by_ == separator::double_colon) {
    end = line_.find("::", place_);
    if (end == std::string_view::npos) end = line_.size();
  } else {
    if (by_ == separator::comma && place_ < line_.size() && line_[place_] == '"') return next_quoted();
    const char mark = by_ == separator::comma ? ',' : '\t';
    while (end < line_.size() && line_[end] != mark) ++end;
  }
  text_ = line_.substr(place_, end - place_);
  finish(end);
  return true;
}

}  // namespace negpipe::ingest
