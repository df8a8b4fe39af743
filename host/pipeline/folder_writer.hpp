// Writes one folder of records: a training cycle or the evaluation data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "format.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/run_control.hpp"
#include "negpipe/sampler.hpp"
#include "negpipe/tfrecord.hpp"
#include "output_path.hpp"
#include "part_writer.hpp"
#include "ready_file.hpp"
#include "staging.hpp"

namespace negpipe {

/// Returns the names of all files in a folder of records, as its ready.json lists them. Throws format_error, io_error.
std::vector<std::string> record_files_of(const std::filesystem::path& folder);
std::vector<std::string> record_files_of(const record::ready_file& ready);

/// Kind of a folder that holds a cycle or the evaluation data.
inline constexpr support::folder_kind record_folder_kind{
    "a folder of records with its ready.json", record::ready_file_name, record_files_of};

/// Options for cycles and evaluation data alike.
struct folder_options {
  std::filesystem::path out;     ///< the folder above training_epochs and eval_data
  std::uint32_t readers;
  compression_type compression;
  bool replace;                  ///< replace a folder of record_folder_kind, or an empty one
  std::filesystem::path staging{};  ///< existing folder for unfinished work; empty: next to the final path
  /// Publishes a complete hidden folder; empty: staged_folder::publish().
  std::function<void(support::staged_folder&)> publish{};
  /// Write only the files of this part, to its hidden folder, and publish nothing.
  std::optional<pipeline::part_task> part{};
};

/// Throws option_error if readers is 0.
void check_readers(std::uint32_t readers);
/// Throws option_error if a batch does not fit into a record.
void check_records(const sampler& source);
/// Throws option_error if out lies in the folder of the dataset: a new version of the dataset would replace it.
void check_outside(const dataset& data, const std::filesystem::path& out);

/// Returns OUT/training_epochs/cycle_NNNNN.
std::filesystem::path cycle_folder(const std::filesystem::path& out, std::uint64_t cycle);
/// Returns OUT/eval_data.
std::filesystem::path evaluation_folder(const std::filesystem::path& out);

/// Throws option_error unless the index is below the count.
void check_part(const std::optional<run_part>& part);

/// Return the ready.json of a cycle or of the evaluation data, without its files.
record::ready_file describe_cycle(const sampler& source, const folder_options& options, std::uint32_t cycle);
record::ready_file describe_evaluation(const sampler& source, const folder_options& options);

/// Write one folder under a hidden name, ready.json last, and publish it by rename when everything is on disk.
/// - control.threads: 0 means the threads of the sampler.
/// Throw io_error, backend_error, interrupted_error, and option_error if the folder exists and replace is false; then
/// nothing is left on disk.
published_folder write_cycle(const sampler& source, const folder_options& options, std::uint32_t cycle,
                             const run_control& control);
published_folder write_evaluation(const sampler& source, const folder_options& options, const run_control& control);

}  // namespace negpipe
