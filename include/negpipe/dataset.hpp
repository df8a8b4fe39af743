// A prepared dataset: users' training positives and held-out items by dense id, and the original ids.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace negpipe {

/// The original ids of users or items, indexed by dense id: 64-bit integers, or text if any id is not an integer.
/// Non-owning: the arrays must outlive the view; those of a dataset live as long as any copy of it.
class raw_ids {
 public:
  explicit raw_ids(std::span<const std::int64_t> numbers) : numbers_(numbers), is_text_(false) {}
  /// Text i is bytes[offsets[i] .. offsets[i + 1]). offsets: size() + 1 values, ascending from 0 to bytes.size();
  /// checked by dataset, not here.
  raw_ids(std::span<const std::int64_t> offsets, std::span<const char> bytes)
      : numbers_(offsets), bytes_(bytes), is_text_(true) {}

  bool is_text() const { return is_text_; }
  std::size_t size() const { return is_text_ ? numbers_.size() - 1 : numbers_.size(); }
  /// Returns id i as written in the ratings, i < size(). Numbers are decimal, without leading zeros.
  std::string to_string(std::size_t i) const;
  std::span<const std::int64_t> numbers_or_offsets() const { return numbers_; }  ///< [size], or [size + 1] for text
  std::span<const char> bytes() const { return bytes_; }                         ///< all text; empty for numbers

 private:
  std::span<const std::int64_t> numbers_;
  std::span<const char> bytes_;
  bool is_text_;
};

/// Items of every user as compressed sparse rows (CSR): those of user u are items[offsets[u] .. offsets[u + 1]),
/// ascending and distinct. Non-owning.
struct user_items {
  std::span<const std::int64_t> offsets;  ///< [user_count + 1]; empty if there is no such set
  std::span<const std::int32_t> items;

  std::span<const std::int32_t> of(std::size_t user) const {
    const auto begin = static_cast<std::size_t>(offsets[user]);
    return items.subspan(begin, static_cast<std::size_t>(offsets[user + 1]) - begin);
  }
};

/// The sets of held-out items. Their items are never trained on.
enum class heldout_set : std::uint8_t { test, validation };

/// The origin of a dataset, as recorded in dataset.json.
struct dataset_origin {
  std::string source;             ///< file name of the ratings, or "synth"
  std::string source_digest;      ///< MD5 of the source's bytes, hexadecimal
  std::string options;            ///< the options of prepare or synth, as a JSON object
  std::string ties = "file";      ///< "file" or "shuffled"
  std::uint64_t seed = 0;         ///< used by ties == "shuffled" and by synth
  std::uint64_t row_count = 0;    ///< rows read
};

/// The arrays of a dataset, owned. dataset documents their meaning.
struct dataset_arrays {
  std::vector<std::int64_t> user_offsets;
  std::vector<std::int32_t> positive_items;
  std::vector<std::int32_t> heldout_items;  ///< the test set: one item per user, unless test_offsets are given
  std::variant<std::vector<std::int64_t>, std::vector<std::string>> user_ids;
  std::variant<std::vector<std::int64_t>, std::vector<std::string>> item_ids;
  std::vector<std::int64_t> test_offsets = {};        ///< rows of heldout_items; empty: one item per user
  std::vector<std::int64_t> validation_offsets = {};  ///< empty: no validation set
  std::vector<std::int32_t> validation_items = {};
  /// Used instead of positive_items unless empty: memory that lives as long as its owner.
  std::span<const std::int32_t> positives_elsewhere = {};
  std::shared_ptr<const void> owner = {};
};

/// Size from which load() maps a file, in bytes. Smaller files are read into memory on huge pages, which is faster.
inline constexpr std::uint64_t default_map_from_bytes = std::uint64_t{1} << 30;

/// The most shards of a dataset folder.
inline constexpr std::uint32_t max_shards = 10'000;

/// A dataset. Immutable and thread-safe; copies share the arrays.
///
/// Users are 0 .. user_count()-1, items 0 .. item_count()-1. User u's training positives are
/// positive_items()[user_offsets()[u] .. user_offsets()[u + 1]), ascending and distinct. Test and validation items have
/// the same form. The three sets of a user have no item in common.
class dataset {
 public:
  /// Takes the arrays over, checked as by load(). Throws format_error: which array, what was found and wanted.
  dataset(dataset_arrays given, dataset_origin origin);

  std::int32_t user_count() const { return static_cast<std::int32_t>(user_ids_.size()); }
  std::int32_t item_count() const { return static_cast<std::int32_t>(item_ids_.size()); }
  std::uint64_t positive_count() const { return positive_items_.size(); }

  std::span<const std::int64_t> user_offsets() const { return user_offsets_; }      ///< [user_count + 1]
  std::span<const std::int32_t> positive_items() const { return positive_items_; }  ///< [positive_count]
  /// Returns the items of a held-out set. The validation set may be absent: then its offsets are empty.
  const user_items& heldout(heldout_set set) const { return set == heldout_set::test ? test_ : validation_; }
  bool has_validation() const { return !validation_.offsets.empty(); }
  /// Returns [user_count] the test item of each user, or -1 for a user who has none or several.
  std::span<const std::int32_t> heldout_items() const { return heldout_items_; }
  const raw_ids& user_ids() const { return user_ids_; }
  const raw_ids& item_ids() const { return item_ids_; }
  const dataset_origin& origin() const { return origin_; }
  /// Returns a hexadecimal digest of the counts, training positives and held-out items: equal digests mean equal
  /// outputs.
  const std::string& digest() const;
  /// Returns the absolute path of the folder that load() read; empty for arrays in memory.
  const std::filesystem::path& folder() const;
  /// Returns the number of user 0 in the whole dataset: not 0 for a shard (sharded_dataset).
  std::int32_t first_user() const;

  /// Checks early, before the dataset is made, that save() may write to the folder.
  /// - kept: a file that the same run reads or writes; it must not lie in the folder.
  /// - Throws what save() would throw for the folder's path, and option_error if kept lies in the folder.
  static void check_path(const std::filesystem::path& folder, bool replace = false,
                         const std::filesystem::path& kept = {});
  /// Writes the dataset to a hidden sibling folder and renames it once it is complete on disk.
  /// - replace: allows replacing an empty folder, or a dataset that holds only the files that its dataset.json lists.
  ///   The old folder is exchanged for the new one in one step where the file system can.
  /// - Never replaces the working directory or a parent of it, a mount point, or a folder that contains one.
  /// - shard_count: if not 0, each array of users is cut into that many files, by ranges of users with about the same
  ///   number of positives. Loading gives the same dataset.
  /// - Throws option_error if anything else exists at the path, even if it appeared during the call, and for more than
  ///   max_shards; io_error.
  void save(const std::filesystem::path& folder, bool replace = false, std::uint32_t shard_count = 0) const;
  /// Makes a dataset of shards that other programs wrote, in place: checks all of it, writes dataset.json, and renames
  /// the folder of the shards to `folder`, which must be on the same file system. Copies nothing. docs/scale.md has the
  /// format of shards.json and of the files.
  /// - replace: as in save().
  /// - May be called again after a failure or a kill, unless `folder` has appeared: then it is the dataset.
  /// - Throws format_error, io_error, and option_error: as save() does, for files that shards.json does not list, for
  ///   symbolic links, for a `folder` inside `shards` or on another file system, and for a dataset.
  static void join(const std::filesystem::path& shards, const std::filesystem::path& folder, bool replace = false);
  /// Reads a folder's arrays into memory: later changes of its files have no effect. Reads formats 1 to 3. Checks
  /// version, shapes, ranges, order and checksums. Throws format_error, io_error.
  /// - Files of at least map_from_bytes are mapped instead: processes share their memory, and a dataset may exceed the
  ///   machine's. They must not be changed in place: check_unchanged() detects it, a truncated one ends in SIGBUS.
  ///   Replacing or removing the folder is harmless.
  /// - The shards of an array are at consecutive addresses: of a mapped array, only the pages that two shards share are
  ///   copied.
  static dataset load(const std::filesystem::path& folder, std::uint64_t map_from_bytes = default_map_from_bytes);
  /// Throws io_error if a mapped file was changed since load(). Runs call it before they publish.
  void check_unchanged() const;

 private:
  struct storage;
  struct stored;
  friend class sharded_dataset;
  explicit dataset(std::shared_ptr<storage> made);

  std::shared_ptr<const storage> owner_;
  std::span<const std::int64_t> user_offsets_;
  std::span<const std::int32_t> positive_items_;
  user_items test_;
  user_items validation_;
  std::span<const std::int32_t> heldout_items_;
  raw_ids user_ids_;
  raw_ids item_ids_;
  dataset_origin origin_;
};

}  // namespace negpipe
