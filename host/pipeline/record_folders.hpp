// Where records lie below an output folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::pipeline {

/// The folder of one cycle, or of the evaluation data.
struct record_folder {
  std::filesystem::path path;
  std::string name;         ///< "cycle_00042", "eval_data"
  bool is_evaluation;
  std::uint64_t cycle = 0;  ///< of a training folder
};

/// Cycles ascending, then the evaluation data if it is there. Whatever is named otherwise is left alone. Throws
/// io_error, and format_error when there is neither.
std::vector<record_folder> find_record_folders(const std::filesystem::path& out);

/// The folders of the cycles in [first, first + count) that are there, ascending, by one look at the folder above them,
/// however large count is. Throws io_error.
std::vector<std::filesystem::path> find_cycle_folders(const std::filesystem::path& out, std::uint64_t first,
                                                      std::uint64_t count);

/// The record files in a folder, "PREFIX_0.tfrecords" and so on, by number: train_10 after train_9.
std::vector<std::filesystem::path> find_record_files(const record_folder& folder);

}  // namespace negpipe::pipeline
