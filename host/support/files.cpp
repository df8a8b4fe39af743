#include "files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "negpipe/error.hpp"

namespace negpipe::support {

namespace fs = std::filesystem;

namespace {
std::string complaint(std::string_view what, const fs::path& path, int code) {
  return "cannot " + std::string(what) + " " + path.string() + ": " + std::strerror(code);
}

const char* kind_name(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR: return "a folder";
    case S_IFIFO: return "a pipe";
    case S_IFSOCK: return "a socket";
    case S_IFBLK:
    case S_IFCHR: return "a device";
    default: return "a special file";
  }
}

/// open(2) that never returns 0, 1 or 2: if the process was started without a standard stream, output printed later
/// would land in the file.
int open_above_standard(const fs::path& path, int flags, mode_t mode = 0) {
  const int opened = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (opened < 0 || opened > STDERR_FILENO) return opened;
  const int moved = ::fcntl(opened, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int code = errno;
  ::close(opened);
  errno = code;
  return moved;
}

bool sync_descriptor(int descriptor) {
  while (::fsync(descriptor) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}
}  // namespace

void throw_io_error(std::string_view what, const fs::path& path) { throw io_error(complaint(what, path, errno)); }

void throw_write_error(std::string_view what, const fs::path& path) {
  const int code = errno;
  std::string message = complaint(what, path, code);
  if (code == ENOSPC || code == EDQUOT) throw disk_full_error(message + "; free some space or choose another path");
  if (code == EACCES || code == EPERM || code == EROFS) message += "; choose a path that you may write to";
  throw io_error(message);
}

file::file(int descriptor, fs::path path) : descriptor_(descriptor), path_(std::move(path)) {}

// O_NONBLOCK: open() of a FIFO would block until it has a writer. No effect on regular files.
file file::open_read(const fs::path& path) {
  const int descriptor = open_above_standard(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) throw_io_error("open", path);
  file opened(descriptor, path);
  opened.require_regular();
  return opened;
}

file file::open_folder(const fs::path& path) {
  const int descriptor = open_above_standard(path, O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) throw_io_error("open", path);
  return {descriptor, path};
}

file file::create(const fs::path& path) {
  const int descriptor = open_above_standard(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
  if (descriptor < 0) throw_write_error("create", path);
  return {descriptor, path};
}

std::optional<file> file::create_new(const fs::path& path) {
  const int descriptor = open_above_standard(path, O_RDWR | O_CREAT | O_EXCL, 0666);
  if (descriptor >= 0) return file(descriptor, path);
  if (errno == EEXIST) return {};
  throw_write_error("create", path);
}

file file::open_or_create(const fs::path& path) {
  const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  const int descriptor = open_above_standard(path, flags, 0666);
  if (descriptor < 0) throw_write_error("create", path);
  file opened(descriptor, path);
  opened.require_regular();
  return opened;
}

void file::require_regular() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw_io_error("examine", path_);
  if (S_ISREG(status.st_mode)) return;
  throw io_error("cannot open " + path_.string() + ": it is " + kind_name(status.st_mode) +
                 ", a regular file is needed");
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
      throw_write_error("write", path_);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

std::size_t file::read_at(std::uint64_t offset, std::span<std::byte> to) const {
  std::size_t done = 0;
  while (done < to.size()) {
    const ssize_t got = ::pread(descriptor_, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_io_error("read", path_);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void file::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_write_error("write", path_);
    }
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void file::start_writeback(std::uint64_t offset, std::uint64_t length) noexcept {
  // Only advice: sync() writes everything where the file system does not support it.
  (void)::sync_file_range(descriptor_, static_cast<off64_t>(offset), static_cast<off64_t>(length),
                          SYNC_FILE_RANGE_WRITE);
}

void file::sync() {
  if (!sync_descriptor(descriptor_)) throw_write_error("sync", path_);
}

bool file::is_in_place() const {
  struct stat named {};
  struct stat opened {};
  if (::stat(path_.c_str(), &named) != 0) return errno != ENOENT && errno != ENOTDIR && errno != ESTALE;
  if (::fstat(descriptor_, &opened) != 0) return true;
  return named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

void file::rename_to(const fs::path& path) {
  if (::rename(path_.c_str(), path.c_str()) != 0) throw_write_error("rename to", path);
  path_ = path;
}

void file::close() {
  if (::close(std::exchange(descriptor_, -1)) != 0) throw_write_error("close", path_);
}

std::string read_text(const fs::path& path, std::uint64_t max_bytes) {
  const file source = file::open_read(path);
  const auto check = [&](std::uint64_t size) {
    if (size <= max_bytes) return;
    throw format_error(path.string() + ": found " + std::to_string(size) + " bytes, at most " +
                       std::to_string(max_bytes) + " wanted; replace the file");
  };
  check(source.size());
  std::string text;
  constexpr std::size_t chunk_bytes = 64U << 10;
  for (;;) {  // the file may grow after its size was checked
    const std::size_t filled = text.size();
    text.resize(filled + chunk_bytes);
    const ssize_t got = ::read(source.descriptor(), text.data() + filled, chunk_bytes);
    if (got < 0 && errno != EINTR) throw_io_error("read", path);
    text.resize(filled + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    check(text.size());
    if (got == 0) return text;
  }
}

namespace {

/// Advises huge pages for memory that is read at random. Only advice: a failure costs speed, nothing else.
void advise_huge_pages(std::byte* data, std::size_t size) noexcept {
  constexpr std::uintptr_t huge_page_bytes = std::uintptr_t{2} << 20;
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t first = (begin + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes;
  const std::uintptr_t last = (begin + size) / huge_page_bytes * huge_page_bytes;
  if (first < last) (void)::madvise(data + (first - begin), last - first, MADV_HUGEPAGE);
}

std::int64_t modified_ns(const file& opened) {
  struct stat status {};
  if (::fstat(opened.descriptor(), &status) != 0) throw_io_error("examine", opened.path());
  return status.st_mtim.tv_sec * std::int64_t{1'000'000'000} + status.st_mtim.tv_nsec;
}

}  // namespace

file_contents::file_contents(const fs::path& path, std::uint64_t max_bytes, std::uint64_t map_from_bytes) {
  const file source = file::open_read(path);
  file_size_ = source.size();
  const auto wanted = static_cast<std::size_t>(std::min(file_size_, max_bytes));
  if (wanted >= map_from_bytes) {
    mapped_.emplace(path);
    file_size_ = mapped_->bytes().size();
    read_ = static_cast<std::size_t>(std::min(file_size_, max_bytes));
    return;
  }
  data_ = std::make_unique_for_overwrite<std::byte[]>(wanted);
  advise_huge_pages(data_.get(), wanted);
  while (read_ < wanted) {
    const ssize_t got = ::read(source.descriptor(), data_.get() + read_, wanted - read_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_io_error("read", path);
    if (got == 0) throw io_error("cannot read " + path.string() + ": it was truncated while it was read");
    read_ += static_cast<std::size_t>(got);
  }
}

mapped_file::mapped_file(const fs::path& path) : file_(file::open_read(path)), modified_ns_(modified_ns(file_)) {
  size_ = file_.size();
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file_.descriptor(), 0);
  if (address == MAP_FAILED) throw_io_error("map", path);
  data_ = static_cast<const std::byte*>(address);
}

mapped_file::~mapped_file() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

mapped_file::mapped_file(mapped_file&& other) noexcept
    : file_(std::move(other.file_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      modified_ns_(other.modified_ns_) {}

mapped_file& mapped_file::operator=(mapped_file&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(modified_ns_, other.modified_ns_);
  return *this;
}

void mapped_file::release(std::size_t first, std::size_t past) const noexcept {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t begin = (first + page - 1) / page * page;
  const std::size_t end = past / page * page;
  if (begin < end) (void)::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

bool mapped_file::is_unchanged() const { return file_.size() == size_ && modified_ns(file_) == modified_ns_; }

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // A folder may be writable but not listable; then it cannot be opened for syncing.
  if (descriptor < 0 && errno == EACCES) return;
  if (descriptor < 0) throw_write_error("sync", folder);
  // Some network file systems cannot sync a folder and persist renames in their own way.
  const bool synced = sync_descriptor(descriptor) || errno == EINVAL || errno == ENOTSUP;
  const int code = errno;
  ::close(descriptor);
  errno = code;
  if (!synced) throw_write_error("sync", folder);
}

namespace {
constexpr mode_t nothing = 0;

/// Returns st_mode & S_IFMT, or 0 on ENOENT. Unlike std::filesystem, throws on ENOTDIR.
mode_t type_of(const fs::path& path, int (*look)(const char*, struct stat*)) {
  struct stat status {};
  if (look(path.c_str(), &status) == 0) return status.st_mode & S_IFMT;
  if (errno != ENOENT) throw_io_error("examine", path);
  return nothing;
}
}  // namespace

namespace {
/// Removes slashes and dots from the end of a path.
fs::path without_end(fs::path path) {
  while (path.has_relative_path() && (!path.has_filename() || path.filename() == ".")) path = path.parent_path();
  return path;
}

/// Resolves ".." in a full path. After a link, ".." is the parent of the link's target.
fs::path without_steps_up(const fs::path& full, std::error_code& failure) {
  if (std::find(full.begin(), full.end(), "..") == full.end()) return full.lexically_normal();
  if (full.filename() == "..") return fs::weakly_canonical(full, failure);
  return fs::weakly_canonical(full.parent_path(), failure) / full.filename();
}
}  // namespace

fs::path full_path(const fs::path& path) {
  std::error_code failure;
  fs::path full = without_end(fs::absolute(path, failure));
  if (!failure) full = without_steps_up(full, failure);
  errno = failure.value();
  if (failure) throw_io_error("find", path);
  return full;
}

bool exists(const fs::path& path) { return type_of(path, ::stat) != nothing; }

bool is_folder(const fs::path& path) { return type_of(path, ::stat) == S_IFDIR; }

bool is_file(const fs::path& path) { return type_of(path, ::stat) == S_IFREG; }

bool is_link(const fs::path& path) { return type_of(path, ::lstat) == S_IFLNK; }

bool is_taken(const fs::path& path) { return type_of(path, ::lstat) != nothing; }

bool is_mount_point(const fs::path& folder) {
  struct statx status {};
  if (::statx(AT_FDCWD, folder.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &status) == 0 &&
      (status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0) {
    return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  }
  // Kernels before 5.8 do not report mount points: another file system has at least another device number.
  struct stat own {};
  struct stat above {};
  if (::lstat(folder.c_str(), &own) != 0) return false;
  return ::stat(folder.parent_path().c_str(), &above) == 0 && own.st_dev != above.st_dev && !S_ISLNK(own.st_mode);
}

void visit_entries(const fs::path& folder, const std::function<void(const fs::path& entry)>& visit) {
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    visit(entry->path());
  }
  errno = failure.value();
  if (failure) throw_io_error("list", folder);
}

void make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directory(folder, failure);
  errno = failure.value();
  if (failure) throw_write_error("create", folder);
}

}  // namespace negpipe::support
