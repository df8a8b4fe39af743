#include "disk_bytes.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "negpipe/error.hpp"
#include "staging_name.hpp"

namespace negpipe::support {

file create_unnamed(const std::filesystem::path& folder) {
  for (;;) {
    auto made = file::create_new(staging_name(folder.empty() ? "." : folder, "memory"));
    if (!made) continue;
    if (::unlink(made->path().c_str()) != 0) throw_write_error("remove", made->path());
    return std::move(*made);
  }
}

void read_at(const file& from, std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::pread(from.descriptor(), out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_io_error("read", from.path());
    if (got == 0) throw io_error("cannot read " + from.path().string() + ": it was truncated while it was read");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

disk_bytes::disk_bytes(const std::filesystem::path& folder, std::uint64_t bytes)
    : size_(static_cast<std::size_t>(bytes)) {
  const file backing = create_unnamed(folder);
  for (int code = EINTR; code == EINTR;) {
    code = ::posix_fallocate(backing.descriptor(), 0, static_cast<off_t>(bytes));
    errno = code;
    if (code != 0 && code != EINTR) throw_write_error("reserve space for", backing.path());
  }
  void* address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, backing.descriptor(), 0);
  if (address == MAP_FAILED) throw_io_error("map", backing.path());
  data_ = static_cast<std::byte*>(address);
}

disk_bytes::~disk_bytes() { ::munmap(data_, size_); }

void disk_bytes::release_until(std::uint64_t offset) noexcept {
  constexpr std::size_t step = std::size_t{64} << 20;  // a multiple of every page size
  const std::size_t end = static_cast<std::size_t>(offset) / step * step;
  if (end <= released_) return;
  (void)::madvise(data_ + released_, end - released_, MADV_DONTNEED);  // a shared mapping keeps its content
  released_ = end;
}

}  // namespace negpipe::support
