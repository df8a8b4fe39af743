// The storage of a dataset: its own arrays, or the contents of files.
#pragma once

#include <string>
#include <vector>

#include "files.hpp"
#include "negpipe/dataset.hpp"

namespace negpipe {

/// Raw ids in memory: numbers, or text with offsets.
struct owned_ids {
  std::vector<std::int64_t> numbers_or_offsets;
  std::vector<char> bytes;
  bool is_text = false;

  raw_ids view() const { return is_text ? raw_ids(numbers_or_offsets, bytes) : raw_ids(numbers_or_offsets); }
};

struct dataset::storage {
  // Owners: the vectors of a dataset made in memory, or the files of a loaded one.
  dataset_arrays arrays;
  owned_ids owned_user_ids;
  owned_ids owned_item_ids;
  std::vector<support::file_contents> contents;
  std::filesystem::path folder;

  std::span<const std::int64_t> user_offsets;
  std::span<const std::int32_t> positive_items;
  std::span<const std::int32_t> heldout_items;
  raw_ids user_ids{std::span<const std::int64_t>{}};
  raw_ids item_ids{std::span<const std::int64_t>{}};
  dataset_origin origin;
  std::string digest;
};

/// Location of an array, for messages: the folder's path with a slash, or nothing for arrays in memory.
struct array_location {
  std::string prefix;
  std::string remedy;

  std::string operator()(std::string_view array) const { return prefix + std::string(array); }
};

/// Throws format_error unless offsets, positives, held-out items and ids form a valid dataset (see negpipe::dataset)
/// with at least one training positive.
void check_dataset(const array_location& location, std::span<const std::int64_t> user_offsets,
                   std::span<const std::int32_t> positive_items, std::span<const std::int32_t> heldout_items,
                   const raw_ids& user_ids, const raw_ids& item_ids);

/// Returns the MD5 of the counts and of the arrays that affect outputs.
std::string digest_of(std::span<const std::int64_t> user_offsets, std::span<const std::int32_t> positive_items,
                      std::span<const std::int32_t> heldout_items, std::uint64_t item_count);

}  // namespace negpipe
