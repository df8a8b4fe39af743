// One published folder: a cycle of training data, or the evaluation data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "format.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/run_control.hpp"
#include "negpipe/sampler.hpp"
#include "negpipe/tfrecord.hpp"
#include "output_path.hpp"
#include "staging.hpp"

namespace negpipe {

/// Returns the names of all files in a folder of records, as its ready.json lists them. Throws format_error, io_error.
std::vector<std::string> record_files_of(const std::filesystem::path& folder);

/// A cycle or the evaluation data.
inline constexpr support::folder_kind record_folder_kind{
    "a folder of records with its ready.json", record::ready_file_name, record_files_of};

/// How folders are written, whatever they hold.
struct folder_options {
  std::filesystem::path out;     ///< the folder above training_epochs and eval_data
  std::uint32_t readers;
  compression_type compression;
  bool replace;                  ///< a folder of record_folder_kind, or an empty one
  std::filesystem::path staging{};  ///< where folders are made, which must exist then; empty: beside their path
  /// Publishes a folder that is whole and hidden; empty: staged_folder::publish().
  std::function<void(support::staged_folder&)> publish{};
};

/// Throws option_error unless there is a file to write to.
void check_readers(std::uint32_t readers);
/// Throws option_error for batches that no record can hold.
void check_records(const sampler& source);
/// Throws option_error when records would be written into the folder of their dataset, which is replaced as a whole.
void check_outside(const dataset& data, const std::filesystem::path& out);

/// OUT/training_epochs/cycle_NNNNN
std::filesystem::path cycle_folder(const std::filesystem::path& out, std::uint64_t cycle);
/// OUT/eval_data
std::filesystem::path evaluation_folder(const std::filesystem::path& out);

/// Makes a folder beside its path and publishes it by rename when it is whole on disk, its ready.json written last.
/// Works with control.threads threads; 0 means as many as the sampler has. Throws io_error, backend_error,
/// interrupted_error, option_error when the folder exists and is not to be replaced; then nothing is left behind.
published_folder write_cycle(const sampler& source, const folder_options& options, std::uint32_t cycle,
                             const run_control& control);
published_folder write_evaluation(const sampler& source, const folder_options& options, const run_control& control);

}  // namespace negpipe
