// Removal of folders: never half, never across a mount.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace negpipe::support {

/// Checks that a file or a whole folder can be removed, without removing anything. A path that does not exist passes.
/// - Throws option_error, which names it, when the path or anything below it is a mount point or lies on another file
///   system.
/// - Throws io_error, which names it, when something below cannot be listed, or cannot be removed: no permission to
///   write to its folder, a sticky folder of another user, an immutable file.
void check_removable(const std::filesystem::path& path);

/// Removes a file or a folder with all that is below it, after check_removable. A folder first gets a hidden name,
/// in aside if that is given (a folder on the same file system), else beside it; this rename is synced before anything
/// is deleted. A crash thus leaves the whole folder, or none under its name. Links are removed, never followed. A path
/// that does not exist is ignored. Throws what check_removable throws, and io_error.
void remove_tree(const std::filesystem::path& path, const std::filesystem::path& aside = {});

/// Removes the files of the given names from a folder, then the folder, which must be a hidden one. Of a link, removes
/// the link alone. Throws io_error, which names the folder, when other files have come into it: they stay there.
void remove_listed(const std::filesystem::path& folder, const std::vector<std::string>& names);

/// Like remove_tree, without the rename: for a folder whose name is hidden already, or which nobody reads.
void remove_hidden_tree(const std::filesystem::path& path);

/// Like remove_hidden_tree, for destructors: what cannot be removed stays.
void try_remove_hidden_tree(const std::filesystem::path& path) noexcept;

}  // namespace negpipe::support
