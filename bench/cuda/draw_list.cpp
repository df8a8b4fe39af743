#include "draw_list.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "negpipe/error.hpp"

namespace negpipe::bench {

namespace {

constexpr double max_seconds_a_case = 0.2;
constexpr int min_runs = 5;

}  // namespace

void draw_list::add(const draw_case& what, const std::function<void(int)>& make, const std::function<void()>& check) {
  if (!is_correct(what, make, check)) return;
  const auto begin = std::chrono::steady_clock::now();
  make(1);
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(on_.stream));
  const std::chrono::duration<double> one = std::chrono::steady_clock::now() - begin;
  protocol how = on_.how;
  how.runs = std::min(how.runs, std::max(min_runs, static_cast<int>(max_seconds_a_case / one.count())));
  measure(what, how, make);
}

void draw_list::add(const draw_case& what, const protocol& how, const std::function<void(int)>& make,
                    const std::function<void()>& check) {
  if (is_correct(what, make, check)) measure(what, how, make);
}

bool draw_list::is_correct(const draw_case& what, const std::function<void(int)>& make,
                           const std::function<void()>& check) {
  make(0);
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(on_.stream));
  try {
    check();
    return true;
  } catch (const error& difference) {
    const std::string failure = what.work + ", " + what.form + ", " + what.distribution + ", " +
                                std::to_string(what.negatives) + " negatives: " + difference.what();
    std::fprintf(stderr, "  %s\n", failure.c_str());
    failures_.push_back(failure);
    return false;
  }
}

void draw_list::measure(const draw_case& what, const protocol& how, const std::function<void(int)>& make) {
  const timing t = time_on_device(how, on_.memory, on_.stream, make);
  list_.push_back({{"work", what.work},
                   {"form", what.form},
                   {"distribution", what.distribution},
                   {"negatives", what.negatives},
                   {"batch", what.batch},
                   {"median_seconds", t.median_seconds},
                   {"p95_seconds", t.p95_seconds},
                   {"per_second", what.count / t.median_seconds},
                   {"late_runs", t.late_runs}});
  std::fprintf(stderr, "  %s, %s, %s, %u x %llu: %.1f us\n", what.work.c_str(), what.form.c_str(),
               what.distribution.c_str(), what.negatives, static_cast<unsigned long long>(what.batch),
               t.median_seconds * 1e6);
}

void check_bytes(const void* made, const void* wanted, std::size_t bytes) {
  std::vector<std::byte> found(bytes);
  NEGPIPE_CUDA_CHECK(cudaMemcpy(found.data(), made, bytes, cudaMemcpyDeviceToHost));
  if (std::memcmp(found.data(), wanted, bytes) == 0) return;
  throw backend_error("the bytes differ from the CPU's; nothing is measured");
}

}  // namespace negpipe::bench
