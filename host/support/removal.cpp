#include "removal.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "files.hpp"
#include "negpipe/error.hpp"
#include "staging_name.hpp"

namespace negpipe::support {

namespace fs = std::filesystem;

namespace {

/// An entry of an open folder, or the path at which a removal starts.
struct entry {
  int folder;        ///< descriptor of the folder that holds it, or AT_FDCWD
  std::string name;  ///< within that folder
  fs::path path;     ///< for messages
};

class open_folder {
 public:
  /// Never follows a link. Throws io_error.
  explicit open_folder(const entry& at) : path_(at.path) {
    const int descriptor = ::openat(at.folder, at.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) throw_io_error("list", path_);
    stream_.reset(::fdopendir(descriptor));
    if (stream_) return;
    ::close(descriptor);
    throw_io_error("list", path_);
  }

  int descriptor() const { return ::dirfd(stream_.get()); }

  std::vector<entry> entries() const {
    std::vector<entry> found;
    for (;;) {
      errno = 0;
      const dirent* next = ::readdir(stream_.get());
      if (next == nullptr) break;
      const std::string name = next->d_name;
      if (name != "." && name != "..") found.push_back({descriptor(), name, path_ / name});
    }
    if (errno != 0) throw_io_error("list", path_);
    return found;
  }

 private:
  struct closer {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  std::unique_ptr<DIR, closer> stream_;
  fs::path path_;
};

/// Location of an entry: the mount id, or the device on kernels before 5.8, which have no mount ids.
struct location {
  std::uint64_t mount = 0;
  std::uint64_t device = 0;
  bool operator==(const location&) const = default;
};

location location_of(const struct statx& status) {
  return {(status.stx_mask & STATX_MNT_ID) != 0 ? status.stx_mnt_id : 0,
          (std::uint64_t{status.stx_dev_major} << 32) | status.stx_dev_minor};
}

/// Returns false if nothing exists. Throws io_error.
bool examine(const entry& at, struct statx& status) {
  const unsigned wanted = STATX_TYPE | STATX_MODE | STATX_UID | STATX_MNT_ID;
  if (::statx(at.folder, at.name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, wanted, &status) == 0) return true;
  if (errno != ENOENT) throw_io_error("examine", at.path);
  return false;
}

bool is_directory(const struct statx& status) { return S_ISDIR(status.stx_mode); }

[[noreturn]] void refuse(const fs::path& path, int code) {
  errno = code;
  throw_write_error("remove", path);
}

/// The checks of one removal.
class removal_check {
 public:
  void check(const entry& top) {
    struct statx status {};
    if (!examine(top, status)) return;
    home_ = location_of(status);
    const fs::path above = top.path.parent_path().empty() ? "." : top.path.parent_path();
    struct statx parent {};
    if (examine({AT_FDCWD, above.string(), above}, parent)) check_entry(top, status, parent);
  }

 private:
  void check_entry(const entry& at, const struct statx& status, const struct statx& parent) const {
    check_location(at, status);
    // In a sticky folder, such as /tmp, only the owner of an entry or of the folder may remove it.
    const uid_t user = ::geteuid();
    const bool others = status.stx_uid != user && parent.stx_uid != user && user != 0;
    if ((parent.stx_mode & S_ISVTX) != 0 && others) refuse(at.path, EPERM);
    if ((status.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0) refuse(at.path, EPERM);
    if (!is_directory(status)) return;
    const open_folder folder(at);
    const std::vector<entry> entries = folder.entries();
    if (!entries.empty() && ::faccessat(folder.descriptor(), ".", W_OK | X_OK, AT_EACCESS) != 0) {
      throw_write_error("remove the contents of", at.path);
    }
    for (const entry& below : entries) {
      struct statx found {};
      if (examine(below, found)) check_entry(below, found, status);
    }
  }

  void check_location(const entry& at, const struct statx& status) const {
    const location found = location_of(status);
    // Files of an overlay may report the device of a layer, so only the device of a folder counts.
    const bool elsewhere = found.mount != home_.mount || (is_directory(status) && found.device != home_.device);
    const bool is_root = (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    if (!elsewhere && !is_root) return;
    throw option_error(at.path.string() +
                       " is a mount point or on another file system, which is never removed; unmount it, or choose "
                       "another path");
  }

  location home_;
};

/// Deletes an entry. Does not enter a mount that appeared after the check: its removal fails with EBUSY or ENOTEMPTY.
void remove_entry(const entry& at, const location& home) {
  struct statx status {};
  if (!examine(at, status)) return;
  if (is_directory(status)) {
    const open_folder folder(at);
    struct statx opened {};
    const bool known = ::statx(folder.descriptor(), "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &opened) == 0;
    if (!known || location_of(opened) != home) refuse(at.path, EXDEV);
    for (const entry& below : folder.entries()) remove_entry(below, home);
  }
  if (::unlinkat(at.folder, at.name.c_str(), is_directory(status) ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT) return;
  throw_write_error("remove", at.path);
}

void remove_checked(const fs::path& path) {
  const entry top{AT_FDCWD, path.string(), path};
  struct statx status {};
  if (examine(top, status)) remove_entry(top, location_of(status));
}

}  // namespace

void check_removable(const fs::path& path) { removal_check().check({AT_FDCWD, path.string(), path}); }

void remove_tree(const fs::path& path, const fs::path& aside) {
  check_removable(path);
  struct statx status {};
  if (!examine({AT_FDCWD, path.string(), path}, status)) return;
  if (!is_directory(status)) return remove_checked(path);
  const fs::path above = path.parent_path().empty() ? "." : path.parent_path();
  const fs::path hidden = staging_name(aside.empty() ? above : aside, path);
  if (::rename(path.c_str(), hidden.c_str()) != 0) {
    if (errno == ENOENT && !is_taken(path)) return;
    throw_write_error("remove", path);
  }
  sync_folder(above);
  check_removable(hidden);  // a mount may have appeared before the rename
  remove_checked(hidden);
}

void remove_listed(const fs::path& folder, const std::vector<std::string>& names) {
  if (is_link(folder)) return remove_checked(folder);
  {
    const open_folder opened({AT_FDCWD, folder.string(), folder});
    for (const std::string& name : names) {
      if (::unlinkat(opened.descriptor(), name.c_str(), 0) != 0 && errno != ENOENT) {
        throw_write_error("remove", folder / name);
      }
    }
  }
  if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) throw_write_error("remove", folder);
}

void remove_hidden_tree(const fs::path& path) {
  check_removable(path);
  remove_checked(path);
}

void try_remove_hidden_tree(const fs::path& path) noexcept {
  try {
    remove_hidden_tree(path);
  } catch (const std::exception&) {
    return;
  }
}

}  // namespace negpipe::support
