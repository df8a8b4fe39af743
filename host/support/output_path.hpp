// Whether an output may be written to a path.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace negpipe::support {

/// How a folder of this program is recognised, so that it may be replaced. The texts must outlive it.
struct folder_kind {
  std::string_view name;    ///< such as "a dataset"
  std::string_view marker;  ///< name of the file that describes such a folder
  /// Parses the marker of a folder and returns the names of all files that belong to the folder, the marker's too.
  /// Throws format_error when it is not a marker of this program, io_error when it cannot be read.
  std::vector<std::string> (*files)(const std::filesystem::path& folder);
};

/// Checks that a folder can be written to a path. A path that does not exist passes, unless a link above it leads
/// nowhere. Throws
/// - option_error when something exists there, unless replaces is set and check_replaceable passes,
/// - io_error.
void check_output_folder(const std::filesystem::path& folder, const std::optional<folder_kind>& replaces);

/// Checks that a folder may be replaced, and returns the names of the files in it. An empty folder may be, and one that
/// does not exist; one of the kind may be if all that is in it are regular files that its marker lists. A link to such
/// a folder may be, too: then the link is replaced, and the folder stays. Throws
/// - option_error, naming what is in the way: no folder, a marker that is missing or foreign, a file that the marker
///   does not list, a mount point at any depth, the working directory or one above it,
/// - io_error when the folder cannot be read, or its files could not be removed (see check_removable).
std::vector<std::string> check_replaceable(const std::filesystem::path& folder, const folder_kind& kind);

/// Checks that a file can be written to a path: nothing exists there or, with replace, a regular file. Throws
/// option_error, io_error.
void check_output_file(const std::filesystem::path& file, bool replace);

/// Whether a path is a folder, or something in it or below it, or leads through it to elsewhere. Neither needs to
/// exist. Throws io_error.
bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace negpipe::support
