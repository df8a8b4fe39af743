// A dataset folder in shards, of which a process loads some, and the seeds of their runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "negpipe/dataset.hpp"

namespace negpipe {

/// A dataset folder in shards, opened: what its dataset.json says, and no array. Immutable, thread-safe; copies share.
///
/// Opening takes time in proportion to the number of shards, and loading a shard in proportion to its size. Every byte
/// of a shard is checked each time it is loaded, against the dataset.json that was opened.
class sharded_dataset {
 public:
  /// Reads dataset.json. Throws option_error for a folder without shards, format_error, io_error.
  /// - map_from_bytes: as in dataset::load(), of a whole array.
  explicit sharded_dataset(const std::filesystem::path& folder,
                           std::uint64_t map_from_bytes = default_map_from_bytes);

  std::uint32_t shard_count() const;
  std::int32_t user_count() const;
  std::int32_t item_count() const;
  std::uint64_t positive_count() const;
  /// Returns [shard_count] the training positives of each shard.
  std::span<const std::uint64_t> positive_counts() const;
  /// Returns [shard_count + 1] the number of each shard's first user, and user_count().
  std::span<const std::int32_t> first_users() const;
  /// Returns the digest of the whole dataset.
  const std::string& digest() const;
  /// Returns the absolute path.
  const std::filesystem::path& folder() const;

  /// Reads a shard as a dataset: all items, and the shard's users, who are numbered from 0.
  /// - Makes the checks of dataset::load(). Opens no file of other shards. Item ids are read by the first call that
  ///   succeeds, and shared.
  /// - The digest of a shard is computed when it is asked for.
  /// - Throws option_error for a shard that does not exist or has no training positives; format_error, also if another
  ///   dataset has replaced the folder; io_error.
  dataset load(std::uint32_t shard) const;

  /// Loads one shard after the other and returns [item_count] the number of users with each item among their training
  /// positives. Throws what load() throws, but leaves out shards without training positives.
  std::vector<std::uint64_t> count_items() const;

 private:
  struct opened;
  std::shared_ptr<const opened> opened_;
};

/// Returns the seed of one shard of a dataset in shards, for runs whose processes each load some of the shards.
///
/// A shard is a dataset (sharded_dataset::load). Its batches are those of a sampler with this seed. Batch b of the run
/// is batch b of each shard, in the order of the shards, so it does not depend on which process has which shard.
/// Distinct shards, and runs with other numbers of shards, have unrelated seeds: the first eight bytes, little-endian,
/// of the MD5 of the text "negpipe shard SHARD of SHARDS, seed SEED".
std::uint64_t shard_seed(std::uint64_t seed, std::uint32_t shard, std::uint32_t shard_count);

}  // namespace negpipe
