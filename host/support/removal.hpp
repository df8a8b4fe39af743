// Removes folders: completely or not at all, and never across a mount.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace negpipe::support {

/// Checks that a file or a whole folder can be removed, without removing anything. A path that does not exist passes.
/// - Throws option_error, naming the entry, if the path or anything below it is a mount point or lies on another file
///   system.
/// - Throws io_error, naming the entry, if something below cannot be listed or removed: no write permission for its
///   folder, a sticky folder of another user, an immutable file.
void check_removable(const std::filesystem::path& path);

/// Removes a file or a folder with its contents, after check_removable. First renames a folder to a hidden name and
/// syncs the rename, so that a crash leaves the whole folder or nothing under its name. Links are removed, not
/// followed. A path that does not exist is ignored.
/// - aside: a folder on the same file system for the hidden name; default is the folder's parent.
/// - Throws what check_removable throws, and io_error.
void remove_tree(const std::filesystem::path& path, const std::filesystem::path& aside = {});

/// Removes the named files from a hidden folder, then the folder. Removes a link itself, not its target. Throws
/// io_error, naming the folder, if it contains other files; they are kept.
void remove_listed(const std::filesystem::path& folder, const std::vector<std::string>& names);

/// remove_tree without the rename, for a folder whose name is hidden already or which nobody reads.
void remove_hidden_tree(const std::filesystem::path& path);

/// remove_hidden_tree for destructors: ignores errors.
void try_remove_hidden_tree(const std::filesystem::path& path) noexcept;

}  // namespace negpipe::support
