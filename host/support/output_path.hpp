// Checks whether an output may be written to a path.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::support {

/// Describes how a kind of output folder is recognised, so that it may be replaced. Non-owning.
struct folder_kind {
  std::string_view name;    ///< such as "a dataset"
  std::string_view marker;  ///< marker file that identifies negpipe output
  /// Parses the marker of a folder and returns the names of all files of the folder, including the marker. Throws
  /// format_error if it is not a marker of negpipe, io_error if it cannot be read.
  std::vector<std::string> (*files)(const std::filesystem::path& folder);
};

/// Checks that a folder can be written to a path: nothing exists there and no parent is a dangling link, or replaces is
/// set and check_replaceable passes. Throws option_error, io_error.
void check_output_folder(const std::filesystem::path& folder, const std::optional<folder_kind>& replaces);

/// Checks that a folder may be replaced, and returns the names of the files in it. Allowed: nothing, an empty folder, a
/// folder of the kind that holds only regular files listed by its marker, and a link to such a folder (the link is
/// replaced, its target stays). Throws
/// - option_error, naming the obstacle: not a folder, a missing or foreign marker, a file that the marker does not
///   list, a mount point at any depth, the working directory or a parent of it,
/// - io_error if the folder cannot be read or its files could not be removed (see check_removable).
std::vector<std::string> check_replaceable(const std::filesystem::path& folder, const folder_kind& kind);

/// Checks that a file can be written to a path: nothing exists there or, with replace, a regular file. Throws
/// option_error, io_error.
void check_output_file(const std::filesystem::path& file, bool replace);

/// Returns whether a path is a folder, is in it or below it, or leads through it. Neither needs to exist. Throws
/// io_error.
bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace negpipe::support
