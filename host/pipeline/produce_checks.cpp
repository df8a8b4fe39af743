#include "produce_checks.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "folder_writer.hpp"
#include "negpipe/error.hpp"

namespace negpipe::pipeline {

void check_produce(const sampler& source, const produce_options& options) {
  check_cycles(options.records.first_cycle, 1);
  check_readers(options.records.readers);
  check_outside(source.data(), options.records.out);
  check_records(source);  // existing folders are checked under the lock
  if (options.cycles_ahead == 0) throw option_error("cycles_ahead", "0 given, 1 or more wanted");
  constexpr std::chrono::seconds max_timeout{std::int64_t{1} << 32};  // in nanoseconds it fits 64 bits
  if (options.timeout.count() <= 0 || options.timeout > max_timeout) {
    throw option_error("timeout", fmt::format("{} given, 1 to {} seconds wanted", options.timeout.count(),
                                              max_timeout.count()));
  }
  if (options.resume && options.records.replace) {
    throw option_error("`resume` continues the earlier run and `replace` discards it; give one of them");
  }
}

unsigned later_threads(const produce_options& options, unsigned all_threads) {
  if (options.background_threads != 0) return options.background_threads;
  return std::max(1U, all_threads - (all_threads + 3) / 4);
}

}  // namespace negpipe::pipeline
