// Parsed blocks, in order, to the columns of all ratings.
#pragma once

#include <cstdint>
#include <string>

#include "ratings.hpp"
#include "row_parser.hpp"

namespace negpipe::ingest {

/// Appends block after block, so that ids are numbered by first appearance and the first line that is wrong is the one
/// reported.
class collector {
 public:
  collector(id_kind user_kind, id_kind item_kind) {
    result_.user_ids = id_dictionary(user_kind);
    result_.item_ids = id_dictionary(item_kind);
  }

  /// Begins a file, or columns in memory; its first row stands after lines_before lines.
  void begin_part(const std::string& name, row_locations::unit lines, std::uint64_t lines_before);

  /// Returns why the block stopped, if parsing may begin again with other kinds of ids. Throws input_error for a block
  /// that stopped at an error.
  parse_stop::reason append(const parsed_block& block);

  /// Whether ids that are no numbers have been met so far, in columns of text.
  bool text_users() const { return text_users_; }
  bool text_items() const { return text_items_; }
  /// Where the last block stopped, and why.
  const std::string& complaint() const { return complaint_; }

  ratings& result() { return result_; }

 private:
  std::string part_;
  row_locations::unit lines_ = row_locations::unit::line;
  std::uint64_t lines_before_ = 0;  // lines before the block that is appended next
  bool text_users_ = false;
  bool text_items_ = false;
  std::string complaint_;
  ratings result_;
};

}  // namespace negpipe::ingest
