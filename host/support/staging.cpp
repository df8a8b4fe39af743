#include "staging.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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

/// Returns whether the file system (such as NFS) or the kernel does not support the flags of renameat2.
bool lacks_flags(int code) { return code == EINVAL || code == ENOSYS || code == EOPNOTSUPP; }

/// Renames without replacing anything. Returns false if the new name is taken.
bool rename_new(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (!lacks_flags(errno)) throw_write_error("rename to", to);
  // A file that appears between this check and the rename is lost; a folder is kept unless it is empty.
  if (is_taken(to)) return false;
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  if (errno != ENOTEMPTY && errno != EEXIST) throw_write_error("rename to", to);
  return false;
}

/// Throws from errno. A mount in another namespace, or in a container's image, is detected only here.
[[noreturn]] void throw_not_replaced(const fs::path& folder) {
  if (errno != EBUSY && errno != EXDEV) throw_write_error("replace", folder);
  throw option_error(folder.string() + " cannot be replaced (" + std::strerror(errno) +
                     "): it is a mount, or part of a container image; choose a folder inside it");
}

bool exchange(const fs::path& one, const fs::path& other) noexcept {
  return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

/// Returns a message with one path replaced by another.
std::string renamed(std::string message, const fs::path& from, const fs::path& to) {
  if (const auto at = message.find(from.string()); at != message.npos) {
    message.replace(at, from.string().size(), to.string());
  }
  return message;
}

void publish_new(const fs::path& from, const fs::path& to) {
  if (rename_new(from, to)) return;
  throw option_error(to.string() +
                     " exists already: it appeared during the run; choose another path, or overwrite it "
                     "with `replace`");
}

}  // namespace

staged_file::staged_file(fs::path final_file, const fs::path& staging_parent)
    : final_(std::move(final_file)),
      out_(create_staging(staging_parent.empty() ? folder_of(final_) : staging_parent, final_)),
      hidden_(out_.path()) {}

staged_file::~staged_file() {
  std::error_code ignored;
  if (!hidden_.empty()) fs::remove(hidden_, ignored);
}

void staged_file::finish() {
  out_.sync();
  out_.close();
}

void staged_file::publish(bool replace) {
  take_path(replace);
  settle();
}

void staged_file::take_path(bool replace) {
  struct stat status {};
  if (::stat(out_.path().c_str(), &status) != 0) throw_write_error("rename to", final_);
  device_ = status.st_dev;
  inode_ = status.st_ino;
  if (!replace) {
    publish_new(out_.path(), final_);
    taken_ = taken::free_path;
  }
  while (taken_ == taken::no) {
    if (is_taken(final_)) {
      taken_ = this->replace();
    } else if (rename_new(out_.path(), final_)) {
      taken_ = taken::free_path;
    }
  }
  if (taken_ != taken::by_exchange) hidden_.clear();
}

void staged_file::settle() {
  sync_folder(folder_of(final_));
  if (!hidden_.empty() && ::unlink(hidden_.c_str()) != 0) throw_write_error("remove", hidden_);
  hidden_.clear();
}

void staged_file::withdraw() noexcept {
  struct stat status {};
  if (::lstat(final_.c_str(), &status) != 0 || status.st_dev != device_ || status.st_ino != inode_) return;
  if (taken_ == taken::by_exchange) (void)exchange(hidden_, final_);
  if (taken_ == taken::free_path) (void)::unlink(final_.c_str());
}

staged_file::taken staged_file::replace() {
  check_output_file(final_, /*replace=*/true);
  if (!exchange(out_.path(), final_)) {
    if (errno == ENOENT && !is_taken(final_)) return taken::no;
    if (!lacks_flags(errno) && errno != EISDIR) throw_write_error("replace", final_);
    check_output_file(final_, /*replace=*/true);
    if (::rename(out_.path().c_str(), final_.c_str()) != 0) throw_write_error("rename to", final_);
    return taken::by_overwriting;
  }
  // Something else may have appeared between the check and the exchange.
  try {
    check_output_file(out_.path(), /*replace=*/true);
  } catch (const error&) {
    if (!exchange(out_.path(), final_)) {
      hidden_.clear();  // the staging name now holds data that must be kept
      throw_write_error("move back what is now " + out_.path().string() + " to", final_);
    }
    check_output_file(final_, /*replace=*/true);
    throw;
  }
  return taken::by_exchange;
}

void publish_file(const fs::path& path, std::string_view text, const fs::path& staging_parent) {
  file staged = create_staging(staging_parent.empty() ? folder_of(path) : staging_parent, path);
  const auto remove_staged = [&] { (void)::unlink(staged.path().c_str()); };
  try {
    staged.write(std::as_bytes(std::span(text)));
    staged.sync();
    staged.close();
    if (::rename(staged.path().c_str(), path.c_str()) != 0) throw_write_error("rename to", path);
  } catch (...) {
    remove_staged();
    throw;
  }
  sync_folder(folder_of(path));
}

made_folders::~made_folders() {
  // A folder that others use is not empty, so rmdir keeps it.
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

staged_folder::staged_folder(const fs::path& final_folder, const std::optional<folder_kind>& replaces,
                             const fs::path& staging_parent)
    : final_(full_path(final_folder)), replaces_(replaces) {
  check_output_folder(final_, replaces_);
  const bool beside = staging_parent.empty();
  // Each attempt may wait for another run that removes the parents, and then fail. On a slow disk this repeats as long
  // as other runs start and fail: 100 attempts were too few.
  constexpr int max_attempts = 1000;
  for (int attempt = 1;; ++attempt) {
    if (beside) parents_.make(final_.parent_path());
    staging_ = staging_name(beside ? final_.parent_path() : staging_parent, final_);
    // Mode 0777: the umask decides, as for any other folder.
    if (::mkdir(staging_.c_str(), 0777) == 0) break;
    // Another run that made a parent and left it empty removes it again.
    const bool passing = errno == EEXIST || (errno == ENOENT && beside);
    if (!passing || attempt == max_attempts) throw_write_error("create", staging_);
  }
  unpublished_ = staging_;
}

staged_folder::staged_folder(adopted existing, const fs::path& final_folder,
                             const std::optional<folder_kind>& replaces)
    : final_(full_path(final_folder)), staging_(std::move(existing.folder)), replaces_(replaces) {
  check_output_folder(final_, replaces_);
}

staged_folder::~staged_folder() {
  if (!unpublished_.empty()) try_remove_hidden_tree(unpublished_);
  try {
    remove_replaced();
  } catch (const std::exception&) {
    return;  // the old folder stays under its hidden name
  }
}

void staged_folder::publish() {
  publish_unsynced();
  settle();
}

void staged_folder::settle() {
  sync_folder(final_.parent_path());
  parents_.keep();
  remove_replaced();
}

void staged_folder::publish_unsynced() {
  sync_folder(staging_);
  make_folder(final_.parent_path());
  if (replaces_) {
    while (!(is_taken(final_) ? replace() : take_free_path())) continue;
  } else {
    publish_new(staging_, final_);
  }
  unpublished_.clear();
}

void staged_folder::remove_replaced() {
  if (replaced_.empty()) return;
  remove_listed(replaced_, replaced_files_);
  replaced_.clear();
}

// The folder to be replaced may appear or disappear until the rename: then check again.
bool staged_folder::take_free_path() { return rename_new(staging_, final_); }

bool staged_folder::replace() {
  (void)check_replaceable(final_, *replaces_);
  // The exchange leaves no moment without a folder. Afterwards staging_ is the old one.
  if (!exchange(staging_, final_)) {
    if (errno == ENOENT && !is_taken(final_)) return false;
    if (!lacks_flags(errno)) throw_not_replaced(final_);
    return replace_in_two_steps();
  }
  // Something else may have appeared between the check and the exchange.
  try {
    replaced_files_ = check_replaceable(staging_, *replaces_);
  } catch (const io_error& reason) {
    throw io_error(move_back(reason));
  } catch (const error& reason) {
    throw option_error(move_back(reason));
  }
  replaced_ = staging_;
  return true;
}

std::string staged_folder::move_back(const std::exception& reason) {
  const std::string what = final_.string() + " was changed before it could be replaced, and ";
  if (exchange(staging_, final_)) return what + "was left there: " + renamed(reason.what(), staging_, final_);
  unpublished_.clear();  // the staging name now holds data that must be kept
  return what + "is now " + staging_.string() + ", because it cannot be moved back (" + std::strerror(errno) +
         "): " + reason.what();
}

// A rename cannot replace a folder that is not empty: move the old one aside first.
bool staged_folder::replace_in_two_steps() {
  const fs::path old = staging_.string() + "-old";
  if (::rename(final_.c_str(), old.c_str()) != 0) {
    if (errno == ENOENT && !is_taken(final_)) return false;
    throw_not_replaced(final_);
  }
  std::string refusal;
  try {
    replaced_files_ = check_replaceable(old, *replaces_);
  } catch (const error& reason) {
    refusal = renamed(reason.what(), old, final_);
  }
  if (refusal.empty() && ::rename(staging_.c_str(), final_.c_str()) == 0) {
    replaced_ = old;
    return true;
  }
  const int code = errno;
  const bool taken = refusal.empty() && (code == EEXIST || code == ENOTEMPTY || code == ENOTDIR);
  if (::rename(old.c_str(), final_.c_str()) != 0) {
    if (!taken && refusal.empty()) throw_write_error("move back what was in " + final_.string() + " and is now", old);
    throw option_error(final_.string() + " exists already: it appeared during the replacement of what is now " +
                       old.string() + "; choose another path, or `replace` once more");
  }
  if (!refusal.empty()) {
    throw option_error(final_.string() + " was changed before it could be replaced, and was left there: " + refusal);
  }
  if (taken) return false;
  errno = code;
  throw_write_error("rename to", final_);
}

}  // namespace negpipe::support
