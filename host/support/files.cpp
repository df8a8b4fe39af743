#include "files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "negpipe/error.hpp"

namespace negpipe::support {

namespace fs = std::filesystem;

void throw_io_error(std::string_view what, const fs::path& path) {
  const int code = errno;
  std::string message = "cannot " + std::string(what) + " " + path.string() + ": " + std::strerror(code);
  if (code == ENOSPC || code == EDQUOT) throw disk_full_error(message + "; free some space or choose another place");
  if (code == EACCES || code == EPERM || code == EROFS) message += "; choose a place that you may write to";
  throw io_error(message);
}

file::file(int descriptor, fs::path path) : descriptor_(descriptor), path_(std::move(path)) {}

file file::open_read(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw_io_error("open", path);
  return {descriptor, path};
}

file file::create(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) throw_io_error("create", path);
  return {descriptor, path};
}

file::~file() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

file::file(file&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

file& file::operator=(file&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

std::uint64_t file::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw_io_error("examine", path_);
  return static_cast<std::uint64_t>(status.st_size);
}

void file::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_io_error("write", path_);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void file::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_io_error("write", path_);
    }
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void file::start_writeback(std::uint64_t offset, std::uint64_t length) noexcept {
  // Advice: where a file system does not know it, sync() does all the work.
  (void)::sync_file_range(descriptor_, static_cast<off64_t>(offset), static_cast<off64_t>(length),
                          SYNC_FILE_RANGE_WRITE);
}

void file::sync() {
  if (::fsync(descriptor_) != 0) throw_io_error("sync", path_);
}

bool file::is_in_place() const {
  struct stat named {};
  struct stat opened {};
  if (::stat(path_.c_str(), &named) != 0) return errno != ENOENT && errno != ENOTDIR && errno != ESTALE;
  return ::fstat(descriptor_, &opened) == 0 && named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

void file::close() {
  if (::close(std::exchange(descriptor_, -1)) != 0) throw_io_error("close", path_);
}

mapped_file::mapped_file(const fs::path& path) {
  const file source = file::open_read(path);
  size_ = source.size();
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, source.descriptor(), 0);
  if (address == MAP_FAILED) throw_io_error("map", path);
  data_ = static_cast<const std::byte*>(address);
}

mapped_file::~mapped_file() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

mapped_file::mapped_file(mapped_file&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

mapped_file& mapped_file::operator=(mapped_file&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void sync_folder(const fs::path& folder) { file::open_read(folder).sync(); }

void publish_file(const fs::path& path, std::string_view text) {
  const fs::path staging = path.string() + ".temp";
  try {
    file out = file::create(staging);
    out.write(std::as_bytes(std::span(text)));
    out.sync();
    out.close();
    if (::rename(staging.c_str(), path.c_str()) != 0) throw_io_error("rename to", path);
    sync_folder(path.parent_path().empty() ? "." : path.parent_path());
  } catch (...) {
    std::error_code ignored;
    fs::remove(staging, ignored);
    throw;
  }
}

namespace {
[[noreturn]] void throw_io_error(std::string_view what, const fs::path& path, const std::error_code& failure) {
  errno = failure.value();
  support::throw_io_error(what, path);
}

// A folder's own name, also when the path ends in a slash.
fs::path without_trailing_slash(fs::path path) {
  path = fs::absolute(path).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

// Links that lead nowhere are in the way as well.
bool is_taken(const fs::path& path) {
  std::error_code failure;
  const fs::file_status status = fs::symlink_status(path, failure);
  if (status.type() == fs::file_type::none) throw_io_error("examine", path, failure);
  return fs::exists(status);
}
}  // namespace

bool exists(const fs::path& path) {
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  if (status.type() == fs::file_type::none) throw_io_error("examine", path, failure);
  return fs::exists(status);
}

void remove_all(const fs::path& path) {
  std::error_code failure;
  fs::remove_all(path, failure);
  if (failure) throw_io_error("remove", path, failure);
}

void make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directory(folder, failure);
  if (failure) throw_io_error("create", folder, failure);
}

staged_folder::staged_folder(fs::path final_folder, bool replace, const fs::path& staging_parent)
    : final_(without_trailing_slash(std::move(final_folder))) {
  if (!replace && is_taken(final_)) {
    throw option_error(final_.string() + " exists already; choose another place, or --force to replace it");
  }
  std::error_code failure;
  const fs::path parent = staging_parent.empty() ? final_.parent_path() : staging_parent;
  if (staging_parent.empty()) fs::create_directories(parent, failure);
  if (failure) throw_io_error("create", parent, failure);
  // The process id keeps two runs apart; a leftover of a killed run with the same id is cleared.
  staging_ = parent / ("." + final_.filename().string() + ".partial-" + std::to_string(::getpid()));
  fs::remove_all(staging_, failure);
  if (!fs::create_directory(staging_, failure)) throw_io_error("create", staging_, failure);
}

staged_folder::~staged_folder() {
  std::error_code ignored;
  fs::remove_all(published_ ? replaced() : staging_, ignored);
}

void staged_folder::publish() {
  publish_unsynced();
  sync_folder(final_.parent_path());
}

void staged_folder::publish_unsynced() {
  sync_folder(staging_);
  make_folder(final_.parent_path());
  // A folder cannot be renamed over a full one: the old one steps aside first and is removed last.
  const fs::path old = replaced();
  const bool replacing = is_taken(final_);
  if (replacing && ::rename(final_.c_str(), old.c_str()) != 0) throw_io_error("replace", final_);
  if (::rename(staging_.c_str(), final_.c_str()) != 0) {
    const int code = errno;
    if (replacing) (void)::rename(old.c_str(), final_.c_str());
    errno = code;
    throw_io_error("rename to", final_);
  }
  published_ = true;
}

fs::path staged_folder::replaced() const { return staging_.string() + ".old"; }

}  // namespace negpipe::support
