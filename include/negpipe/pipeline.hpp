// Whole runs: cycles and evaluation data to record files, and the checks of what was written.
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

struct generate_options {
  std::filesystem::path out;
  std::uint64_t first_cycle = 0;
  std::uint64_t cycle_count = 1;
  std::uint32_t readers = 4;                    ///< R record files a cycle
  compression_type compression = compression_type::none;
  bool replace = false;                         ///< replace folders of records, which have a ready.json, and empty ones
};

/// One folder that generate published.
struct published_folder {
  std::filesystem::path path;
  std::uint64_t point_count = 0;  ///< padding included
  std::uint64_t byte_count = 0;
  double seconds = 0;
};

struct generate_report {
  std::vector<published_folder> cycles;
  std::optional<published_folder> evaluation;
};

/// Checks what can be checked before the sampler is made: cycle numbers, readers, and that no folder is in the way but
/// one that may be replaced. writes_evaluation: whether the sampler will have evaluation batches.
/// Throws option_error, io_error. generate checks the same first.
void check_generate(const dataset& data, const generate_options& options, bool writes_evaluation);

/// Writes OUT/training_epochs/cycle_NNNNN, and OUT/eval_data where the sampler has evaluation batches. Each folder is
/// published whole by rename, its ready.json written last.
/// Works with control.threads threads; 0 means as many as the sampler has. Throws option_error, io_error,
/// backend_error, interrupted_error; what was published before stays, nothing half-made is left.
generate_report generate(const sampler& source, const generate_options& options, const run_control& control = {});

/// What recomputes the points. Reports never depend on it.
struct verify_options {
  std::string device = "auto";                                      ///< as in sampler_options
  std::uint64_t bitset_budget = default_bitset_budget_bytes;  ///< bytes; see positives_index
};

/// A promise that does not hold: where, what was found and what was wanted.
struct verification_failure {
  std::string file;
  std::string message;
};

struct verify_report {
  std::uint64_t cycle_count = 0;
  std::uint64_t record_count = 0;
  std::uint64_t point_count = 0;
  bool has_evaluation = false;
  std::uint64_t failure_count = 0;
  std::vector<verification_failure> failures;  ///< the first few
};

/// Reads every record below a folder that generate wrote and checks every promise of the format and of the sampling
/// against the dataset, recomputing every batch from the recorded seed. Whole batches are compared; only a folder where
/// something differs is read again, value by value, to say what. A promise that does not hold is reported, not thrown.
/// Progress is in points.
/// Throws format_error when nothing can be said: no records below the folder, records of another dataset or stream
/// version; option_error, backend_error for the device; io_error, interrupted_error.
verify_report verify(const dataset& data, const std::filesystem::path& folder, const run_control& control = {},
                     const verify_options& options = {});

/// Hashes of one folder of records, as the pipeline of 2018 printed them.
struct record_hash {
  std::string name;         ///< "cycle_00000", "eval_data"
  std::uint64_t batch_count = 0;
  std::string all_batches;  ///< MD5 over users and items of every batch in order, hexadecimal
  std::string first_batch;  ///< the same of the first batch alone
};

/// One entry a cycle, ascending, then the evaluation data if it is there. Progress is in batches. Throws format_error
/// for a folder without records, for one that was not finished, for files or records that ready.json lists and that are
/// not there, and for damage; io_error, interrupted_error.
std::vector<record_hash> hash_records(const std::filesystem::path& folder, const run_control& control = {});

}  // namespace negpipe
