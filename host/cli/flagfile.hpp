// The flag file of the 2018 pipeline, through which a trainer passes options to its producer.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe::cli {

/// Options by their names in the 2018 pipeline; empty if not given.
struct legacy_flags {
  std::optional<std::string> data_dir;
  std::optional<std::string> cache_id;
  std::optional<std::uint64_t> num_workers;
  std::optional<std::uint64_t> num_readers;
  std::optional<std::uint64_t> num_neg;
  std::optional<std::uint64_t> num_train_positives;
  std::optional<std::uint64_t> num_items;
  std::optional<std::uint64_t> num_users;
  std::optional<std::uint64_t> epochs_per_cycle;
  std::optional<std::uint64_t> train_batch_size;
  std::optional<std::uint64_t> eval_batch_size;
  std::optional<std::uint64_t> seed;
  std::optional<bool> redirect_logs;
  std::optional<bool> use_tf_logging;
  std::optional<bool> ml_perf;
};

/// Reads a regular file of at most 1 MiB with lines of the form --name=value.
/// - Blank lines and lines that start with # are ignored.
/// - A boolean is true, t, yes, y, 1 or false, f, no, n, 0, in any case; or just --name or --noname.
/// Throws io_error, and option_error (file, line, name) for the first line with an unknown name or a value of another
/// type; flags then holds the values of all other lines.
void read_flagfile(const std::filesystem::path& file, legacy_flags& flags);

/// Waits until a file exists. Returns false if the parent process ends first (parent 0: ignores its end).
/// - timeout: excludes time during which this process is stopped.
/// Throws io_error, option_error after the timeout, and interrupted_error after a stop request.
bool wait_for_flagfile(const std::filesystem::path& file, std::chrono::seconds timeout, std::int64_t parent,
                       const run_control& control);

/// Throws option_error if a count in the flags differs from the dataset's.
void check_counts(const legacy_flags& flags, const dataset& data);

}  // namespace negpipe::cli
