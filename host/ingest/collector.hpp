// Joins parsed blocks, in order, to the columns of all ratings.
#pragma once

#include <cstdint>
#include <string>

#include "ratings.hpp"
#include "row_parser.hpp"

namespace negpipe::ingest {

/// Appends blocks in the order of the file, so that ids are numbered by first appearance and the first wrong line is
/// reported. Not thread-safe.
class collector {
 public:
  /// spool: takes the rows, unless null.
  collector(id_kind user_kind, id_kind item_kind, row_spool* spool = nullptr) : spool_(spool) {
    result_.user_ids = id_dictionary(user_kind);
    result_.item_ids = id_dictionary(item_kind);
  }

  /// Starts a file, or columns in memory. lines_before is the number of lines before its first row.
  void begin_part(const std::string& name, row_locations::unit lines, std::uint64_t lines_before);

  /// Allocates memory for more rows, of a number that is known.
  void reserve(std::uint64_t rows, bool with_times);

  /// Appends a block. Returns why it stopped, if parsing may start again with other kinds of ids. Throws input_error
  /// for a block that stopped at an error.
  parse_stop::reason append(const parsed_block& block);

  /// Return whether a column of text has had an id so far that is not a number.
  bool text_users() const { return text_users_; }
  bool text_items() const { return text_items_; }
  /// Returns the message for the last stop: location and reason.
  const std::string& stop_message() const { return stop_message_; }

  /// Writes the numbers of users or items so far as text, which later blocks have.
  void make_users_text() { result_.user_ids = result_.user_ids.as_text(); }
  void make_items_text() { result_.item_ids = result_.item_ids.as_text(); }

  /// Moves the rows to the spool if they are many.
  void spool_rows();
  /// Moves the remaining rows to the spool if it is needed.
  void finish();

  /// Returns the number of rows so far.
  std::uint64_t row_count() const;
  ratings& result() { return result_; }
  const ratings& result() const { return result_; }

 private:
  row_spool* spool_;
  std::string part_;
  row_locations::unit lines_ = row_locations::unit::line;
  std::uint64_t lines_before_ = 0;  // lines before the block that is appended next
  bool text_users_ = false;
  bool text_items_ = false;
  std::string stop_message_;
  ratings result_;
};

}  // namespace negpipe::ingest
