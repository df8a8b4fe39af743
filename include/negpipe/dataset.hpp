// A prepared dataset: users' training positives and held-out items, by dense ids, and the ids they stand for.
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

/// The original ids of users or items, by dense number: 64-bit integers, or text when any id is not one. A view: the
/// arrays must outlive it, as those of a dataset do while a copy of it lives.
class raw_ids {
 public:
  explicit raw_ids(std::span<const std::int64_t> numbers) : numbers_(numbers), is_text_(false) {}
  /// Text i is bytes[offsets[i] .. offsets[i + 1]): offsets has one element more than there are ids, ascends from 0 and
  /// ends with bytes.size(). Not checked here; dataset checks it.
  raw_ids(std::span<const std::int64_t> offsets, std::span<const char> bytes)
      : numbers_(offsets), bytes_(bytes), is_text_(true) {}

  bool is_text() const { return is_text_; }
  std::size_t size() const { return is_text_ ? numbers_.size() - 1 : numbers_.size(); }
  /// The id as it was written in the ratings, i < size(). Numbers are printed in decimal, without leading zeros.
  std::string to_string(std::size_t i) const;
  std::span<const std::int64_t> numbers_or_offsets() const { return numbers_; }  ///< [size], or [size + 1] for text
  std::span<const char> bytes() const { return bytes_; }                         ///< all text; empty for numbers

 private:
  std::span<const std::int64_t> numbers_;
  std::span<const char> bytes_;
  bool is_text_;
};

/// How a dataset came to be; recorded in dataset.json.
struct dataset_origin {
  std::string source;             ///< file name of the ratings, or "synth"
  std::string source_digest;      ///< MD5 of the source's bytes, hexadecimal
  std::string options;            ///< the options that shaped it, as a JSON object
  std::string ties = "file";      ///< "file" or "shuffled"
  std::uint64_t seed = 0;         ///< used by ties == "shuffled" and by synth
  std::uint64_t row_count = 0;    ///< rows read
};

/// The arrays a dataset is made of, owned. See dataset for their meaning.
struct dataset_arrays {
  std::vector<std::int64_t> user_offsets;
  std::vector<std::int32_t> positive_items;
  std::vector<std::int32_t> heldout_items;
  std::variant<std::vector<std::int64_t>, std::vector<std::string>> user_ids;
  std::variant<std::vector<std::int64_t>, std::vector<std::string>> item_ids;
};

/// An immutable dataset. Copies share the arrays; any number of threads may read them.
///
/// Users are 0 .. user_count()-1, items 0 .. item_count()-1. User u's training positives are
/// positive_items()[user_offsets()[u] .. user_offsets()[u + 1]), ascending and distinct; heldout_items()[u] is not
/// among them.
class dataset {
 public:
  /// Takes arrays over after checking them as load does. Throws format_error (which array, what was found and wanted).
  dataset(dataset_arrays arrays, dataset_origin origin);

  std::int32_t user_count() const { return static_cast<std::int32_t>(heldout_items_.size()); }
  std::int32_t item_count() const { return static_cast<std::int32_t>(item_ids_.size()); }
  std::uint64_t positive_count() const { return positive_items_.size(); }

  std::span<const std::int64_t> user_offsets() const { return user_offsets_; }      ///< [user_count + 1]
  std::span<const std::int32_t> positive_items() const { return positive_items_; }  ///< [positive_count]
  std::span<const std::int32_t> heldout_items() const { return heldout_items_; }    ///< [user_count]
  const raw_ids& user_ids() const { return user_ids_; }
  const raw_ids& item_ids() const { return item_ids_; }
  const dataset_origin& origin() const { return origin_; }
  /// A digest of counts and training arrays, hexadecimal: equal digests mean equal outputs.
  const std::string& digest() const { return digest_; }
  /// The folder that it was loaded from, from the root on; empty for arrays in memory.
  const std::filesystem::path& folder() const;

  /// Throws what save would throw for what is at the folder's path, before the work of making a dataset; and
  /// option_error if the file kept, which the same run reads or writes, lies in the folder.
  static void check_path(const std::filesystem::path& folder, bool replace = false,
                         const std::filesystem::path& kept = {});
  /// Writes the folder under another name and renames it when it is whole on disk. With replace it may replace an empty
  /// folder or a dataset, which must hold nothing but the files that its dataset.json lists, and which is swapped for
  /// the new one in one step where the file system can. Never the working directory or one above it, nor a mount point
  /// or a folder that holds one. Throws option_error for anything else at the path, also when it has come meanwhile;
  /// io_error.
  void save(const std::filesystem::path& folder, bool replace = false) const;
  /// Opens a folder by reading its arrays into memory: what happens to the files later changes nothing. Checks version,
  /// shapes, ranges, order and checksums. Throws format_error or io_error.
  static dataset load(const std::filesystem::path& folder);

 private:
  struct storage;
  explicit dataset(std::shared_ptr<const storage> owner);

  std::shared_ptr<const storage> owner_;
  std::span<const std::int64_t> user_offsets_;
  std::span<const std::int32_t> positive_items_;
  std::span<const std::int32_t> heldout_items_;
  raw_ids user_ids_;
  raw_ids item_ids_;
  dataset_origin origin_;
  std::string digest_;
};

}  // namespace negpipe
