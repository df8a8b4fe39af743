// Whether an output may stand where it is asked for.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace negpipe::support {

/// By what a folder is known for one of ours, so that --force may replace it. The texts must outlive it.
struct folder_mark {
  std::string_view kind;     ///< such as "a dataset"
  std::string_view file;     ///< the name of a file that stands in it
  std::string_view content;  ///< a text that stands in that file; empty: whatever it holds
};

/// Throws option_error, which says what was found, when something stands in the place of a folder. If replaces is set
/// it may be a folder that bears the mark, or an empty one; but not the working directory or one that holds it, nor a
/// mount point. Nor may a link that leads nowhere stand above the place. Throws io_error.
void check_folder_place(const std::filesystem::path& folder, const std::optional<folder_mark>& replaces);

/// The same for a file: with replace, it may be a file of any kind that holds bytes.
void check_file_place(const std::filesystem::path& file, bool replace);

/// Whether a path is a folder, or something in it or below it, or leads through it to elsewhere; neither needs to be
/// there. Throws io_error.
bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace negpipe::support
