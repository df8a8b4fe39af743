// Host memory for batches, reused when its last user has released it.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "negpipe/error.hpp"

namespace negpipe::python {

/// An object was used in a process forked from the one that made it.
class fork_error : public backend_error {
 public:
  using backend_error::backend_error;
};

/// MemoryError in Python.
class batch_memory_error : public std::bad_alloc {
 public:
  explicit batch_memory_error(const std::string& bytes)
      : message_("cannot allocate " + bytes + " bytes for a batch; choose a smaller batch_size") {}
  const char* what() const noexcept override { return message_.what(); }

 private:
  std::runtime_error message_;  // a string that is copied without exceptions
};

/// Blocks of one size, aligned to 128 bytes. A block returns to the pool when the last copy of its handle is destroyed,
/// in any thread. Blocks may outlive their pool. In a forked child the blocks of the parent's pool are freed, not
/// returned, because the pool's lock may have been held during the fork.
class buffer_pool : public std::enable_shared_from_this<buffer_pool> {
 public:
  using block = std::shared_ptr<std::byte>;

  /// max_idle: unused blocks that are kept; more are freed.
  buffer_pool(std::size_t block_bytes, std::size_t max_idle) : block_bytes_(block_bytes), max_idle_(max_idle) {}
  ~buffer_pool() {
    for (std::byte* memory : idle_) std::free(memory);
  }
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;

  bool belongs_to_this_process() const { return pid_ == ::getpid(); }

  /// Returns an unused block, or a new one. Throws batch_memory_error.
  block take() {
    std::byte* memory = reuse();
    if (memory == nullptr) memory = allocate();
    return {memory, [pool = shared_from_this()](std::byte* done) { pool->give_back(done); }};
  }

 private:
  static constexpr std::size_t alignment = 128;

  std::byte* reuse() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return nullptr;
    std::byte* memory = idle_.back();
    idle_.pop_back();
    return memory;
  }

  std::byte* allocate() const {
    const std::size_t rounded = (block_bytes_ + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
    if (memory == nullptr) throw batch_memory_error(std::to_string(rounded));
    return static_cast<std::byte*>(memory);
  }

  void give_back(std::byte* memory) noexcept {
    if (belongs_to_this_process()) {
      const std::lock_guard lock(mutex_);
      if (idle_.size() < max_idle_) {
        if (idle_.capacity() == 0) idle_.reserve(max_idle_);
        idle_.push_back(memory);
        return;
      }
    }
    std::free(memory);
  }

  const std::size_t block_bytes_;
  const std::size_t max_idle_;
  const ::pid_t pid_ = ::getpid();
  std::mutex mutex_;
  std::vector<std::byte*> idle_;
};

}  // namespace negpipe::python
