// The flag file of the 2018 pipeline, in which a trainer leaves options for its producer.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "negpipe/dataset.hpp"
#include "negpipe/run_control.hpp"

namespace negpipe::cli {

/// The options under their names of 2018; absent ones were not given.
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

/// Reads lines of the form --name=value. Blank lines and those that start with # are ignored. A truth value is true, t,
/// yes, y, 1 or its opposite, in any case, or just --name or --noname. At most 1 MiB of a regular file is read.
/// Throws io_error, and option_error (file, line, name) for the first line with an unknown name or a value of another
/// kind; flags then holds what the other lines say.
void read_flagfile(const std::filesystem::path& file, legacy_flags& flags);

/// Waits until a file exists. Returns false if the parent process ends first (0: it does not matter). Time for which
/// this process is stopped does not count. Throws io_error, option_error after the timeout, and interrupted_error once
/// a stop was requested.
bool wait_for_flagfile(const std::filesystem::path& file, std::chrono::seconds timeout, std::int64_t parent,
                       const run_control& control);

/// Throws option_error unless the counts that the flags give are those of the dataset.
void check_counts(const legacy_flags& flags, const dataset& data);

}  // namespace negpipe::cli
