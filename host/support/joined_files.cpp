#include "joined_files.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "disk_bytes.hpp"
#include "files.hpp"
#include "negpipe/error.hpp"

namespace negpipe::support {

namespace {

std::int64_t modified_ns(const struct stat& status) {
  return status.st_mtim.tv_sec * std::int64_t{1'000'000'000} + status.st_mtim.tv_nsec;
}

}  // namespace

joined_files::joined_files(std::uint64_t bytes) : size_(static_cast<std::size_t>(bytes)) {
  if (size_ == 0) return;
  void* address =
      ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) throw_io_error("reserve addresses for", "several files");
  data_ = static_cast<std::byte*>(address);
}

joined_files::~joined_files() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

joined_files::joined_files(joined_files&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      filled_(std::exchange(other.filled_, 0)),
      mapped_(std::move(other.mapped_)) {}

joined_files& joined_files::operator=(joined_files&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(filled_, other.filled_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

void joined_files::append(const std::filesystem::path& path, std::uint64_t offset, std::uint64_t count, bool map) {
  const file source = file::open_read(path);
  const std::span to(data_ + filled_, static_cast<std::size_t>(count));
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  // data_ is the begin of a page.
  const std::size_t head = std::min((page - filled_ % page) % page, to.size());
  const std::size_t whole = (to.size() - head) / page * page;
  if (map && whole != 0 && (offset + head) % page == 0 && source.size() >= offset + count) {
    struct stat status {};
    if (::fstat(source.descriptor(), &status) != 0) throw_io_error("examine", path);
    void* const address = ::mmap(to.data() + head, whole, PROT_READ, MAP_PRIVATE | MAP_FIXED, source.descriptor(),
                                 static_cast<off_t>(offset + head));
    if (address == MAP_FAILED) throw_io_error("map", path);
    mapped_.push_back({full_path(path), status.st_dev, status.st_ino, status.st_size, modified_ns(status)});
    read_at(source, offset, to.first(head));
    read_at(source, offset + head + whole, to.subspan(head + whole));
  } else {
    read_at(source, offset, to);
  }
  filled_ += to.size();
}

std::optional<std::filesystem::path> joined_files::find_changed() const {
  for (const mapped& file : mapped_) {
    struct stat status {};
    if (::stat(file.path.c_str(), &status) != 0) continue;
    if (status.st_dev != file.device || status.st_ino != file.inode) continue;
    if (status.st_size != file.size || modified_ns(status) != file.modified_ns) return file.path;
  }
  return {};
}

}  // namespace negpipe::support
