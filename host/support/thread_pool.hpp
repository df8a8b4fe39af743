// A fixed pool of threads that divide numbered blocks of work.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace negpipe::support {

/// Runs loops over block numbers. The calling thread takes part, so a pool of one starts no thread. Thread-safe: loops
/// run one after the other.
class thread_pool {
 public:
  /// threads >= 1, including the caller. Throws io_error if the system cannot start them: a pool that silently went on
  /// with fewer would be slow for no visible reason.
  explicit thread_pool(unsigned threads);
  ~thread_pool();
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  unsigned thread_count() const { return static_cast<unsigned>(workers_.size()) + 1; }

  /// Calls body(block) once for every block in [0, count), in any order, and returns when all are done. After an
  /// exception no further block starts, and the first exception is rethrown. body must not call the same pool.
  void for_each(std::uint64_t count, const std::function<void(std::uint64_t)>& body);

 private:
  void stop();
  void work();
  void run_blocks(std::unique_lock<std::mutex>& lock);

  std::mutex loop_mutex_;  // held by the running loop
  std::mutex mutex_;       // guards all below
  std::condition_variable wake_;
  std::condition_variable idle_;
  const std::function<void(std::uint64_t)>* body_ = nullptr;
  std::uint64_t next_ = 0;
  std::uint64_t count_ = 0;
  unsigned busy_ = 0;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> workers_;
};

}  // namespace negpipe::support
