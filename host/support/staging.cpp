#include "staging.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "negpipe/error.hpp"
#include "removal.hpp"
#include "staging_name.hpp"

namespace negpipe::support {

namespace fs = std::filesystem;

namespace {

fs::path folder_of(const fs::path& file) { return file.parent_path().empty() ? "." : file.parent_path(); }

file create_staging(const fs::path& parent, const fs::path& final_name) {
  for (;;) {
    if (auto made = file::create_new(staging_name(parent, final_name))) return std::move(*made);
  }
}

/// Whether a file system (such as NFS) or a kernel does not know the flags of renameat2.
bool lacks_flags(int code) { return code == EINVAL || code == ENOSYS || code == EOPNOTSUPP; }

/// Renames without replacing anything; false where the new name is taken.
bool rename_new(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (!lacks_flags(errno)) throw_write_error("rename to", to);
  // What comes between this look and the rename is lost if it is a file; a folder stays, unless it is empty.
  if (is_taken(to)) return false;
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  if (errno != ENOTEMPTY && errno != EEXIST) throw_write_error("rename to", to);
  return false;
}

/// From errno. What a mount or a container's image holds in its place was not to be seen before.
[[noreturn]] void throw_not_replaced(const fs::path& folder) {
  if (errno != EBUSY && errno != EXDEV) throw_write_error("replace", folder);
  throw option_error(folder.string() + " cannot be replaced (" + std::strerror(errno) +
                     "): a mount, or the image of a container, holds it in its place; choose a folder inside it");
}

bool exchange(const fs::path& one, const fs::path& other) noexcept {
  return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

/// That of nothing where there is nothing.
folder_identity identity_of(const fs::path& folder) noexcept {
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

void publish_new(const fs::path& from, const fs::path& to) {
  if (rename_new(from, to)) return;
  throw option_error(to.string() +
                     " exists already: it came while this was made; choose another place, or --force to replace it");
}

}  // namespace

staged_file::staged_file(fs::path final_file, const fs::path& staging_parent)
    : final_(std::move(final_file)),
      out_(create_staging(staging_parent.empty() ? folder_of(final_) : staging_parent, final_)) {}

staged_file::~staged_file() {
  std::error_code ignored;
  if (!published_) fs::remove(out_.path(), ignored);
}

void staged_file::finish() {
  out_.sync();
  out_.close();
}

void staged_file::publish(bool replace) {
  appear(replace);
  settle();
}

void staged_file::appear(bool replace) {
  if (!replace) {
    publish_new(out_.path(), final_);
  } else if (::rename(out_.path().c_str(), final_.c_str()) != 0) {
    throw_write_error("rename to", final_);
  }
  published_ = true;
}

void staged_file::settle() { sync_folder(folder_of(final_)); }

void publish_file(const fs::path& path, std::string_view text, const fs::path& staging_parent) {
  staged_file staged(path, staging_parent);
  staged.out().write(std::as_bytes(std::span(text)));
  staged.finish();
  staged.publish(/*replace=*/true);
}

made_folders::~made_folders() {
  // One that others use meanwhile is not empty, and is let alone.
  for (auto folder = made_.rbegin(); folder != made_.rend() && ::rmdir(folder->c_str()) == 0; ++folder) continue;
}

void made_folders::make(const fs::path& folder) {
  if (is_folder(folder)) return;
  make(folder.parent_path());
  if (::mkdir(folder.c_str(), 0777) == 0) {
    made_.push_back(folder);
  } else if (errno != EEXIST && errno != ENOENT) {
    throw_write_error("create", folder);
  }
}

void made_folders::keep() {
  for (const fs::path& folder : std::exchange(made_, {})) sync_folder(folder.parent_path());
}

staged_folder::staged_folder(const fs::path& final_folder, const std::optional<folder_mark>& replaces,
                             const fs::path& staging_parent)
    : final_(full_path(final_folder)), replaces_(replaces) {
  check_folder_place(final_, replaces_);
  const bool beside = staging_parent.empty();
  constexpr int most_attempts = 100;
  for (int attempt = 1;; ++attempt) {
    if (beside) parents_.make(final_.parent_path());
    staging_ = staging_name(beside ? final_.parent_path() : staging_parent, final_);
    // As for any other folder, the umask says who may enter.
    if (::mkdir(staging_.c_str(), 0777) == 0) break;
    // A parent that another run has made, and used for nothing, goes with it.
    const bool passing = errno == EEXIST || (errno == ENOENT && beside);
    if (!passing || attempt == most_attempts) throw_write_error("create", staging_);
  }
  leaving_ = staging_;
}

staged_folder::~staged_folder() {
  if (state_ == state::shown) withdraw();
  if (!leaving_.empty()) try_remove_hidden_tree(leaving_);
}

void staged_folder::publish() {
  publish_unsynced();
  settle();
}

void staged_folder::publish_unsynced() {
  appear();
  commit();
}

void staged_folder::appear() {
  sync_folder(staging_);
  make_folder(final_.parent_path());
  shown_ = identity_of(staging_);
  if (replaces_) {
    while (!(is_taken(final_) ? replace() : take_free_place())) continue;
  } else {
    publish_new(staging_, final_);
    leaving_.clear();
  }
  state_ = state::shown;
}

void staged_folder::settle() {
  sync_folder(final_.parent_path());
  parents_.keep();
  if (leaving_.empty()) return;
  remove_hidden_tree(leaving_);
  leaving_.clear();
}

// What cannot be put back stays under its hidden name: it must not be lost for a thing that failed.
void staged_folder::withdraw() noexcept {
  if (identity_of(final_) != shown_) return;  // another run has replaced this folder, and so the one before it
  if (!leaving_.empty() && exchange(leaving_, final_)) return;
  const fs::path old = std::exchange(leaving_, {});
  if (old == staging_ || ::rename(final_.c_str(), staging_.c_str()) != 0) return;
  leaving_ = staging_;
  if (!old.empty()) (void)::rename(old.c_str(), final_.c_str());
}

// What is to be replaced may come and go until the very rename: then there is another look.
bool staged_folder::take_free_place() {
  if (!rename_new(staging_, final_)) return false;
  leaving_.clear();
  return true;
}

bool staged_folder::replace() {
  check_folder_place(final_, replaces_);
  // At no moment is there no folder, and the old one bears the other's name.
  if (exchange(staging_, final_)) return true;
  if (errno == ENOENT && !is_taken(final_)) return false;
  if (!lacks_flags(errno)) throw_not_replaced(final_);
  return replace_in_two_steps();
}

// A folder cannot be renamed over a full one: the old one steps aside.
bool staged_folder::replace_in_two_steps() {
  const fs::path old = staging_.string() + "-old";
  if (::rename(final_.c_str(), old.c_str()) != 0) {
    if (errno == ENOENT && !is_taken(final_)) return false;
    throw_not_replaced(final_);
  }
  if (::rename(staging_.c_str(), final_.c_str()) == 0) {
    leaving_ = old;
    return true;
  }
  const int code = errno;
  const bool taken = code == EEXIST || code == ENOTEMPTY || code == ENOTDIR;
  if (::rename(old.c_str(), final_.c_str()) != 0) {
    if (!taken) throw_write_error("put back what was in " + final_.string() + " and is now", old);
    throw option_error(final_.string() + " exists already: it came while this was to take the place of what is now " +
                       old.string() + "; choose another place, or --force once more");
  }
  if (taken) return false;
  errno = code;
  throw_write_error("rename to", final_);
}

}  // namespace negpipe::support
