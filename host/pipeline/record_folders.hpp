// Finds folders and files of records below an output folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "negpipe/pipeline.hpp"

namespace negpipe::pipeline {

/// The folder of one cycle, or of the evaluation data.
struct record_folder {
  std::filesystem::path path;  ///< of a run in parts that is not published: the hidden folder
  std::string name;         ///< "cycle_00042", "eval_data"
  bool is_evaluation;
  std::uint64_t cycle = 0;  ///< of a training folder
};

/// Returns cycles in ascending order, then the evaluation data if it exists. Ignores entries with other names.
/// Throws io_error, and format_error if there are neither cycles nor evaluation data.
std::vector<record_folder> find_record_folders(const std::filesystem::path& out);

/// Returns the folders with the files of a part: unpublished ones, and published ones that no unpublished one replaces.
/// Folders that the unpublished run should have are among them even if they do not exist.
/// Throws io_error; format_error if there are none; option_error if an unpublished run has another number of parts, or
/// if there are parts of several runs.
std::vector<record_folder> find_folders_of_part(const std::filesystem::path& out, const run_part& part);

/// The file that lists the record files of a folder, and the text of its ready.json.
struct folder_listing {
  std::filesystem::path path;  ///< ready.json; in a hidden folder, the note of the part
  std::string ready_json;      ///< of a note: the files of other parts are empty
};

/// Reads ready.json or, in the hidden folder of a run in parts, the note of a part. Throws format_error if it is
/// missing, not complete, or a process makes the part; io_error.
folder_listing read_listing(const record_folder& folder, std::uint32_t part);
/// Returns the path that read_listing() reads.
std::filesystem::path listing_path(const record_folder& folder, std::uint32_t part);

/// Returns the existing folders of cycles in [first, first + count), ascending. Lists the parent folder once, so the
/// cost does not depend on count. Throws io_error.
std::vector<std::filesystem::path> find_cycle_folders(const std::filesystem::path& out, std::uint64_t first,
                                                      std::uint64_t count);

/// Returns the record files in a folder ("train_0.tfrecords"), ordered by number: train_10 after train_9.
std::vector<std::filesystem::path> find_record_files(const record_folder& folder);

}  // namespace negpipe::pipeline
