// A dataset's folder that is complete, but not published.
#pragma once

#include <cstdint>
#include <filesystem>

#include "negpipe/dataset.hpp"
#include "staging.hpp"

namespace negpipe {

/// Writes the folder under a hidden name beside its path, synced. Removed unless published.
class staged_dataset {
 public:
  /// Throws what dataset::save() throws.
  staged_dataset(const dataset& data, const std::filesystem::path& folder, bool replace,
                 std::uint32_t shard_count = 0);

  /// Renames the folder. If this throws, it is not published.
  void take_path() { staged_.publish_unsynced(); }
  /// Syncs the rename, and removes the replaced folder.
  void settle() { staged_.settle(); }

 private:
  support::staged_folder staged_;
};

}  // namespace negpipe
