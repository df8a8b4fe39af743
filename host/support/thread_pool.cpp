#include "thread_pool.hpp"

#include <string>
#include <system_error>

#include "negpipe/error.hpp"

namespace negpipe::support {

thread_pool::thread_pool(unsigned threads) {
  // A throwing constructor runs no destructor, and an unjoined thread terminates the program.
  try {
    workers_.reserve(threads == 0 ? 0 : threads - 1);
    while (thread_count() < threads) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error& refusal) {
    const std::string started = std::to_string(thread_count());
    stop();
    throw io_error("cannot start thread " + started + " of " + std::to_string(threads) + ": " +
                   refusal.code().message() + "; ask for fewer (`threads`), or raise the limit on processes or memory");
  } catch (...) {
    stop();
    throw;
  }
}

thread_pool::~thread_pool() { stop(); }

void thread_pool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
  workers_.clear();
}

void thread_pool::for_each(std::uint64_t count, const std::function<void(std::uint64_t)>& body) {
  if (workers_.empty()) {
    for (std::uint64_t block = 0; block < count; ++block) body(block);
    return;
  }
  const std::lock_guard loop(loop_mutex_);
  std::unique_lock lock(mutex_);
  body_ = &body;
  next_ = 0;
  count_ = count;
  failure_ = nullptr;
  wake_.notify_all();
  run_blocks(lock);
  idle_.wait(lock, [this] { return busy_ == 0; });
  body_ = nullptr;
  if (failure_) std::rethrow_exception(failure_);
}

void thread_pool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || next_ < count_; });
    if (stopping_) return;
    run_blocks(lock);
  }
}

// Called and left with the lock held.
void thread_pool::run_blocks(std::unique_lock<std::mutex>& lock) {
  ++busy_;
  while (next_ < count_) {
    const std::uint64_t block = next_++;
    const auto* body = body_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      (*body)(block);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) {
      if (!failure_) failure_ = failure;
      next_ = count_;
    }
  }
  if (--busy_ == 0) idle_.notify_all();
}

}  // namespace negpipe::support
