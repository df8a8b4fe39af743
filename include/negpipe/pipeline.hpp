// Whole runs: writes cycles and evaluation data to record files, and verifies them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"
#include "negpipe/sampler.hpp"
#include "negpipe/tfrecord.hpp"

namespace negpipe {

/// The most record files of a cycle: all are open at once.
inline constexpr std::uint32_t max_readers = 65'536;

/// Part `index` of `count`: the record files f of every folder with f mod count == index.
struct run_part {
  std::uint32_t index = 0;
  std::uint32_t count = 1;
};

struct generate_options {
  std::filesystem::path out;
  std::uint64_t first_cycle = 0;
  std::uint64_t cycle_count = 1;
  std::uint32_t readers = 4;                    ///< record files per cycle (R), 1 to max_readers
  compression_type compression = compression_type::none;
  bool replace = false;                         ///< replace empty folders, and record folders (with a ready.json)
  std::optional<run_part> part = {};            ///< make only this part, for publish()
};

/// A folder that generate published.
struct published_folder {
  std::filesystem::path path;
  std::uint64_t point_count = 0;  ///< padding included
  std::uint64_t byte_count = 0;
  double seconds = 0;
  std::uint64_t kept_file_count = 0;  ///< of a part: files that an earlier run of it had made
  bool was_published = false;         ///< of a part: the run is published already, so nothing was written
};

struct generate_report {
  std::vector<published_folder> cycles;
  std::optional<published_folder> evaluation;
};

/// Checks early, before the sampler is made: cycle numbers, readers, and that existing folders may be replaced.
/// generate makes the same checks first.
/// - writes_evaluation: whether the sampler will have evaluation batches.
/// - Throws option_error, io_error.
void check_generate(const dataset& data, const generate_options& options, bool writes_evaluation);

/// Writes OUT/training_epochs/cycle_NNNNN, and OUT/eval_data if the sampler has evaluation batches. Each folder is
/// published by one rename, with ready.json written last.
/// With a part, writes that part's files to hidden folders beside them instead, and publishes nothing. Parts need
/// nothing in common but the options and OUT; a part that is run again keeps the files that are complete.
/// - control.threads: 0 means the sampler's number of threads.
/// - Throws option_error, io_error, backend_error, interrupted_error. Folders published before stay; unfinished ones
///   are removed.
generate_report generate(const sampler& source, const generate_options& options, const run_control& control = {});

/// What publish() did, or would do.
struct publish_report {
  std::vector<std::filesystem::path> published;
  std::vector<std::filesystem::path> present;  ///< folders of the run that were published before
  std::vector<std::string> missing;  ///< of check_publication(): parts and files, such as "cycle_00000: part 1/4"
};

/// Publishes the folders that all parts of a run have made: checks that every part is there and of the same run, that
/// every file has its size and every index file its content, that there are no other files, and then renames each
/// folder. Does not read the records: verify() does. The bytes are those of generate() without part.
/// - May be called again: after an interruption it continues, and does nothing once everything is published.
/// - replace: as in generate_options.
/// - Throws format_error, naming the missing parts, and publishes nothing; option_error if there are parts of several
///   runs or a folder exists already; io_error.
publish_report publish(const std::filesystem::path& out, bool replace = false);
/// Makes the checks of publish() and returns what it would publish, or everything that is missing. Changes nothing.
/// Throws what publish() throws, but not for missing parts.
publish_report check_publication(const std::filesystem::path& out, bool replace = false);

/// The backend that recomputes the points, which does not change reports, and a run's own weights.
struct verify_options {
  std::string device = "auto";                                      ///< as in sampler_options
  std::uint64_t bitset_budget = default_bitset_budget_bytes;  ///< bytes; see positives_index
  /// For training negatives that were drawn with a caller's own weights; those of popularity are computed again.
  item_weights weights = {};
  item_weights eval_weights = {};  ///< the same for evaluation negatives
  /// Read only the record files of this part, also before they are published. Guarantees about a whole cycle are then
  /// checked by comparing each batch with the sampler, but not by sums over the cycle. A cycle that an unpublished run
  /// should have is a failure if it is missing; parts of several runs are an option_error.
  std::optional<run_part> part = {};
};

/// A failed check: where, what was found and what was wanted.
struct verification_failure {
  std::string file;
  std::string message;
};

struct verify_report {
  std::uint64_t cycle_count = 0;
  std::uint64_t file_count = 0;  ///< record files that were read; 0 if a part has none
  std::uint64_t record_count = 0;
  std::uint64_t point_count = 0;
  bool has_evaluation = false;
  std::uint64_t failure_count = 0;
  std::vector<verification_failure> failures;  ///< the first few
};

/// Reads every record below a folder that generate wrote and checks it against the format and the dataset, recomputing
/// every batch from the recorded seed. Batches are compared whole; only a folder with a difference is read again, value
/// by value, to describe it. Failed checks are reported, not thrown. Progress is in points.
/// Throws format_error if nothing can be checked (no records below the folder, records of another dataset or stream
/// version); option_error for records drawn with other weights than the given ones, option_error and backend_error for
/// the device; io_error, interrupted_error.
verify_report verify(const dataset& data, const std::filesystem::path& folder, const run_control& control = {},
                     const verify_options& options = {});

/// Hashes of one record folder, as the 2018 pipeline printed them.
struct record_hash {
  std::string name;         ///< "cycle_00000", "eval_data"
  std::uint64_t batch_count = 0;
  std::string all_batches;  ///< MD5 over users and items of every batch in order, hexadecimal; empty without batches
  std::string first_batch;  ///< MD5 of the first batch alone; empty without batches
};

/// Returns one entry per cycle, ascending, then one for the evaluation data if it exists. Progress is in batches.
/// Throws format_error for a folder without records, an unfinished folder, missing files or records that ready.json
/// lists, a later stream version than this library's, and damage; io_error, interrupted_error.
/// - part: hash only the record files of this part, also before they are published, as verify_options::part;
///   first_batch is that of its first file that has one. A part may have no batches of a folder.
std::vector<record_hash> hash_records(const std::filesystem::path& folder, const run_control& control = {},
                                      const std::optional<run_part>& part = {});

}  // namespace negpipe
