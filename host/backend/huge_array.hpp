// Large read-mostly arrays on huge pages. Random reads over hundreds of megabytes are limited by address translation
// before memory: 51 million cache lines a second over 463 MB with small pages, 85 million with huge pages.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace negpipe {

/// A fixed number of zeros, aligned to a huge page; the system is advised to use huge pages. Pages are allocated at
/// first touch. A tail that fills less than half a huge page is in small pages: there may be thousands of small arrays.
/// Move-only. Throws std::bad_alloc.
template <typename T>
class huge_array {
  static_assert(std::is_trivial_v<T>);

 public:
  huge_array() = default;

  explicit huge_array(std::size_t count) : count_(count) {
    if (count == 0) return;
    const std::size_t bytes = count * sizeof(T);
    const std::size_t on_huge_pages = (bytes + huge_page_bytes / 2) / huge_page_bytes * huge_page_bytes;
    mapped_bytes_ = std::max(on_huge_pages, (bytes + granule_bytes - 1) / granule_bytes * granule_bytes);
    // mmap aligns to small pages only: map one huge page more and unmap both ends.
    void* raw = ::mmap(nullptr, mapped_bytes_ + huge_page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    if (raw == MAP_FAILED) throw std::bad_alloc();
    auto* const begin = static_cast<std::byte*>(raw);
    const std::size_t misplaced = reinterpret_cast<std::uintptr_t>(raw) % huge_page_bytes;
    const std::size_t head = misplaced == 0 ? 0 : huge_page_bytes - misplaced;
    if (head != 0) ::munmap(begin, head);
    if (head != huge_page_bytes) ::munmap(begin + head + mapped_bytes_, huge_page_bytes - head);
    data_ = reinterpret_cast<T*>(begin + head);
    if (on_huge_pages == 0) return;
    (void)::madvise(data_, on_huge_pages, MADV_HUGEPAGE);  // only advice: a failure costs speed, nothing else
  }

  ~huge_array() {
    if (data_ != nullptr) ::munmap(data_, mapped_bytes_);
  }
  huge_array(huge_array&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        count_(std::exchange(other.count_, 0)),
        mapped_bytes_(std::exchange(other.mapped_bytes_, 0)) {}
  huge_array& operator=(huge_array&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    std::swap(mapped_bytes_, other.mapped_bytes_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }
  std::size_t size_bytes() const { return count_ * sizeof(T); }
  T& operator[](std::size_t i) { return data_[i]; }

 private:
  static constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
  static constexpr std::size_t granule_bytes = std::size_t{64} << 10;  // a multiple of every system's small page

  T* data_ = nullptr;
  std::size_t count_ = 0;
  std::size_t mapped_bytes_ = 0;
};

}  // namespace negpipe
