// Lists of items: one line per user with the user and its items, as in the files of LightGCN and gSASRec.
#pragma once

#include <string_view>

#include "block_builder.hpp"
#include "ratings_format.hpp"

namespace negpipe::ingest {

/// Parses lines and adds one row per item. A user without items has no row.
void parse_item_lists(const ratings_format& format, std::string_view text, block_builder& out);

}  // namespace negpipe::ingest
