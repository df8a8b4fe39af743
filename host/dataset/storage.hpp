// The storage of a dataset: its own arrays, or the contents of files.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "files.hpp"
#include "joined_files.hpp"
#include "negpipe/dataset.hpp"

namespace negpipe {

/// Raw ids in memory: numbers, or text with offsets.
struct owned_ids {
  std::vector<std::int64_t> numbers_or_offsets;
  std::vector<char> bytes;
  bool is_text = false;

  raw_ids view() const { return is_text ? raw_ids(numbers_or_offsets, bytes) : raw_ids(numbers_or_offsets); }
};

/// The arrays of a dataset, wherever they are.
struct array_views {
  std::span<const std::int64_t> user_offsets;
  std::span<const std::int32_t> positive_items;
  user_items test;
  user_items validation;  ///< empty offsets: none
  raw_ids user_ids{std::span<const std::int64_t>{}};
  raw_ids item_ids{std::span<const std::int64_t>{}};
};

struct dataset::storage {
  // Owners: the vectors of a dataset made in memory, or the files of a loaded one.
  dataset_arrays arrays;
  owned_ids owned_user_ids;
  owned_ids owned_item_ids;
  std::vector<support::file_contents> contents;
  std::vector<support::joined_files> joined;  // arrays in shards
  std::shared_ptr<const storage> items;       // of a shard: the owner of the item ids, which all shards share
  std::filesystem::path folder;
  std::int32_t first_user = 0;             // of a shard
  std::vector<std::int64_t> one_per_user;  // offsets of a test set that is given without them
  std::vector<std::int32_t> single_items;  // heldout_items, unless each user has one test item

  array_views arrays_in_use;
  dataset_origin origin;
  mutable std::string digest;  // of a shard: empty until it is asked for
  mutable std::once_flag digest_once;
};

/// Location of an array, for messages: the folder's path with a slash, or nothing for arrays in memory.
struct array_location {
  std::string prefix;
  std::string remedy;

  std::string operator()(std::string_view array) const { return prefix + std::string(array); }
};

/// Throws format_error unless the arrays form a valid dataset (see negpipe::dataset) with at least one training
/// positive.
void check_dataset(const array_location& location, const array_views& arrays);
/// The same for a shard, whose item ids were checked by check_ids().
void check_shard(const array_location& location, const array_views& arrays);
/// Throws format_error unless offsets of text ascend, and there are not too many ids.
void check_ids(const array_location& location, std::string_view array, const raw_ids& ids);

/// Returns the MD5 of the counts and of the arrays that affect outputs. Leaves out the offsets of a test set with one
/// item per user, as format 1 did.
std::string digest_of(const array_views& arrays);

/// Returns the offsets of rows of one item each: 0 .. user_count.
std::vector<std::int64_t> one_item_per_user(std::size_t user_count);

/// Returns whether each user has exactly one item.
bool has_one_item_per_user(const user_items& set);

/// Returns the item of each user, or -1 for a user who has none or several.
std::vector<std::int32_t> single_items(const user_items& set);

}  // namespace negpipe
