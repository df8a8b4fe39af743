// Makes the files of one part of a run in its hidden folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

#include "negpipe/plan.hpp"
#include "negpipe/run_control.hpp"
#include "parts.hpp"
#include "record_set.hpp"

namespace negpipe::pipeline {

/// One part of a run, for all of its folders.
struct part_task {
  part_run run;
  std::uint32_t part;
  bool replace;  ///< remove unfinished parts of other runs, and allow an existing published folder
};

/// The files of a part in one folder.
struct part_files {
  std::filesystem::path published;     ///< where the folder is published later
  std::optional<std::uint64_t> cycle;  ///< empty for the evaluation data
  std::string_view prefix;             ///< of file names
  file_layout layout;
  compression_type compression;
  /// Makes a file in a folder and syncs it.
  std::function<record::record_file(const std::filesystem::path& folder, std::uint32_t file)> make;
};

struct part_outcome {
  std::filesystem::path folder;  ///< the hidden folder, or the published one if it is of this run
  std::uint64_t kept_file_count = 0;
  std::uint64_t byte_count = 0;
  bool is_published = false;  ///< this run's folder is published, so nothing was made
};

/// Makes the files f with f mod parts == part that its note does not list as complete, or that differ from the note.
/// Each file appears under its name by rename, and then in the note, so a killed run loses at most the file in progress
/// and the last second of notes. Does nothing if this run's folder is published.
/// Throws option_error if the folder is published by another run, or parts of another run exist, unless task.replace;
/// io_error, also if another process makes this part; and what files.make throws.
part_outcome write_part(const part_task& task, const part_files& files);

}  // namespace negpipe::pipeline
